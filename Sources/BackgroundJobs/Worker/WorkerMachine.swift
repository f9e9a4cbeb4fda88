/// The worker's loop as a pure state machine: what ended, what is under way, what is to be sent next.
///
/// 1. An attempt that ends waits here to be reported. 2. A call reports all that waits and claims what fits beside what
/// still runs. 3. While it is under way more attempts end, so the next call is larger: batches grow with the load.
/// 4. Only when a claim came back short are the waits armed. After a reconnect everything that this worker answers for
/// is settled by an adoption before anything else is sent.
///
/// A fiber is free when nothing runs on it and the end of its last job has been acknowledged, or is reported in the very
/// call that claims. So claims never exceed the free fibers, and a Redis that is away bounds what waits to be reported.
package struct WorkerMachine: Sendable {
    /// What the worker answers for: a job that runs.
    package struct Run: Sendable, Equatable {
        package var queue: String
        package var job: String
        package var isSuspect: Bool
        package var hasTies: Bool
        /// The how manieth job of this worker it is.
        package var order: Int
    }

    /// A call on its way: finishes reported, and what was offered and wanted.
    package struct Call: Sendable, Equatable {
        package var number: Int
        /// The session of the connection that it is meant for: on a later one, after an adoption, it would be stale.
        package var session: UInt64
        package var finishes: [Finish]
        package var claim: Claim
    }

    /// What the driver does next.
    package enum Action: Sendable, Equatable {
        case exchange(Call)
        case arm([String])
        /// Look for attempts that bear this node's name and that it does not know (a rolled-back Redis revived them).
        case sweep
        /// Nothing until an event, or until this time.
        case sleep(until: ContinuousClock.Instant?)
        case end
    }

    enum Phase: Equatable {
        case working
        /// Runs what it has and claims nothing more; with `stopping` it ends when all is reported.
        case quiet
        case stopping
        /// Gives back what it has, and whatever a late answer brings.
        case releasing
        case ended
    }

    enum Wait: Equatable {
        case idle
        case armed
        /// Refused (no memory, a wrong type): armed again after the next claim, not before this time.
        case refused(until: ContinuousClock.Instant)
    }

    var queues: QueueOrder
    private let fibers: Int
    let capacity: FiberRoom
    private let defaults: ClaimDefaults
    private let endsWhenEmpty: Bool
    let polls: Bool

    // What follows is touched in this file, and in the one beside it that holds the events of the link and the stop.
    var phase = Phase.working
    var isLinked = false
    var session: UInt64 = 0
    var needsSweep = false
    var running: [String: Run] = [:]
    private var begun = 0
    /// How many were given back.
    package private(set) var givenBack = 0
    var unreported: [Finish] = []
    /// Ends that Redis can't record, since a key is of a wrong type: kept, with their fibers, and tried once a second.
    var unrecordable: [Finish] = []
    var retriesUnrecordable: ContinuousClock.Instant?
    var calls: [Call] = []
    private var nextCall = 1
    /// Offered before and never begun: offered again first.
    var spare: [String] = []
    /// Offered in calls without a reply: an adoption will tell.
    var unsure: [String] = []
    /// Offered, and told to be cancelled before it was known that they had been begun.
    var cancelledEarly: Set<String> = []
    var waits: [String: Wait]
    /// Whether a claim is due without anything to report.
    var isHungry = true
    var lastClaimWasShort = false
    /// Whether the last claim left a queue out for which there was no room.
    private var leftOut = false
    var paused: Set<String> = []
    var nextPoll: ContinuousClock.Instant?
    var backoff: Backoff?

    struct Backoff {
        var tries = 0
        var until: ContinuousClock.Instant
    }

    /// What a claim may ask for (protocol, Transitions).
    static let largestBatch = 128
    /// Beyond so many queues a worker polls instead of waiting on a connection each.
    static let mostWaits = 16

    package init(
        queues: QueueOrder,
        fibers: Int,
        reserve: [String: Int] = [:],
        defaults: ClaimDefaults = ClaimDefaults(),
        endsWhenEmpty: Bool = false
    ) {
        precondition(fibers > 0, "a worker has at least one fiber")
        self.queues = queues
        self.fibers = fibers
        capacity = FiberRoom(fibers: fibers, reserve: reserve)
        self.defaults = defaults
        self.endsWhenEmpty = endsWhenEmpty
        polls = queues.names.count > Self.mostWaits
        waits = Dictionary(uniqueKeysWithValues: queues.names.map { ($0, .idle) })
    }

    // MARK: What is next

    package mutating func next(now: ContinuousClock.Instant) -> Action {
        if phase == .ended { return .end }
        if phase == .stopping || phase == .releasing, isSettled { return end() }
        if let retry = retriesUnrecordable, retry <= now {
            retriesUnrecordable = nil
            unreported += unrecordable
            unrecordable = []
        }
        if let poll = nextPoll, poll <= now {
            nextPoll = nil
            isHungry = true
        }
        guard isLinked else { return .sleep(until: nil) }
        if needsSweep {
            needsSweep = false
            return .sweep
        }
        if let backoff, backoff.until > now { return .sleep(until: backoff.until) }
        // To know that all queues are empty takes a claim from all of them.
        if phase == .working, endsWhenEmpty, leftOut, isSettled { isHungry = true }
        if let call = makeCall() { return .exchange(call) }
        if phase == .working, endsWhenEmpty, lastClaimWasShort, !isHungry, isSettled, paused.isEmpty { return end() }
        let toArm = waitsToArm(now: now)
        if !toArm.isEmpty { return .arm(toArm) }
        return .sleep(until: [nextPoll, retriesUnrecordable].compactMap(\.self).min())
    }

    private mutating func end() -> Action {
        phase = .ended
        return .end
    }

    /// Nothing runs, nothing waits to be reported, nothing is under way.
    package var isSettled: Bool {
        running.isEmpty && unreported.isEmpty && unrecordable.isEmpty && calls.isEmpty && unsure.isEmpty
    }

    /// Fibers on which nothing runs and whose last end is acknowledged. Below zero while more is kept than there is room
    /// for: ends that can't be recorded, and what an adoption granted.
    var room: Int {
        let underWay = calls.reduce(0) { $0 + max($1.finishes.count, $1.claim.wanted) }
        return fibers - running.count - unreported.count - unrecordable.count - underWay - unsure.count
    }

    var free: Int { max(0, room) }

    /// How many jobs one call carries at most. Half of the fibers: while Redis works on one half the worker runs the other.
    private var batch: Int { fibers < 16 ? fibers : min(Self.largestBatch, fibers / 2) }

    /// A second call goes out beside the first when it has a good batch to carry.
    private var mayCall: Bool {
        calls.isEmpty || (calls.count == 1 && max(unreported.count, isHungry ? free : 0) >= max(4, batch / 2))
    }

    private mutating func makeCall(claiming: Bool = true) -> Call? {
        guard mayCall else { return nil }
        let reported = min(unreported.count, batch)
        let left = left(reporting: reported)
        let wanted = claiming && phase == .working ? max(0, min(batch, room + reported, left.total)) : 0
        guard reported > 0 || (isHungry && wanted > 0) else { return nil }
        let finishes = Array(unreported.prefix(reported))
        unreported.removeFirst(reported)
        let call = Call(number: nextCall, session: session, finishes: finishes, claim: makeClaim(wanted: wanted, left))
        nextCall += 1
        calls.append(call)
        if wanted > 0 { isHungry = false }
        return call
    }

    /// A call for what a wait has woken this worker for, without a turn of the loop.
    package mutating func claim(now: ContinuousClock.Instant) -> Call? {
        guard isLinked, phase == .working, !needsSweep, calls.isEmpty, backoff.map({ $0.until <= now }) ?? true else {
            return nil
        }
        return makeCall()
    }

    /// A call that reports and claims nothing, for when the loop, which decides what to claim, does not come to it.
    package mutating func report(now: ContinuousClock.Instant) -> Call? {
        guard isLinked, phase != .ended, backoff.map({ $0.until <= now }) ?? true else { return nil }
        return makeCall(claiming: false)
    }

    private mutating func makeClaim(wanted: Int, _ left: FiberRoom) -> Claim {
        guard wanted > 0 else { return .none }
        let part = left.part(of: wanted)
        leftOut = queues.names.contains { part.room($0) == 0 }
        let reoffered = Array(spare.prefix(wanted))
        spare.removeFirst(reoffered.count)
        return Claim(
            wanted: wanted,
            mayTakeSuspect: !runsSuspect && calls.isEmpty,
            queues: queues.next(),
            shared: min(wanted, max(0, part.shared)),
            reserved: part.own.filter { $0.value > 0 },
            defaults: defaults,
            reoffered: reoffered,
            offered: (reoffered.count..<wanted).map { _ in .randomUUID() }
        )
    }

    private mutating func waitsToArm(now: ContinuousClock.Instant) -> [String] {
        guard phase == .working, !polls, !isHungry, calls.isEmpty, free > 0 else { return [] }
        let left = left()
        var armed: [String] = []
        for queue in queues.names where !paused.contains(queue) && left.room(queue) > 0 {
            switch waits[queue] ?? .idle {
            case .armed:
                continue
            case .refused(let until) where until > now:
                continue
            case .idle, .refused:
                waits[queue] = .armed
                armed.append(queue)
            }
        }
        return armed
    }

    // MARK: Jobs

    /// Jobs that are this worker's now; returns those to be started: not those that are to be cancelled, and while it gives
    /// back what it has, none.
    mutating func begin(_ jobs: [ClaimedJob]) -> [ClaimedJob] {
        for job in jobs {
            begun += 1
            running[job.attempt] = Run(
                queue: job.queue,
                job: job.id,
                isSuspect: job.isSuspect,
                hasTies: job.hasTies,
                order: begun
            )
        }
        let givesBack = phase == .releasing || phase == .ended
        guard givesBack || !cancelledEarly.isEmpty else { return jobs }
        return jobs.filter { job in
            let isCancelled = cancelledEarly.remove(job.attempt) != nil
            guard isCancelled || givesBack else { return true }
            _ = ended(job.attempt, after: 0, as: isCancelled ? .cancelled(message: "") : .unbegun)
            return false
        }
    }

    /// A job's task has ended; false if the attempt had been lost before, so that nobody is told of its result.
    package mutating func ended(
        _ attempt: String,
        after milliseconds: Double,
        as ending: Ending,
        with fields: [String: String] = [:]
    ) -> Bool {
        guard let run = running.removeValue(forKey: attempt) else { return false }
        if ending == .shutdown || ending == .unbegun { givenBack += 1 }
        unreported.append(
            Finish(
                attempt: attempt,
                queue: run.queue,
                job: run.job,
                milliseconds: milliseconds,
                ending: ending,
                hasTies: run.hasTies,
                fields: fields
            )
        )
        return true
    }

    /// Whether the driver has something to do that it may not have had before.
    package var isDue: Bool { phase != .working || isLinked && mayCall && (!unreported.isEmpty || isHungry) }
    /// Whether ends wait to be reported, or for the answer to their report.
    package var isReporting: Bool { !unreported.isEmpty || calls.contains { !$0.finishes.isEmpty } }

    var runsSuspect: Bool { running.values.contains(where: \.isSuspect) }
    package func isRunning(_ attempt: String) -> Bool { running[attempt] != nil }
    package var runningCount: Int { running.count }
    package var isWorking: Bool { phase == .working }
    package var hasEnded: Bool { phase == .ended }
}
