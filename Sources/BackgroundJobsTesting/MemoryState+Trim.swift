import BackgroundJobs

extension MemoryState {
    mutating func trim(
        _ set: TrimmedSet,
        of queue: String,
        keep: Retention,
        limit: Int,
        from rank: Int
    ) -> Trimmed {
        let key = "\(set.rawValue):\(queue)"
        let members = data.ranked(key)
        var excess = keep.count.map { members.count - $0 } ?? 0
        if let age = keep.age {
            let oldest = now - age.milliseconds
            excess = max(excess, members.count { (data.sortedSets[key]?[$0] ?? 0) <= oldest })
        }
        let end = min(excess, rank + limit)
        guard end > rank else { return Trimmed(removed: 0, kept: 0, hasMore: false) }
        let step = members[rank..<end]
        let removed = remove(Array(step), from: set, of: queue).count
        return Trimmed(removed: removed, kept: step.count - removed, hasMore: end < excess)
    }

    mutating func delete(_ members: [String], from set: TrimmedSet, of queue: String) -> [String] {
        remove(members.filter { data.sortedSets["\(set.rawValue):\(queue)"]?[$0] != nil }, from: set, of: queue)
    }

    private mutating func remove(_ members: [String], from set: TrimmedSet, of queue: String) -> [String] {
        let gone = members.filter { set == .dead ? bringOutDead($0) : bringOut($0, set) }
        for member in gone { data.sortedSets["\(set.rawValue):\(queue)"]?[member] = nil }
        return gone
    }

    /// An attempt takes its job along if it is the job's last one and the job has ended. False if it has to stay: a dead
    /// job's last one.
    private mutating func bringOut(_ attempt: String, _ set: TrimmedSet) -> Bool {
        if let job = data.attempts[attempt]?["job"], data.jobs[job]?["las"] == attempt {
            let end = data.jobs[job]?.present("end")
            if end == "Dead" { return false }
            if let end = end ?? (set == .completed ? "Completed" : nil) { leave(job, as: end) }
        }
        data.attempts[attempt] = nil
        return true
    }

    /// A dead job takes its chain of attempts along.
    private mutating func bringOutDead(_ job: String) -> Bool {
        guard let record = data.jobs[job], record["end"] == "Dead" else { return true }
        var next = record.present("las")
        while let attempt = next, let record = data.attempts[attempt], record["job"] == job {
            if let queue = record["que"] {
                data.sortedSets["failed:\(queue)"]?[attempt] = nil
                data.sortedSets["ended:\(queue)"]?[attempt] = nil
            }
            data.attempts[attempt] = nil
            next = record.present("prv")
        }
        // Nobody can retry it any more: what waited for it waits no longer.
        forgo(record["nxt"], because: "the job before it is dead")
        dropWaiting(record["onf"])
        leave(job, as: "Dead")
        return true
    }

    /// A job that goes stays for five minutes, so that a late duplicate runs nothing.
    private mutating func leave(_ job: String, as end: String) {
        data.jobs[job]?["end"] = end
        setDeadline("jobs:\(job)", in: 300_000)
    }
}
