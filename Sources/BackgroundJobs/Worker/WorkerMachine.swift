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
        package var holdsLock: Bool
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

    private enum Phase: Equatable {
        case working
        /// Runs what it has and claims nothing more; with `stopping` it ends when all is reported.
        case quiet
        case stopping
        /// Gives back what it has, and whatever a late answer brings.
        case releasing
        case ended
    }

    private enum Wait: Equatable {
        case idle
        case armed
        /// Refused (no memory, a wrong type): armed again after the next claim, not before this time.
        case refused(until: ContinuousClock.Instant)
    }

    private let queues: QueueOrder
    private let fibers: Int
    private let defaults: ClaimDefaults
    private let endsWhenEmpty: Bool
    private let polls: Bool

    private var phase = Phase.working
    private var isLinked = false
    private var session: UInt64 = 0
    private var needsSweep = false
    private var running: [String: Run] = [:]
    private var begun = 0
    private var unreported: [Finish] = []
    /// Ends that Redis can't record, since a key is of a wrong type: kept, with their fibers, and tried once a second.
    private var unrecordable: [Finish] = []
    private var retriesUnrecordable: ContinuousClock.Instant?
    private var calls: [Call] = []
    private var nextCall = 1
    /// Offered before and never begun: offered again first.
    private var spare: [String] = []
    /// Offered in calls without a reply: an adoption will tell.
    private var unsure: [String] = []
    private var waits: [String: Wait]
    /// Whether a claim is due without anything to report.
    private var isHungry = true
    private var lastClaimWasShort = false
    private var paused: Set<String> = []
    private var nextPoll: ContinuousClock.Instant?
    private var backoff: Backoff?

    private struct Backoff {
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
        defaults: ClaimDefaults = ClaimDefaults(),
        endsWhenEmpty: Bool = false
    ) {
        precondition(fibers > 0, "a worker has at least one fiber")
        self.queues = queues
        self.fibers = fibers
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
    private var isSettled: Bool {
        running.isEmpty && unreported.isEmpty && unrecordable.isEmpty && calls.isEmpty && unsure.isEmpty
    }

    /// Fibers on which nothing runs and whose last end is acknowledged. Below zero while more is kept than there is room
    /// for: ends that can't be recorded, and what an adoption granted.
    private var room: Int {
        let underWay = calls.reduce(0) { $0 + max($1.finishes.count, $1.claim.wanted) }
        return fibers - running.count - unreported.count - unrecordable.count - underWay - unsure.count
    }

    private var free: Int { max(0, room) }

    /// How many jobs one call carries at most. Half of the fibers: while Redis works on one half the worker runs the other.
    private var batch: Int { fibers < 16 ? fibers : min(Self.largestBatch, fibers / 2) }

    /// A second call goes out beside the first when it has a good batch to carry.
    private var mayCall: Bool {
        calls.isEmpty || (calls.count == 1 && max(unreported.count, isHungry ? free : 0) >= max(4, batch / 2))
    }

    private mutating func makeCall() -> Call? {
        guard mayCall else { return nil }
        let reported = min(unreported.count, batch)
        let wanted = phase == .working ? max(0, min(batch, room + reported)) : 0
        guard reported > 0 || (isHungry && wanted > 0) else { return nil }
        let finishes = Array(unreported.prefix(reported))
        unreported.removeFirst(reported)
        let call = Call(number: nextCall, session: session, finishes: finishes, claim: makeClaim(wanted: wanted))
        nextCall += 1
        calls.append(call)
        if wanted > 0 { isHungry = false }
        return call
    }

    private mutating func makeClaim(wanted: Int) -> Claim {
        guard wanted > 0 else { return .none }
        let reoffered = Array(spare.prefix(wanted))
        spare.removeFirst(reoffered.count)
        return Claim(
            wanted: wanted,
            mayTakeSuspect: !running.values.contains(where: \.isSuspect) && calls.isEmpty,
            queues: queues.next(),
            defaults: defaults,
            reoffered: reoffered,
            offered: (reoffered.count..<wanted).map { _ in .randomUUID() }
        )
    }

    private mutating func waitsToArm(now: ContinuousClock.Instant) -> [String] {
        guard phase == .working, !polls, !isHungry, calls.isEmpty, free > 0 else { return [] }
        var armed: [String] = []
        for queue in queues.names where !paused.contains(queue) {
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

    /// Jobs that are this worker's now; returns those to be started. While it gives back what it has, they go back too.
    private mutating func begin(_ jobs: [ClaimedJob]) -> [ClaimedJob] {
        for job in jobs {
            begun += 1
            running[job.attempt] = Run(
                queue: job.queue,
                job: job.id,
                isSuspect: job.isSuspect,
                holdsLock: job.fields["unq"] != nil,
                order: begun
            )
        }
        guard phase == .releasing || phase == .ended else { return jobs }
        for job in jobs { _ = ended(job.attempt, after: 0, as: .unbegun) }
        return []
    }

    /// A job's task has ended; false if the attempt had been lost before, so that nobody is told of its result.
    package mutating func ended(_ attempt: String, after milliseconds: Double, as ending: Ending) -> Bool {
        guard let run = running.removeValue(forKey: attempt) else { return false }
        unreported.append(
            Finish(
                attempt: attempt,
                queue: run.queue,
                job: run.job,
                milliseconds: milliseconds,
                ending: ending,
                holdsLock: run.holdsLock
            )
        )
        return true
    }

    /// Whether the driver has something to do that it may not have had before.
    package var isDue: Bool { isLinked && mayCall && (!unreported.isEmpty || isHungry) }

    package func isRunning(_ attempt: String) -> Bool { running[attempt] != nil }
    package var runningCount: Int { running.count }
    package var isWorking: Bool { phase == .working }

    // MARK: Calls

    /// What became of a call.
    package struct Settlement: Sendable, Equatable {
        package var start: [ClaimedJob] = []
        package var lost: [Finish] = []
        package var damaged: [String] = []
    }

    /// A call was answered. The jobs returned are this worker's and are counted as running from here on.
    package mutating func answered(_ number: Int, _ reply: Exchange, now: ContinuousClock.Instant) -> Settlement {
        guard let index = calls.firstIndex(where: { $0.number == number }) else { return Settlement() }
        let call = calls.remove(at: index)
        var settlement = Settlement(start: reply.jobs)
        for (index, verdict) in reply.exceptions.sorted(by: { $0.key < $1.key }) {
            guard call.finishes.indices.contains(index) else { continue }
            switch verdict {
            case .done, .yours, .never:
                break
            case .lost:
                settlement.lost.append(call.finishes[index])
            case .damaged(let sentence):
                settlement.damaged.append(sentence)
                unrecordable.append(call.finishes[index])
                retriesUnrecordable = retriesUnrecordable ?? now + .seconds(1)
            }
        }
        settlement.start = begin(reply.jobs)
        backoff = nil
        if call.claim.wanted > 0 {
            // IDs re-offered and not used may be used by a call that is still on its way.
            let used = Set(reply.jobs.map(\.attempt) + reply.spent)
            spare.append(contentsOf: call.claim.reoffered.filter { !used.contains($0) })
            paused = Set(reply.paused)
            lastClaimWasShort = reply.isShort
            if !reply.isShort { isHungry = true }
            schedulePoll(now: now, isShort: reply.isShort)
        }
        return settlement
    }

    private mutating func schedulePoll(now: ContinuousClock.Instant, isShort: Bool) {
        guard isShort else { return }
        if polls {
            nextPoll = now + .milliseconds(200)
        } else if !paused.isEmpty {
            nextPoll = now + .seconds(1)
        } else if waits.values.contains(where: { if case .refused = $0 { true } else { false } }) {
            nextPoll = now + .milliseconds(500)
        } else {
            nextPoll = nil
        }
    }

    /// Why a call got no answer.
    package enum CallFailure: Sendable, Equatable {
        /// It never went out.
        case notSent
        /// The connection broke: an adoption will tell what it did.
        case unanswered
        /// Redis answered with an error.
        case refused
    }

    /// A call failed. A connection that broke is awaited; anything else is tried again after a while.
    package mutating func failed(_ number: Int, _ failure: CallFailure, now: ContinuousClock.Instant) {
        guard let index = calls.firstIndex(where: { $0.number == number }) else { return }
        takeBack(calls.remove(at: index), failure)
        switch failure {
        // Not sent: the connection is just being lost, of which the link tells, or adopted and about to be ready.
        case .refused, .notSent: postpone(now: now)
        case .unanswered: isLinked = false
        }
    }

    private mutating func takeBack(_ call: Call, _ failure: CallFailure) {
        unreported.insert(contentsOf: call.finishes, at: 0)
        let offers = call.claim.reoffered + call.claim.offered
        if failure == .unanswered {
            unsure.append(contentsOf: offers)
        } else {
            spare.append(contentsOf: offers)
        }
        if call.claim.wanted > 0 { isHungry = true }
    }

    /// 50 ms, doubling up to a second, with jitter.
    private mutating func postpone(now: ContinuousClock.Instant) {
        let tries = (backoff?.tries ?? 0) + 1
        let limit = min(1000, 50 << min(tries - 1, 5))
        backoff = Backoff(tries: tries, until: now + .milliseconds(Int.random(in: limit / 2...limit)))
    }

    // MARK: Waits

    /// Whether an ID that a wait moved to `handoff` can be claimed here.
    package enum Woken: Sendable, Equatable { case claim, giveBack }

    /// A wait moved an ID to `handoff`.
    package mutating func woke(_ queue: String) -> Woken {
        waits[queue] = .idle
        guard phase == .working, free > 0 else { return .giveBack }
        isHungry = true
        return .claim
    }

    /// A wait ended without an ID: its time was over, or its connection broke.
    package mutating func waitEnded(_ queue: String) {
        waits[queue] = .idle
        isHungry = true
    }

    /// Redis refused a wait: the worker claims once in a while until it is let again.
    package mutating func waitRefused(_ queue: String, now: ContinuousClock.Instant) {
        waits[queue] = .refused(until: now + .milliseconds(400))
        nextPoll = now + .milliseconds(500)
    }

    // MARK: The link

    /// What this worker answers for, asked when a new connection is to vouch for it. Calls still on their way are taken
    /// back: nothing that was sent on the former connection can be answered any more.
    package mutating func adopting() -> Adoption {
        isLinked = false
        for call in calls { takeBack(call, .unanswered) }
        calls = []
        let attempts =
            running.map { (attempt: $0.key, queue: $0.value.queue) }
            + (unreported + unrecordable).map { (attempt: $0.attempt, queue: $0.queue) }
        return Adoption(queues: queues.names, attempts: attempts, offered: unsure)
    }

    /// What an adoption brought to light.
    package struct AdoptionResult: Sendable, Equatable {
        package var start: [ClaimedJob] = []
        package var cancel: [String] = []
        package var refused: [Finish] = []
        package var damaged: [String] = []
    }

    /// The new connection vouches for what is still this worker's.
    ///
    /// - Parameters:
    ///   - session: the new connection's; calls are meant for it from here on.
    ///   - mayHaveRolledBack: whether the server is another one, or was started again, since the last adoption.
    package mutating func adopted(
        _ adopted: Adopted,
        session: UInt64,
        mayHaveRolledBack: Bool
    ) -> AdoptionResult {
        var result = AdoptionResult()
        self.session = session
        for (attempt, verdict) in adopted.verdicts {
            switch verdict {
            case .yours, .never:
                break
            case .done, .lost:
                let finished = (unreported + unrecordable).filter { $0.attempt == attempt }
                unreported.removeAll { $0.attempt == attempt }
                unrecordable.removeAll { $0.attempt == attempt }
                if verdict == .lost { result.refused.append(contentsOf: finished) }
                if running.removeValue(forKey: attempt) != nil { result.cancel.append(attempt) }
            case .damaged(let sentence):
                result.damaged.append(sentence)
            }
        }
        spare += unsure.filter { adopted.verdicts[$0] == .never }
        unsure.removeAll { adopted.verdicts[$0] != nil }
        result.start = begin(adopted.granted.filter { running[$0.attempt] == nil })
        isLinked = true
        isHungry = true
        backoff = nil
        if mayHaveRolledBack { needsSweep = true }
        return result
    }

    package mutating func unlinked() {
        isLinked = false
    }

    /// Whether an attempt is one of those that this worker answers for.
    package func answersFor(_ attempt: String) -> Bool {
        running[attempt] != nil || (unreported + unrecordable).contains { $0.attempt == attempt }
            || unsure.contains(attempt)
            || calls.contains { call in
                call.finishes.contains { $0.attempt == attempt } || call.claim.offered.contains(attempt)
                    || call.claim.reoffered.contains(attempt)
            }
    }

    // MARK: Stopping

    /// Claims nothing more; what runs goes on.
    package mutating func quiet() {
        if phase == .working { phase = .quiet }
    }

    /// Claims nothing more and ends when everything is reported.
    package mutating func stop() {
        if phase == .working || phase == .quiet { phase = .stopping }
    }

    /// From here on nothing is started any more: what a late answer brings goes back at once.
    package mutating func beginRelease() {
        if phase != .ended { phase = .releasing }
    }

    /// Gives back what still runs: each attempt ends as `Shutdown`, whatever its task does from here on. The last one goes
    /// first, each to the head of its queue, so that their order is kept.
    package mutating func release(after milliseconds: (String) -> Double) -> [String] {
        let released = running.sorted { $0.value.order > $1.value.order }.map(\.key)
        for attempt in released { _ = ended(attempt, after: milliseconds(attempt), as: .shutdown) }
        return released
    }

    /// Ends although Redis has not taken all reports; returns how many were left. Watchers will see to them.
    package mutating func giveUp() -> Int {
        phase = .ended
        return unreported.count + unrecordable.count + calls.reduce(0) { $0 + $1.finishes.count }
    }
}
