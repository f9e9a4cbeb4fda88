/// What the link tells, and the stop.
extension WorkerMachine {
    // MARK: Waits

    /// Whether an ID that a wait moved to `handoff` can be claimed here.
    package enum Woken: Sendable, Equatable { case claim, giveBack }

    /// A wait moved an ID to `handoff`.
    package mutating func woke(_ queue: String) -> Woken {
        waits[queue] = .idle
        guard phase == .working, room(for: queue) > 0 else { return .giveBack }
        isHungry = true
        return .claim
    }

    /// What a note that jobs were set aside means here: there may be one to be claimed; there is no room at present; none of them
    /// is for this worker.
    package enum Noted: Sendable, Equatable { case claim, busy, unfit }

    /// Jobs of a queue were set aside: suspects, or for some nodes only, of which this is one.
    package mutating func noted(_ queue: String, isSuspect: Bool) -> Noted {
        guard phase == .working, room(for: queue) > 0 else { return .busy }
        if isSuspect, runsSuspect { return .unfit }
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
        cancelledEarly.subtract(adopted.verdicts.keys)
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

    // MARK: Cancelling

    /// The attempts that run, and their jobs.
    package var runs: [(attempt: String, job: String)] { running.map { ($0.key, $0.value.job) } }

    /// The job of an attempt is to be cancelled; true if the attempt runs here. One that was offered, and of which is not
    /// known yet that it was begun, ends as soon as it is.
    package mutating func cancelled(_ attempt: String) -> Bool {
        if running[attempt] != nil { return true }
        let isOffered =
            unsure.contains(attempt)
            || calls.contains { $0.claim.offered.contains(attempt) || $0.claim.reoffered.contains(attempt) }
        if isOffered { cancelledEarly.insert(attempt) }
        return false
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

    /// Gives back what still runs, whatever its task does from here on. The last one goes first, each to the head of its
    /// queue, so that their order is kept.
    ///
    /// - Parameter ending: how long an attempt ran, in ms, and as what it ends; nil for one that is kept.
    /// - Returns: those that were given back.
    package mutating func release(_ ending: (String) -> (milliseconds: Double, ending: Ending)?) -> [String] {
        let latestFirst = running.sorted { $0.value.order > $1.value.order }.map(\.key)
        return latestFirst.filter { attempt in
            guard let (milliseconds, ending) = ending(attempt) else { return false }
            return ended(attempt, after: milliseconds, as: ending)
        }
    }

    /// Ends although Redis has not taken all reports; returns how many were left. Watchers will see to them.
    package mutating func giveUp() -> Int {
        phase = .ended
        return unreported.count + unrecordable.count + calls.reduce(0) { $0 + $1.finishes.count }
    }
}
