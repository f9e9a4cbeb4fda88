import BackgroundJobs

/// What the end of a job means for others: the next job of its chain, its batch, and whoever awaits it.
extension MemoryState {
    /// How long what a retry by hand may need is kept.
    private static let retention: Int64 = 604_800_000

    /// - Parameter wasWaiting: whether it waited for another one.
    mutating func settleTies(_ job: String, _ end: String, _ facts: JobEnd, wasWaiting: Bool = false) {
        let record = data.jobs[job] ?? Record()
        let (next, onFailure) = (record.present("nxt"), record.present("onf"))
        var facts = facts
        facts.end = end
        switch end {
        case "Completed":
            if let next {
                var step = "{\"job\":\(json(job)),\"cls\":\(json(record["cls"] ?? ""))"
                if let output = facts.output, !output.isEmpty { step += ",\"out\":\(output)" }
                if let added = facts.attempt.flatMap({ data.attempts[$0]?.present("add") }) {
                    step += ",\"add\":\(added)"
                }
                let former = record.present("stp").map { $0.dropLast() + "," } ?? "["
                release(next, ["stp": former + step + "}]"])
            }
            // A step that was cancelled may be retried by hand.
            if !isInForce(next) { dropWaiting(onFailure, for: next == nil ? 300_000 : Self.retention) }
        case "Dead", "Discarded":
            let failure =
                "{\"job\":\(json(job)),\"cls\":\(json(record["cls"] ?? "")),\"err\":\(json(facts.error ?? end)),"
                + "\"msg\":\(json(facts.message ?? ""))}"
            release(onFailure, ["flr": failure, "stp": record.present("stp")])
            if end == "Discarded" {
                forgo(next, because: "the job before it was discarded")
            } else {
                tellThoseBehind(next, facts)
            }
        default:
            forgo(next, because: "the job before it ended as \(end)")
            // Those before one that waits may still fail, and then call it.
            if !wasWaiting { dropWaiting(onFailure, for: Self.retention) }
        }
        countInBatch(record.present("bat"), end)
        notify(facts)
    }

    /// A string as JSON, escaped as the scripts do.
    private func json(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "/": result += "\\/"
            case "\u{8}": result += "\\b"
            case "\u{C}": result += "\\f"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    // MARK: Those that wait

    func isWaiting(_ job: String?) -> Bool {
        job.flatMap { data.jobs[$0] }.map { $0["blk"] == "1" } ?? false
    }

    /// A job that waits goes to the tail of its queue, or is scheduled.
    mutating func release(_ job: String?, _ fields: [String: String?]) {
        guard let job, isWaiting(job), var record = data.jobs[job], let queue = record.present("que") else { return }
        let (delay, expiry) = (record.number("dly") ?? 0, record.number("exr"))
        for field in ["blk", "dly", "exr"] { record[field] = nil }
        record["qat"] = "\(now)"
        for (name, value) in fields { if let value { record[name] = value } }
        if let expiry { record["exp"] = "\(now + delay + expiry)" }
        data.jobs[job] = record
        clearDeadline("jobs:\(job)")
        if delay > 0 { schedule(job, queue, at: now + delay) } else { pushTail("ready", queue, job) }
        data.sets["queues", default: []].insert(queue)
    }

    /// Whether a job is there and has not ended for good, as far as its hash says.
    private func isInForce(_ job: String?) -> Bool {
        guard let record = job.flatMap({ data.jobs[$0] }) else { return false }
        return record["que"] != nil && record.present("end") == nil
    }

    mutating func dropWaiting(_ job: String?, for time: Int64 = 300_000) {
        guard let job, isWaiting(job) else { return }
        data.jobs[job]?["blk"] = nil
        data.jobs[job]?["end"] = "Unneeded"
        setDeadline("jobs:\(job)", in: time)
        notify(JobEnd(job: job, end: "Unneeded"))
    }

    /// The jobs of a chain behind one that can't succeed any more: recorded as cancelled.
    mutating func forgo(_ first: String?, because why: String) {
        var next = first
        while let job = next, isWaiting(job), let queue = data.jobs[job]?.present("que"),
            data.jobs[job]?.present("end") == nil
        {
            let attempt = Self.forgoneAttempt(job)
            data.jobs[job]?["blk"] = nil
            data.jobs[job]?["end"] = "Cancelled"
            if data.attempts[attempt] == nil {
                var record = Record()
                for (field, value) in [
                    ("sta", "\(now)"), ("fin", "\(now)"), ("time", "0"), ("job", job), ("que", queue), ("num", "0"),
                    ("err", "Cancelled"), ("msg", why),
                ] { record[field] = value }
                data.attempts[attempt] = record
                setScore("ended", queue, attempt, now)
                data.jobs[job]?["las"] = attempt
            } else {
                setDeadline("jobs:\(job)", in: Self.retention)
            }
            count(queue, "cancelled")
            notify(JobEnd(job: job, end: "Cancelled", attempt: attempt, error: "Cancelled", message: why))
            next = data.jobs[job]?.present("nxt")
        }
    }

    /// The ID of the record of a job that is cancelled with the one before it.
    private static func forgoneAttempt(_ job: String) -> String { String(job.prefix(62)) + "-0" }

    /// A job that had ended is to run again by hand: what was cancelled with it, or dropped, waits for it once more.
    mutating func recallInChain(_ record: Record) {
        if let callback = record.present("onf"), data.jobs[callback]?["end"] == "Unneeded" {
            wait(callback)
        }
        var next = record.present("nxt")
        while let job = next, let record = data.jobs[job], record["end"] == "Cancelled" {
            let attempt = Self.forgoneAttempt(job)
            if let last = record["las"] {
                guard last == attempt else { return }
                if let queue = record.present("que") {
                    data.sortedSets["ended:\(queue)"]?[attempt] = nil
                    data.attempts[attempt] = nil
                }
            }
            data.jobs[job]?["las"] = nil
            wait(job)
            next = record.present("nxt")
        }
    }

    private mutating func wait(_ job: String) {
        data.jobs[job]?["end"] = nil
        data.jobs[job]?["blk"] = "1"
        clearDeadline("jobs:\(job)")
    }

    /// Nobody is to wait for a chain whose job is dead, though it may be retried by hand.
    private mutating func tellThoseBehind(_ first: String?, _ facts: JobEnd) {
        var next = first
        while let job = next, isWaiting(job) {
            var facts = facts
            facts.job = job
            notify(facts)
            next = data.jobs[job]?.present("nxt")
        }
    }

    // MARK: Those who await it

    mutating func notify(_ end: JobEnd) {
        guard data.locks["awaited"] != nil, let listeners = data.sets["awaited:\(end.job)"], !listeners.isEmpty else {
            return
        }
        var note = "{\"job\":\(json(end.job)),\"end\":\(json(end.end == "Dequeued" ? "Missing" : end.end))"
        for (name, value) in [
            ("attempt", end.attempt), ("err", end.error), ("msg", end.message), ("out", end.output),
        ] {
            if let value, !value.isEmpty { note += ",\"\(name)\":\(json(value))" }
        }
        for listener in listeners.sorted() {
            pushTail("notes", listener, note + "}")
            setDeadline("notes:\(listener)", in: 60_000)
        }
        data.sets["awaited:\(end.job)"] = nil
        clearDeadline("awaited:\(end.job)")
    }

    mutating func ends(of jobs: [String], for listener: Listener) -> [JobEnd?] {
        data.locks["awaited"] = "1"
        setDeadline("awaited", in: listener.time.ceilingMilliseconds)
        return jobs.map { end(of: $0, for: listener) }
    }

    private mutating func end(of job: String, for listener: Listener) -> JobEnd? {
        guard let record = data.jobs[job], record["cls"] != nil || record["que"] != nil, record["end"] != "Dequeued"
        else {
            return JobEnd(job: job, end: "Missing")
        }
        let last = record.present("las")
        let attempt = last.flatMap { data.attempts[$0] }
        if let end = record.present("end") { return self.end(of: job, as: end, last) }
        if attempt?.present("fin") != nil, attempt?["err"] == nil { return end(of: job, as: "Completed", last) }
        if let before = stuckBehind(job) {
            guard let stuck = data.jobs[before] else {
                return JobEnd(
                    job: job,
                    end: "Missing",
                    message: "the job before it, \(before), is not there any more"
                )
            }
            var end = end(of: job, as: "Dead", stuck["las"])
            end.output = nil
            return end
        }
        data.sets["awaited:\(job)", default: []].insert(listener.token)
        setDeadline("awaited:\(job)", in: listener.time.ceilingMilliseconds)
        return nil
    }

    private func end(of job: String, as end: String, _ last: String?) -> JobEnd {
        let attempt = last.flatMap { data.attempts[$0] } ?? Record()
        return JobEnd(
            job: job,
            end: end,
            attempt: last,
            error: attempt.present("err"),
            message: attempt.present("msg"),
            output: attempt.present("out")
        )
    }

    /// The job that is dead, or is not there, and for which this one waits.
    private func stuckBehind(_ job: String) -> String? {
        var job = job
        while isWaiting(job), let before = data.jobs[job]?.present("aft") {
            if data.jobs[before] == nil || data.jobs[before]?["end"] == "Dead" { return before }
            job = before
        }
        return nil
    }

    mutating func note(_ notes: [AttemptNote]) -> Int {
        var written = 0
        for note in notes where isProcessing(note.attempt, note.queue) {
            for (name, value) in note.fields { data.attempts[note.attempt, default: Record()][name] = value }
            written += 1
        }
        return written
    }
}
