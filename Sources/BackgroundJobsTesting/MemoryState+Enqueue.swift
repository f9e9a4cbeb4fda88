import BackgroundJobs

extension MemoryState {
    mutating func enqueue(_ jobs: [NewJob]) {
        for job in jobs where !(job.isIDChosen && data.jobs[job.id]?["que"] != nil) {
            let due: Int64? =
                switch job.due {
                case nil: nil
                case .at(let time): time
                case .after(let delay): now + delay
                }
            var record = data.jobs[job.id] ?? Record()
            record["que"] = job.queue
            record["cls"] = job.className
            record.fields["arg"] = job.arguments
            record["qat"] = "\(now)"
            if let due, due > now {
                record["pat"] = "\(due)"
                setScore("scheduled", job.queue, job.id, due)
            } else {
                pushTail("ready", job.queue, job.id)
            }
            data.jobs[job.id] = record
            data.sets["queues", default: []].insert(job.queue)
        }
    }

    /// nil where nothing tells which queue the job waits in.
    mutating func dequeue(_ job: String) -> Dequeued? {
        guard let record = data.jobs[job], record["que"] != nil || record["cls"] != nil, record["end"] != "Dequeued"
        else {
            return .missing
        }
        if record.present("end") != nil { return .ended }
        if let last = record.present("las") {
            let attempt = data.attempts[last] ?? Record()
            if let queue = attempt["que"] ?? record["que"], isProcessing(last, queue) { return .running }
            if attempt.present("fin") != nil, attempt["err"] == nil { return .ended }
        }
        guard let queue = record["que"] else { return nil }
        var wasFound = data.sortedSets["scheduled:\(queue)"]?.removeValue(forKey: job) != nil
        var hasLongList = false
        for kind in ["handoff", "ready", "suspects"] {
            let ids = list(kind, queue)
            if ids.count > 10_000 {
                hasLongList = true
            } else if ids.contains(job) {
                data.lists["\(kind):\(queue)"] = ids.filter { $0 != job }
                wasFound = true
            }
        }
        if wasFound {
            deleteJob(job)
        } else if hasLongList {
            data.jobs[job]?["end"] = "Dequeued"
        } else {
            return .ended
        }
        return .dequeued
    }
}
