extension StoreSnapshot {
    /// I9: what would stay for ever.
    ///
    /// - A lock, who awaits a job, and lists of notes expire, and so do the counters of a minute.
    /// - A job that has ended expires, or goes with its last attempt, its place in `dead`, or its ID in a list.
    /// - Of a job that waits for another one, or for a batch, see I11.
    /// - A batch expires when it is complete; until then it is open, or one of its members has not ended.
    /// - A periodic job has a place in `crons`, and each place a periodic job.
    func unboundedKeys() -> [String] {
        lastingNotes() + lastingJobs() + stuckBatches() + strayPeriodics()
    }

    private func lastingNotes() -> [String] {
        let kinds = ["awaited:", "notes:", "cancel:", "wake:"]
        let notes = (Array(lists.keys) + Array(sets.keys)).filter { key in kinds.contains { key.hasPrefix($0) } }
        let minutes = counters.keys.filter { $0.split(separator: ":").count == 3 }
        return (notes + minutes + locks.keys).filter { !expiring.contains($0) }.map { "I9: \($0) does not expire" }
    }

    private func lastingJobs() -> [String] {
        let listed = Set(lists.values.joined())
        return jobs.compactMap { id, job in
            guard let end = job.present("end"), end != "Dead", !expiring.contains("jobs:\(id)") else { return nil }
            if let last = job.present("las"), attempts[last]?["job"] == id { return nil }
            if end == "Dequeued", listed.contains(id) { return nil }
            return "I9: job \(id) ended as \(end), and nothing takes it along"
        }
    }

    private func stuckBatches() -> [String] {
        var living: Set<String> = []
        for (id, job) in jobs where !hasEnded(id) { living.formUnion([job.present("bat")].compactMap(\.self)) }
        for batch in batches.values where batch.present("fin") == nil {
            living.formUnion([batch.present("prn")].compactMap(\.self))
        }
        return batches.compactMap { id, batch in
            if batch.present("fin") != nil {
                return expiring.contains("batch:\(id)") ? nil : "I9: batch \(id) is complete and does not expire"
            }
            return batch.present("opn") != nil || living.contains(id) ? nil : "I9: batch \(id) waits for nobody"
        }
    }

    private func strayPeriodics() -> [String] {
        Set(periodics.keys).symmetricDifference((sortedSets["crons"] ?? [:]).keys).map {
            "I9: crons and cron:\($0) contradict each other"
        }
    }

    /// Whether the job has ended for good: its hash says so, or its last attempt succeeded.
    package func hasEnded(_ id: String) -> Bool {
        guard let job = jobs[id] else { return false }
        if job.present("end") != nil { return true }
        guard let last = job.present("las"), let attempt = attempts[last] else { return false }
        return attempt.present("fin") != nil && attempt["err"] == nil
    }
}
