import Logging
import Synchronization

extension WorkerDriver {
    /// What the heartbeats have seen of the loop.
    struct Beats {
        var turns = -1
        /// How many of them in a row have found it where it was.
        var missed = 0
    }
}

/// On the event loop, whatever the jobs do to the pool.
extension WorkerDriver: WorkerLinkHost {
    func linkIsAdopting() -> Adoption {
        machine.withLock { $0.adopting() }
    }

    func linkAdopted(_ adopted: Adopted, session: UInt64, mayHaveRolledBack: Bool) {
        let result = machine.withLock { machine in
            let result = machine.adopted(adopted, session: session, mayHaveRolledBack: mayHaveRolledBack)
            expect(result.start)
            return result
        }
        granted.withLock { $0.append(contentsOf: result.start) }
        for attempt in result.cancel {
            if !tasks.prevent(attempt) { cancel(attempt, because: .lost) }
            logger.warning("Lost an attempt: it was taken away", metadata: [LogKey.attempt: "\(attempt)"])
        }
        for finish in result.refused { refused(finish) }
        for sentence in result.damaged { logger.error("An attempt could not be adopted: \(sentence)") }
        wakeup.signal()
    }

    func linkBroke() {
        machine.withLock { $0.unlinked() }
    }

    func linkBeats() -> Bool {
        let turns = turns.load(ordering: .relaxed)
        let missed = beats.withLock { beats in
            beats.missed = turns == beats.turns ? beats.missed + 1 : 0
            beats.turns = turns
            return beats.missed
        }
        wakeup.signal()
        return missed >= 2 || stopping.withLock { $0.stall != nil }
    }

    func linkWoke(_ queue: String) -> WorkerMachine.Woken {
        let (woken, call) = machine.withLock { machine in
            let woken = machine.woke(queue)
            return (woken, woken == .claim ? machine.claim(now: .now) : nil)
        }
        if let call {
            exchange(call) { self.takeAnswer(call.number) }
        } else if woken == .claim {
            wakeup.signal()
        }
        return woken
    }

    func linkListens() -> [String] {
        machine.withLock { $0.listens }
    }

    func linkNoted(_ queue: String, isSuspect: Bool, avoids name: String?) -> WorkerMachine.Noted {
        let noted: WorkerMachine.Noted
        if let name, name == Node.name(of: node) {
            noted = .unfit
        } else {
            noted = machine.withLock { $0.noted(queue, isSuspect: isSuspect) }
        }
        if noted == .claim { wakeup.signal() }
        return noted
    }

    func linkWaitEnded(_ queue: String) {
        machine.withLock { $0.waitEnded(queue) }
        wakeup.signal()
    }

    func linkWaitRefused(_ queue: String, because error: BackgroundError) {
        machine.withLock { $0.waitRefused(queue, now: .now) }
        // Of a connection that broke the connection tells itself.
        let level: Logger.Level = error.isOfConnection ? .debug : .notice
        notices.log("wait", error.message) {
            logger.log(level: level, "Can't wait for jobs, asking for them instead: \($0)")
        }
        wakeup.signal()
    }

    func linkRuns() -> [(attempt: String, job: String)] {
        machine.withLock { $0.runs }
    }

    func linkCancelled(_ attempt: String) {
        guard machine.withLock({ $0.cancelled(attempt) }) else { return }
        guard tasks.prevent(attempt) else { return cancel(attempt, because: .cancelled) }
        // It has not begun, and does not.
        _ = machine.withLock { $0.ended(attempt, after: 0, as: .cancelled(message: "")) }
        pressOn()
    }
}
