import BackgroundJobs

extension MemoryState {
    /// Returns the holders of the locks that were not to be had.
    mutating func enqueue(_ jobs: [NewJob]) -> [String: Duplicate] {
        var holders: [String: Duplicate] = [:]
        // Those with a lock come last, one by one.
        let present = Set(jobs.map(\.id).filter(isQueued))
        for job in jobs where job.lock == nil {
            if job.isIDChosen, present.contains(job.id) {
                holders[job.id] = Duplicate(id: job.id)
            } else if !(job.isIDChosen && isQueued(job.id)) {
                queue(job)
            }
        }
        for job in jobs {
            guard let lock = job.lock, !isQueued(job.id) else { continue }
            if let holder = holder(of: lock, for: job) { holders[job.id] = holder }
        }
        return holders
    }

    /// Of one that was dequeued from a long list the hash is still there.
    private func isQueued(_ job: String) -> Bool {
        data.jobs[job]?["que"] != nil && data.jobs[job]?["end"] != "Dequeued"
    }

    private func due(_ job: NewJob) -> Int64? {
        let due: Int64? =
            switch job.due {
            case nil: nil
            case .at(let time): time
            case .after(let delay): now + delay
            }
        return due.flatMap { $0 > now ? $0 : nil }
    }

    mutating func queue(_ job: NewJob) {
        let due = due(job)
        var record = data.jobs[job.id] ?? Record()
        for field in ["end", "att", "las", "ers", "crs", "crt", "cnl", "pla", "plt"] { record[field] = nil }
        record["que"] = job.queue
        record["cls"] = job.className
        record.fields["arg"] = job.arguments
        record["qat"] = "\(now)"
        if let expiry = job.expiry { record["exp"] = "\((due ?? now) + expiry)" }
        if let lock = job.lock {
            record["unq"] = lock.digest
            if lock.until == .started { record["unu"] = "started" }
        }
        for (name, value) in job.togetherFields { record[name] = value }
        if job.isWaiting {
            record["exp"] = nil
            record["blk"] = "1"
        }
        data.jobs[job.id] = record
        recorded?.append(EnqueuedJob(id: job.id, record, due: due, isWaiting: job.isWaiting))
        if job.isWaiting { return }
        if let due {
            schedule(job.id, job.queue, at: due)
        } else {
            pushTail("ready", job.queue, job.id)
        }
        data.sets["queues", default: []].insert(job.queue)
    }

    /// Queues the job, or finds who holds its lock, and changes that one.
    private mutating func holder(of lock: NewJob.Lock, for job: NewJob) -> Duplicate? {
        let key = "unique:\(lock.digest)"
        let due = due(job)
        if let holder = data.locks[key], let standing = standing(of: holder), !standing.hasEnded {
            var wasChanged = false
            if !standing.isRunning, lock.duplicate != .skip {
                setDeadline(key, in: (due ?? now) - now + lock.duration)
                if lock.duplicate != .replaceTime {
                    data.jobs[holder]?.fields["arg"] = job.arguments
                    wasChanged = true
                }
                if lock.duplicate != .replaceArguments, move(holder, standing.queue, to: due, job.expiry) {
                    wasChanged = true
                }
            }
            return Duplicate(id: holder, wasChanged: wasChanged)
        }
        queue(job)
        data.locks[key] = job.id
        setDeadline(key, in: (due ?? now) - now + lock.duration)
        return nil
    }

    /// False if it was not found where it should be.
    private mutating func move(_ holder: String, _ queue: String, to due: Int64?, _ expiry: Int64?) -> Bool {
        let record = data.jobs[holder] ?? Record()
        let (former, before) = (record.number("exp"), record.number("pat") ?? record.number("qat") ?? due ?? now)
        guard takeOut(holder, queue, longest: 10_000) else { return false }
        if let due {
            schedule(holder, queue, at: due)
        } else {
            set("pat", of: holder, to: now)
            pushTail("ready", queue, holder)
        }
        if let expiry {
            set("exp", of: holder, to: (due ?? now) + expiry)
        } else if let former {
            // As long after its new time as after its former one.
            set("exp", of: holder, to: former + (due ?? now) - before)
        }
        return true
    }

    // MARK: Taking jobs out

    /// Where a job stands, for somebody who wants to take it out.
    struct Standing {
        /// Empty where nothing tells which it is.
        var queue = ""
        var isRunning = false
        var hasEnded = false
        /// How, where the job says.
        var end: String?
        var last: String?
    }

    /// nil where there is no such job.
    func standing(of job: String) -> Standing? {
        guard let record = data.jobs[job], record["que"] != nil || record["cls"] != nil, record["end"] != "Dequeued"
        else {
            return nil
        }
        var standing = Standing(queue: record["que"] ?? "", end: record.present("end"), last: record.present("las"))
        if let last = standing.last {
            let attempt = data.attempts[last] ?? Record()
            if let queue = attempt["que"] ?? record["que"] { standing.isRunning = isProcessing(last, queue) }
            standing.hasEnded = attempt.present("fin") != nil && attempt["err"] == nil
        }
        if !standing.isRunning, standing.end != nil { standing.hasEnded = true }
        return standing
    }

    /// Whether a job waits or runs.
    func isUnderWay(_ job: String) -> Bool {
        standing(of: job).map { $0.isRunning || !$0.hasEnded } ?? false
    }

    /// Takes a job's ID out of wherever it waits, lists longer than `longest` apart; false if it was not found.
    private mutating func takeOut(_ job: String, _ queue: String, longest: Int = .max) -> Bool {
        var wasFound = data.sortedSets["scheduled:\(queue)"]?.removeValue(forKey: job) != nil
        for kind in ["handoff", "ready", "suspects"] {
            let ids = list(kind, queue)
            guard ids.count <= longest, ids.contains(job) else { continue }
            data.lists["\(kind):\(queue)"] = ids.filter { $0 != job }
            wasFound = true
        }
        if let place = data.jobs[job]?.present("pla").flatMap({ Place("\(queue):\($0)") }) {
            let ids = list("placed", "\(place)")
            if ids.count <= longest {
                if ids.contains(job) { wasFound = true }
                data.lists["placed:\(place)"] = ids.filter { $0 != job }
                closeIfEmpty(place)
                data.jobs[job]?["pla"] = nil
                data.jobs[job]?["plt"] = nil
            }
        }
        return wasFound
    }

    /// nil where nothing tells which queue the job waits in.
    mutating func dequeue(_ job: String) -> Dequeued? {
        guard let standing = standing(of: job) else { return .missing }
        if standing.isRunning { return .running }
        if standing.hasEnded { return .ended }
        guard !standing.queue.isEmpty else { return nil }
        let isWaiting = data.jobs[job]?["blk"] == "1"
        let wasFound = takeOut(job, standing.queue, longest: 10_000)
        endJob(job, as: "Dequeued")
        if wasFound || isWaiting { deleteJob(job) }
        return .dequeued
    }

    /// nil where nothing tells which queue the job waits in.
    mutating func cancel(_ job: String, recordedAs attempt: String) -> Cancelled? {
        guard let standing = standing(of: job) else { return .missing }
        if standing.isRunning {
            data.jobs[job]?["cnl"] = "1"
            if let last = standing.last, let node = data.attempts[last]?.present("nod") {
                pushTail("cancel", node, last)
                setDeadline("cancel:\(node)", in: 60_000)
            }
            return .told
        }
        if standing.hasEnded { return .ended }
        guard !standing.queue.isEmpty else { return nil }
        _ = takeOut(job, standing.queue, longest: 10_000)
        var record = Record()
        for (field, value) in [
            ("sta", "\(now)"), ("fin", "\(now)"), ("time", "0"), ("job", job), ("que", standing.queue), ("num", "0"),
            ("err", "Cancelled"),
        ] { record[field] = value }
        record["prv"] = standing.last
        data.attempts[attempt] = record
        setScore("ended", standing.queue, attempt, now)
        data.jobs[job]?["las"] = attempt
        data.jobs[job]?["cnl"] = "1"
        endJob(job, as: "Cancelled", JobEnd(job: job, end: "Cancelled", attempt: attempt, error: "Cancelled"))
        count(standing.queue, "cancelled")
        return .cancelled
    }

    mutating func retry(_ job: String, onlyDead: Bool) -> Retried {
        guard let standing = standing(of: job) else { return .missing }
        if standing.isRunning { return .running }
        let mendable = onlyDead ? ["Dead"] : ["Dead", "Discarded", "Cancelled", "Expired"]
        let isMended = standing.hasEnded && mendable.contains(standing.end ?? "")
        if standing.hasEnded, !isMended { return .ended }
        if isMended, let last = standing.last, data.attempts[last] == nil { return .missing }
        let queue = standing.queue
        guard !queue.isEmpty else { return .damaged("the job has no field que") }
        if isMended {
            if standing.end == "Cancelled" { _ = takeOut(job, queue) }
            for field in ["end", "ers", "crs", "crt", "cnl", "exp", "pla", "plt"] { data.jobs[job]?[field] = nil }
            recallInBatch(data.jobs[job]?["bat"], standing.end ?? "")
            recallInChain(data.jobs[job] ?? Record())
            data.sortedSets["dead:\(queue)"]?[job] = nil
            if let last = standing.last, let other = data.attempts[last]?["que"] {
                data.sortedSets["dead:\(other)"]?[job] = nil
            }
        } else if data.sortedSets["scheduled:\(queue)"]?.removeValue(forKey: job) == nil {
            return .waiting
        }
        set("pat", of: job, to: now)
        if isMended { set("qat", of: job, to: now) }
        pushTail("ready", queue, job)
        data.sets["queues", default: []].insert(queue)
        return .queued
    }
}
