import BackgroundJobs

extension MemoryState {
    mutating func exchange(_ finishes: [Finish], _ claim: Claim, as voucher: Voucher) -> Exchange {
        var exchange = Exchange()
        // What completed is written before what ended otherwise.
        for index in finishes.indices where finishes[index].ending == .completed {
            if let verdict = complete(finishes[index]) { exchange.exceptions[index] = verdict }
        }
        for index in finishes.indices where finishes[index].ending != .completed {
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
        return nil
    }

    private mutating func end(_ finish: Finish, _ notices: inout [Notice]) -> Verdict? {
        guard isProcessing(finish.attempt, finish.queue) else { return settled(finish.attempt) }
        let fate = fate(of: finish.job, after: finish.attempt)
        var (error, message, ending) = finish.ending.terms
        // Whatever ends an attempt that is to be cancelled, but success, ends it as `Cancelled`.
        if fate.isToBeCancelled, ending != .cancelled {
            message = message.isEmpty ? error : "\(error): \(message)"
            (error, ending) = ("Cancelled", .cancelled)
        }
        let isFailure = ending == .dead || ending == .discarded
        move(finish.attempt, from: finish.queue, to: isFailure ? "failed" : "ended")
        var record = data.attempts[finish.attempt] ?? Record()
        record["fin"] = "\(now)"
        record["time"] = "\(finish.milliseconds)"
        record["err"] = error.isEmpty ? "Error" : error
        if !message.isEmpty { record["msg"] = message }
        data.attempts[finish.attempt] = record
        if isFailure {
            count(finish.queue, "failed")
            countInMinute(finish.queue, "run", finish.milliseconds)
        }
        if let counter = ending.counter { count(finish.queue, counter) }
        for sentence in fate.faults {
            notices.append(Notice(queue: finish.queue, sentence: "job \(finish.job): \(sentence)"))
        }
        guard let obstacle = fate.obstacle else {
            settle(
                finish,
                ending,
                errors: fate.errors + 1,
                isAtMostOnce: record["dlv"] == "amo",
                isSuspect: fate.crashes > 1
            )
            return nil
        }
        let sentence = "job \(finish.job): only its attempt \(finish.attempt) ended: \(obstacle)"
        notices.append(Notice(queue: finish.queue, sentence: sentence))
        return nil
    }

    private mutating func settle(
        _ finish: Finish,
        _ ending: Ending.Kind,
        errors: Int64,
        isAtMostOnce: Bool,
        isSuspect: Bool
    ) {
        switch ending {
        case .cancelled:
            data.jobs[finish.job]?["end"] = "Cancelled"
        case .dead:
            data.jobs[finish.job]?["ers"] = "\(errors)"
            bury(finish.job, finish.queue)
        case .discarded:
            data.jobs[finish.job]?["ers"] = "\(errors)"
            data.jobs[finish.job]?["end"] = "Discarded"
        case .shutdown where isAtMostOnce:
            bury(finish.job, finish.queue)
        case .shutdown:
            pushHead(isSuspect ? "suspects" : "ready", finish.queue, finish.job)
        }
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
        if fate.obstacle == nil { data.jobs[job]?["end"] = "Bad Job" }
    }

    // MARK: Shared with reap

    /// What a job's hash says to the ending of one of its attempts.
    struct Fate {
        var errors: Int64 = 0
        var crashes: Int64 = 0
        var crashTime: Int64?
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

    mutating func bury(_ job: String, _ queue: String) {
        data.jobs[job]?["end"] = "Dead"
        setScore("dead", queue, job, now)
        count(queue, "dead")
    }
}

extension Ending {
    enum Kind { case dead, discarded, shutdown, cancelled }

    /// The attempt's `err` and `msg`, and what becomes of the job.
    fileprivate var terms: (error: String, message: String, ending: Kind) {
        switch self {
        case .completed: preconditionFailure("a completed attempt has no error")
        case .failed(let error, let message): (error, message, .dead)
        case .discarded(let error, let message): (error, message, .discarded)
        case .shutdown: ("Shutdown", "", .shutdown)
        case .cancelled: ("Cancelled", "", .cancelled)
        }
    }
}

extension Ending.Kind {
    fileprivate var counter: String? {
        switch self {
        case .dead: nil
        case .discarded: "discarded"
        case .shutdown: "shutdown"
        case .cancelled: "cancelled"
        }
    }
}
