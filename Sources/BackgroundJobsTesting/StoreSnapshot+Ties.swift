/// The invariants of chains and batches.
extension StoreSnapshot {
    // I10
    func miscountedBatches() -> [String] {
        batches.compactMap { id, batch in
            func count(_ field: String) -> Int64 { batch.number(field) ?? 0 }
            let pending = count("pen")
            guard pending == count("tot") - count("suc") - count("ded") - count("oth") else {
                return "I10: the counts of batch \(id) don't add up: \(batch.texts)"
            }
            let isComplete = batch["opn"] == nil && pending == 0
            return isComplete == (batch["fin"] != nil)
                ? nil : "I10: batch \(id) is not complete as it says: \(batch.texts)"
        }
    }

    // I11
    func forgottenJobs() -> [String] {
        var callers: Set<String> = []
        for (id, job) in jobs {
            let isDone = hasSucceeded(job) || job.present("end") != nil
            // A dead one waits for a retry by hand; what it has called waits no longer.
            let isDead = job["end"] == "Dead" && !expiring.contains("jobs:\(id)")
            if !isDone || isDead, let next = job.present("nxt") { callers.insert(next) }
            if !isDone, let callback = job.present("onf") { callers.insert(callback) }
        }
        for batch in batches.values {
            if batch["fin"] == nil, let callback = batch.present("cmp") { callers.insert(callback) }
            for case let callback? in [batch.present("scs"), batch.present("dth")] { callers.insert(callback) }
        }
        return jobs.keys.filter { jobs[$0]?["blk"] == "1" && !callers.contains($0) }
            .map { "I11: job \($0) waits, and nobody will call it" }
    }

    private func hasSucceeded(_ job: Record) -> Bool {
        guard let last = job.present("las").flatMap({ attempts[$0] }) else { return false }
        return last["fin"] != nil && last["err"] == nil
    }
}

extension StoreSnapshot.Record {
    fileprivate var texts: String { fields.keys.sorted().map { "\($0)=\(self[$0] ?? "")" }.joined(separator: " ") }
}
