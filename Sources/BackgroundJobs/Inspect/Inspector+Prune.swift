import BackgroundRedis

/// Deleting a queue, or all of the namespace.
extension Inspector {
    /// How many keys Redis looks at in one step.
    private static let scanned = 1000

    /// What ``prune(queue:force:progress:)`` would delete. It goes through all keys of the database, in small steps.
    ///
    /// - Parameter queue: the queue; nil: the whole namespace.
    /// - Throws: ``BackgroundError``: `invalidArgument` for a queue name that is none.
    public func prunable(queue: String? = nil) async throws(BackgroundError) -> PruneReport {
        try await walk(queue, deleting: false) { _ in }
    }

    /// Deletes a queue, with its jobs, those for some nodes too, their attempts, their uniqueness locks and its statistics, or
    /// all keys of the namespace, in small steps. It may be interrupted and begun again at any time. What other queues' jobs have
    /// left on this one goes too; what this one's jobs have left on others stays until it is trimmed. Their chains and batches
    /// are not told: what waits on other queues for one of them goes on waiting, and whoever awaits that learns that it is
    /// missing.
    ///
    /// - Parameters:
    ///   - queue: the queue; nil: the whole namespace.
    ///   - force: whether to do it although workers or watchers are connected: what they run then ends as damaged.
    ///   - progress: is told after each step how many keys have been deleted so far.
    /// - Returns: what has been deleted.
    /// - Throws: ``BackgroundError``: `invalidArgument` for a queue name that is none; `refused` while workers or watchers are
    ///   connected.
    @discardableResult
    public func prune(
        queue: String? = nil,
        force: Bool = false,
        progress: (Int) -> Void = { _ in }
    ) async throws(BackgroundError) -> PruneReport {
        if let queue { try Names.checkQueue(queue) }
        let clients = try await clients()
        guard force || clients.workers.isEmpty && clients.watchers == 0 else {
            throw BackgroundError(
                .refused,
                "Connected are \(clients.workers.count) workers and \(clients.watchers) watchers: stop them first, or force it."
            )
        }
        return try await walk(queue, deleting: true, progress)
    }

    private func walk(
        _ queue: String?,
        deleting: Bool,
        _ progress: (Int) -> Void
    ) async throws(BackgroundError) -> PruneReport {
        if let queue { try Names.checkQueue(queue) }
        var report = PruneReport()
        let queue: PrunedQueue? = if let queue { try await pruned(queue) } else { nil }
        // The lists first: what is in none of them is run by nobody.
        if let queue { try await pruneLists(of: queue, deleting, &report) }
        var cursor = "0"
        repeat {
            var pipeline = Pipeline()
            // No character of a namespace means anything in a pattern.
            pipeline.command("SCAN", cursor, "MATCH", "\(namespace):*", "COUNT", "\(Self.scanned)")
            guard let reply = try await read(pipeline)[0].array, reply.count == 2, let next = reply[0].text else {
                throw BackgroundError(.damaged, "Redis answered SCAN with something else than a cursor and keys.")
            }
            cursor = next
            try await prunePage((reply[1].array ?? []).compactMap(\.text), queue, deleting, &report)
            progress(report.total)
        } while cursor != "0"
        if let queue, deleting { try await forget(queue.name) }
        return report
    }

    /// A key with its kind.
    private typealias Candidate = (key: String, kind: KeyKind, rest: String)

    private func prunePage(
        _ keys: [String],
        _ queue: PrunedQueue?,
        _ deleting: Bool,
        _ report: inout PruneReport
    ) async throws(BackgroundError) {
        let known = keys.map { key in KeyKind.of(key, namespace: namespace).map { Candidate(key, $0.kind, $0.rest) } }
        var types = Pipeline()
        for key in keys { types.command("TYPE", key) }
        var sound: [Candidate] = []
        for (index, type) in try await read(types).enumerated() {
            if let candidate = known[index], type.text == candidate.kind.type {
                sound.append(candidate)
            } else if queue == nil, type.text != "none" {
                report.add(foreign: keys[index])
            }
        }
        if let queue { sound = try await those(of: queue, among: sound) }
        try await take(sound.map { ($0.key, $0.kind.name) }, deleting, &report)
    }

    /// Counts keys, or deletes them and counts those that were there.
    private func take(
        _ keys: [(key: String, kind: String)],
        _ deleting: Bool,
        _ report: inout PruneReport
    ) async throws(BackgroundError) {
        let kinds = Dictionary(grouping: keys, by: \.kind)
        guard deleting else {
            for (kind, keys) in kinds { report.add(kind, keys.count) }
            return
        }
        var pipeline = Pipeline()
        let sorted = kinds.sorted { $0.key < $1.key }
        for (_, keys) in sorted { pipeline.command(["UNLINK"] + keys.map(\.key)) }
        for ((kind, _), reply) in zip(sorted, try await read(pipeline)) { report.add(kind, Int(reply.int ?? 0)) }
    }

    // MARK: A queue

    /// A queue that is to go.
    private struct PrunedQueue {
        var name: String
        /// The places in which something waits.
        var places: [Place]
        /// The lists and sets of it that are known without a search, each with its kind.
        var lists: [(key: String, kind: String)]
    }

    private func pruned(_ queue: String) async throws(BackgroundError) -> PrunedQueue {
        var places: [Place] = []
        do throws(BackgroundError) {
            places = try await self.places(of: [queue])
        } catch  where error.isWrongType {
            // The search finds the lists.
        }
        let lists =
            KeyKind.ofQueues.map { ("\(namespace):\($0):\(queue)", $0) } + places.map { (keys.placed($0), "placed") }
        return PrunedQueue(name: queue, places: places, lists: lists)
    }

    private func pruneLists(
        of queue: PrunedQueue,
        _ deleting: Bool,
        _ report: inout PruneReport
    ) async throws(BackgroundError) {
        var types = Pipeline()
        for list in queue.lists { types.command("TYPE", list.key) }
        let sound = zip(queue.lists, try await read(types)).filter { list, type in
            KeyKind.of(list.key, namespace: namespace)?.kind.type == type.text
        }
        try await take(sound.map(\.0), deleting, &report)
        guard deleting, !queue.places.isEmpty else { return }
        var pipeline = Pipeline()
        pipeline.command(["SREM", keys.places] + queue.places.map(\.description))
        _ = try await read(pipeline)
    }

    /// Hashes that name the queue, its statistics by the minute, the locks of its jobs, and what of its lists is left: notes
    /// for its workers, and places that `places` does not name.
    private func those(of queue: PrunedQueue, among keys: [Candidate]) async throws(BackgroundError) -> [Candidate] {
        let hashes = keys.filter { ["jobs", "attempts"].contains($0.kind.name) }
        var fields = Pipeline()
        for hash in hashes { fields.command("HMGET", hash.key, "que", "unq") }
        let listed = Set(queue.lists.map(\.key))
        var found = keys.filter { key in
            switch key.kind.name {
            case "stats": key.rest.hasPrefix(queue.name + ":")
            case "placed", "wake": key.rest.prefix { $0 != ":" } == queue.name && !listed.contains(key.key)
            default: false
            }
        }
        var locks: [(key: String, job: String)] = []
        for (hash, reply) in zip(hashes, try await read(fields)) {
            guard let values = reply.array, values.count == 2, values[0].text == queue.name else { continue }
            found.append(hash)
            if hash.kind.name == "jobs", let digest = values[1].text {
                locks.append((self.keys.lock(digest), hash.rest))
            }
        }
        var holders = Pipeline()
        for lock in locks { holders.command("GET", lock.key) }
        for (lock, reply) in zip(locks, try await read(holders)) where reply.text == lock.job {
            if let kind = KeyKind.of(lock.key, namespace: namespace) { found.append((lock.key, kind.kind, kind.rest)) }
        }
        return found
    }

    /// The queue is none any more.
    private func forget(_ queue: String) async throws(BackgroundError) {
        var pipeline = Pipeline()
        pipeline.command("SREM", keys.queues, queue)
        pipeline.command("SREM", keys.paused, queue)
        _ = try await read(pipeline)
    }
}
