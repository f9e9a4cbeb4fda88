import BackgroundJobs

extension MemoryClaim {
    /// Why a job is not to begin.
    struct Refusal {
        var error: String
        var message: String?
        var set = "failed"
        var counter: String
    }

    func refusal(
        of id: String,
        _ record: MemoryState.Record?,
        _ expiry: Int64?,
        _ state: MemoryState
    ) -> Refusal? {
        guard let record else {
            return Refusal(error: "Job Not Found", message: "there is no hash", counter: "missing")
        }
        if record.present("cls") == nil {
            let message = state.refusal(ofArgumentsOf: id) ?? "the hash has no field cls"
            return Refusal(error: "Bad Job", message: message, counter: "bad")
        }
        if let message = state.refusal(ofArgumentsOf: id) {
            return Refusal(error: "Bad Job", message: message, counter: "bad")
        }
        if record["cnl"] == "1" { return Refusal(error: "Cancelled", set: "ended", counter: "cancelled") }
        if let expiry, state.now > expiry, record.present("las") == nil {
            let message = "\(state.now - expiry) ms too late"
            return Refusal(error: "Expired", message: message, set: "ended", counter: "expired")
        }
        return nil
    }

    /// A job that is not to begin is recorded as an attempt with the number 0.
    mutating func reject(
        _ id: String,
        _ refusal: Refusal,
        _ record: MemoryState.Record?,
        in queue: String,
        _ state: inout MemoryState
    ) -> Bool {
        guard let attempt = begin(String(id.prefix(64)), in: queue, number: 0, record, &state) else { return false }
        let now = state.now
        state.data.attempts[attempt]?["fin"] = "\(now)"
        state.data.attempts[attempt]?["time"] = "0"
        state.data.attempts[attempt]?["err"] = refusal.error
        if let message = refusal.message { state.data.attempts[attempt]?["msg"] = message }
        state.setScore(refusal.set, queue, attempt, state.now)
        state.count(queue, refusal.counter)
        if refusal.error != "Cancelled" {
            notice(queue, "job \(id): \(refusal.error), \(refusal.message ?? "") (attempt \(attempt))")
        }
        if record != nil {
            state.data.jobs[id]?["las"] = attempt
            let facts = JobEnd(
                job: id,
                end: refusal.error,
                attempt: attempt,
                error: refusal.error,
                message: refusal.message
            )
            state.endJob(id, as: refusal.error, facts)
        }
        taken.insert(id)
        rejected.insert(attempt)
        wanted -= 1
        return true
    }
}
