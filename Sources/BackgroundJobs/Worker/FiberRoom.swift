/// How the fibers of a worker are shared out, or what is left of them: some are one queue's own, the rest is for all.
///
/// Jobs of a queue use its own fibers first: of so many that run, those beyond its reserve count against the shared ones.
package struct FiberRoom: Sendable, Equatable {
    package var shared: Int
    /// By queue, of those that have a reserve.
    package var own: [String: Int]

    package init(fibers: Int, reserve: [String: Int]) {
        own = reserve.filter { $0.value > 0 }
        shared = fibers - own.values.reduce(0, +)
    }

    /// Jobs of this queue that there is room for.
    func room(_ queue: String) -> Int { (own[queue] ?? 0) + max(0, shared) }

    var total: Int { own.values.reduce(0, +) + max(0, shared) }

    /// What is left when so many jobs of each queue hold a fiber.
    func left(_ held: [String: Int]) -> FiberRoom {
        var left = self
        for (queue, count) in held {
            let reserve = own[queue] ?? 0
            if reserve > 0 { left.own[queue] = max(0, reserve - count) }
            left.shared -= max(0, count - reserve)
        }
        return left
    }

    /// What is left when a claim has taken all that it may.
    func less(_ claim: Claim) -> FiberRoom {
        guard claim.wanted > 0 else { return self }
        var left = self
        left.shared -= claim.shared
        for (queue, count) in claim.reserved { left.own[queue] = max(0, (own[queue] ?? 0) - count) }
        return left
    }

    /// What is left in either case.
    func least(_ other: FiberRoom) -> FiberRoom {
        var least = self
        least.shared = min(shared, other.shared)
        least.own.merge(other.own, uniquingKeysWith: min)
        return least
    }

    /// What one claim for `wanted` jobs may use. Where that is not all, half of it at most is for the reserves, and each of
    /// them has a part in it: neither a full queue nor an empty reserve keeps the others from theirs.
    func part(of wanted: Int) -> FiberRoom {
        guard total > wanted else { return self }
        var part = self
        let reserved = own.values.reduce(0, +)
        part.shared = min(max(0, shared), wanted - min(reserved, wanted / 2))
        let rest = wanted - part.shared
        if reserved > rest { part.own = own.mapValues { $0 == 0 ? 0 : max(1, $0 * rest / reserved) } }
        return part
    }
}

extension WorkerMachine {
    /// The fibers left, by whose they are; what of the ends that wait is about to be reported counts as left.
    func left(reporting reported: Int = 0) -> FiberRoom {
        guard !capacity.own.isEmpty else {
            var left = capacity
            left.shared = room + reported
            return left
        }
        var held: [String: Int] = [:]
        for run in running.values { held[run.queue, default: 0] += 1 }
        for finish in unreported.dropFirst(reported) { held[finish.queue, default: 0] += 1 }
        for finish in unrecordable { held[finish.queue, default: 0] += 1 }
        guard !calls.isEmpty else { return capacity.left(held) }
        // A call under way frees what it reports and takes what it claims, or fails and does neither.
        let done = calls.reduce(capacity.left(held)) { $0.less($1.claim) }
        for finish in calls.flatMap(\.finishes) { held[finish.queue, default: 0] += 1 }
        return done.least(capacity.left(held))
    }

    /// How many jobs of a queue there is room for.
    func room(for queue: String) -> Int { min(free, left().room(queue)) }

    /// The queues that there is room for, where nothing is to be done before it waits.
    package var listens: [String] {
        guard phase == .working, isLinked, !polls, !isHungry, calls.isEmpty, free > 0 else { return [] }
        let left = left()
        return queues.names.filter { left.room($0) > 0 }
    }
}
