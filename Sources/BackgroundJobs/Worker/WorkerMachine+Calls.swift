/// What becomes of the calls.
extension WorkerMachine {
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
            queues.served(reply.jobs.map(\.queue))
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
            // Nobody tells of a queue that goes on: it is to be noticed within a second.
            nextPoll = now + .milliseconds(500)
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

    mutating func takeBack(_ call: Call, _ failure: CallFailure) {
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
}
