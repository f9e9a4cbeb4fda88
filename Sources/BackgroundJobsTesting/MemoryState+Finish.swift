import BackgroundJobs

extension MemoryState {
    mutating func exchange(_ finishes: [Finish], _ claim: Claim, as voucher: Voucher) -> Exchange {
        var exchange = Exchange()
        // What completed is written before what ended otherwise.
        for index in finishes.indices where finishes[index].isPlain {
            if let verdict = complete(finishes[index]) { exchange.exceptions[index] = verdict }
        }
        for index in finishes.indices where !finishes[index].isPlain {
            if let verdict = end(finishes[index], &exchange.notices) { exchange.exceptions[index] = verdict }
        }
        if claim.wanted > 0 {
            var claiming = MemoryClaim(claim, voucher)
            claiming.run(&self)
            exchange.jobs = claiming.jobs
            exchange.notices += claiming.notices
            exchange.paused = claiming.paused
            exchange.isShort = claiming.isShort
            exchange.spent = claiming.spent
        }
        return exchange
    }

    /// Why an attempt is not in `processing`: its own finish has been written, or somebody else ended it.
    func settled(_ attempt: String) -> Verdict {
        data.attempts[attempt]?.present("fin") != nil ? .done : .lost
    }

    private mutating func complete(_ finish: Finish) -> Verdict? {
        guard isProcessing(finish.attempt, finish.queue) else { return settled(finish.attempt) }
        move(finish.attempt, from: finish.queue, to: "completed")
        data.attempts[finish.attempt, default: Record()]["fin"] = "\(now)"
        data.attempts[finish.attempt]?["time"] = "\(finish.milliseconds)"
        count(finish.queue, "completed")
        countInMinute(finish.queue, "run", finish.milliseconds)
        if let job = data.attempts[finish.attempt]?.present("job") {
            notify(JobEnd(job: job, end: "Completed", attempt: finish.attempt))
        }
        return nil
    }

    private mutating func end(_ finish: Finish, _ notices: inout [Notice]) -> Verdict? {
        guard isProcessing(finish.attempt, finish.queue) else { return settled(finish.attempt) }
        let fate = fate(of: finish.job, after: finish.attempt)
        var record = data.attempts[finish.attempt] ?? Record()
        var ending = finish.ending
        // Whatever ends an attempt that is to be cancelled, but success, ends it as `Cancelled`.
        if fate.isToBeCancelled { ending = ending.whenCancelled }
        var message = ending.message
        var crash: Crash?
        if fate.obstacle == nil {
            if case .crashed = ending { crash = self.crash(fate, record) }
            if let sentence = crash?.sentence { message += "; \(sentence)" }
            if ending == .shutdown, record["dlv"] == "amo" {
                message = "the job is dead, since it is to run at most once"
            }
        }
        move(finish.attempt, from: finish.queue, to: ending.set)
        record["fin"] = "\(now)"
        record["time"] = "\(finish.milliseconds)"
        if ending != .completed { record["err"] = ending.error.isEmpty ? "Error" : ending.error }
        if !message.isEmpty { record["msg"] = message }
        for (name, value) in finish.fields { record[name] = value }
        data.attempts[finish.attempt] = record
        for counter in ending.counters { count(finish.queue, counter) }
        if ending.set != "ended" { countInMinute(finish.queue, "run", finish.milliseconds) }
        for sentence in fate.faults {
            notices.append(Notice(queue: finish.queue, sentence: "job \(finish.job): \(sentence)"))
        }
        if ending == .completed {
            releaseLock(of: finish.job)
            if fate.obstacle == nil { settleTies(finish.job, "Completed", facts(finish, "Completed", record)) }
        } else if let obstacle = fate.obstacle {
            let sentence = "job \(finish.job): only its attempt \(finish.attempt) ended: \(obstacle)"
            notices.append(Notice(queue: finish.queue, sentence: sentence))
        } else {
            settle(finish, ending, fate, record, crash)
        }
        return nil
    }

    private mutating func settle(_ finish: Finish, _ ending: Ending, _ fate: Fate, _ record: Record, _ crash: Crash?) {
        let (job, queue) = (finish.job, finish.queue)
        switch ending {
        case .completed:
            break
        case .cancelled:
            endJob(job, as: "Cancelled", facts(finish, "Cancelled", record))
        case .skipped:
            endJob(job, as: "Skipped", facts(finish, "Skipped", record))
        case .dead:
            data.jobs[job]?["ers"] = "\(fate.errors + 1)"
            bury(job, queue, facts(finish, "Dead", record))
        case .discarded:
            data.jobs[job]?["ers"] = "\(fate.errors + 1)"
            endJob(job, as: "Discarded", facts(finish, "Discarded", record))
        case .retried(_, _, let delay, let retryQueue):
            data.jobs[job]?["ers"] = "\(fate.errors + 1)"
            if let retryQueue, retryQueue != queue {
                data.jobs[job]?["que"] = retryQueue
                data.sets["queues", default: []].insert(retryQueue)
            }
            schedule(job, retryQueue ?? queue, at: now + delay)
        case .snoozed(let delay):
            data.jobs[job]?["att"] = "\(max(0, fate.begun - 1))"
            schedule(job, queue, at: now + delay)
        case .crashed:
            if let crash { _ = requeue(job, queue, crash, facts(finish, "Dead", record)) }
        case .shutdown where record["dlv"] == "amo":
            bury(job, queue, facts(finish, "Dead", record))
        case .shutdown, .unbegun:
            if ending == .unbegun, data.jobs[job]?["las"] == finish.attempt {
                // As if it had not been claimed.
                data.jobs[job]?["att"] = "\(max(0, fate.begun - 1))"
                data.jobs[job]?["las"] = record["prv"]
            }
            pushHead("ready", queue, job)
        }
    }

    private func facts(_ finish: Finish, _ end: String, _ record: Record) -> JobEnd {
        JobEnd(
            job: finish.job,
            end: end,
            attempt: finish.attempt,
            error: record["err"],
            message: record.present("msg"),
            output: record["out"]
        )
    }

    // MARK: Crashes

    /// What a crash makes of a job.
    struct Crash {
        var count: Int64
        var first: Int64
        /// Why the job is dead of it.
        var sentence: String?
    }

    private func window(_ record: Record) -> Int64 { record.number("crw") ?? 72 * 3600 * 1000 }

    func crashesWithin(_ window: Int64, _ count: Int64, _ first: Int64?) -> (count: Int64, first: Int64?) {
        guard let first, window == 0 || now - first <= window else { return (0, nil) }
        return (count, first)
    }

    /// - Parameter record: the attempt's.
    func crash(_ fate: Fate, _ record: Record) -> Crash {
        let window = window(record)
        let (before, first) = crashesWithin(window, fate.crashes, fate.crashTime)
        var crash = Crash(count: before + 1, first: first ?? now)
        let budget = record["crm"] == "all" ? Int64.max : record.number("crm") ?? 3
        if record["dlv"] == "amo" {
            crash.sentence = "the job is dead, since it is to run at most once"
        } else if crash.count > budget {
            let hours = window.quotientAndRemainder(dividingBy: 3_600_000)
            let within = hours.remainder == 0 ? "\(hours.quotient) h" : "\(window / 1000) s"
            crash.sentence =
                "the job is dead: crash \(crash.count)\(window == 0 ? "" : " within \(within)"), "
                + "and \(budget) are forgiven"
        }
        return crash
    }

    mutating func requeue(_ job: String, _ queue: String, _ crash: Crash, _ facts: JobEnd) -> Reaped.Outcome {
        data.jobs[job]?["crs"] = "\(crash.count)"
        data.jobs[job]?["crt"] = "\(crash.first)"
        if crash.sentence != nil {
            bury(job, queue, facts)
            return .dead
        }
        // A suspect too: workers wait there. A claim that may not run it puts it aside.
        pushHead("ready", queue, job)
        return crash.count > 1 ? .suspects : .ready
    }

    // MARK: Arguments that are too large

    /// Why a job's arguments are handed to nobody; nil where they may be.
    func refusal(ofArgumentsOf job: String) -> String? {
        let (size, limit) = (data.jobs[job]?.fields["arg"]?.count ?? 0, 16_777_216)
        return size > limit ? "the arguments have \(size) bytes, and the limit is \(limit)" : nil
    }

    /// The ending of a running attempt whose job has got such arguments since it began.
    mutating func endAsTooLarge(_ attempt: String, _ queue: String, _ job: String, _ sentence: String) {
        let fate = fate(of: job, after: attempt)
        move(attempt, from: queue, to: "failed")
        data.attempts[attempt]?["err"] = "Bad Job"
        data.attempts[attempt]?["msg"] = sentence
        count(queue, "bad")
        if fate.obstacle == nil {
            let facts = JobEnd(job: job, end: "Bad Job", attempt: attempt, error: "Bad Job", message: sentence)
            endJob(job, as: "Bad Job", facts)
        }
    }

    // MARK: Shared with reap

    /// What a job's hash says to the ending of one of its attempts.
    struct Fate {
        var errors: Int64 = 0
        var crashes: Int64 = 0
        var crashTime: Int64?
        var begun: Int64 = 0
        var isToBeCancelled = false
        var isOver = false
        /// Why only the attempt ends: the job has no hash, has ended, or another attempt of it is in force.
        var obstacle: String?
        var faults: [String] = []
    }

    func fate(of job: String, after attempt: String) -> Fate {
        guard let record = data.jobs[job], record["cls"] != nil || record["que"] != nil else {
            return Fate(obstacle: "there is no such hash")
        }
        var fate = Fate()
        if record.present("end") != nil {
            fate.obstacle = "it had ended before"
        } else if let last = record.present("las"), last != attempt, isRunningOrDone(last) {
            fate.obstacle = "another attempt of it is in force"
        }
        fate.isOver = fate.obstacle != nil
        fate.isToBeCancelled = !fate.isOver && record["cnl"] == "1"
        fate.errors = record.number("ers") ?? 0
        fate.crashes = record.number("crs") ?? 0
        fate.crashTime = record.number("crt")
        fate.begun = record.number("att") ?? 0
        for field in ["ers", "crs", "crt"] {
            guard let text = record[field], record.number(field) == nil else { continue }
            fate.faults.append("\(field) of the job was no number: \(text)")
        }
        return fate
    }

    mutating func move(_ attempt: String, from queue: String, to kind: String) {
        data.sets["processing:\(queue)"]?.remove(attempt)
        setScore(kind, queue, attempt, now)
    }

    mutating func bury(_ job: String, _ queue: String, _ facts: JobEnd) {
        endJob(job, as: "Dead", facts)
        setScore("dead", queue, job, now)
        count(queue, "dead")
    }
}

extension Finish {
    fileprivate var isPlain: Bool { ending == .completed && !hasTies && fields.isEmpty }
}

extension Ending {
    /// The attempt's `err` and `msg`, the set it goes to, and as what it counts.
    private var terms: (error: String, message: String, set: String, counters: [String]) {
        switch self {
        case .completed: ("", "", "completed", ["completed"])
        case .retried(let error, let message, _, _), .dead(let error, let message):
            (error, message, "failed", error == "Timeout" ? ["failed", "timeout"] : ["failed"])
        case .discarded(let error, let message):
            (
                error, message, "failed",
                error == "Timeout" ? ["failed", "timeout", "discarded"] : ["failed", "discarded"]
            )
        case .crashed(let message): ("Crashed", message, "failed", ["crashed"])
        case .snoozed: ("Snoozed", "", "ended", ["snoozed"])
        case .shutdown, .unbegun: ("Shutdown", "", "ended", ["shutdown"])
        case .cancelled(let message): ("Cancelled", message, "ended", ["cancelled"])
        case .skipped(let message): ("Skipped", message, "ended", ["skipped"])
        }
    }

    fileprivate var error: String { terms.error }
    fileprivate var message: String { terms.message }
    fileprivate var set: String { terms.set }
    fileprivate var counters: [String] { terms.counters }

    /// What it is where the job is to be cancelled.
    fileprivate var whenCancelled: Ending {
        switch self {
        case .completed, .cancelled: self
        default: .cancelled(message: message.isEmpty ? error : "\(error): \(message)")
        }
    }
}
