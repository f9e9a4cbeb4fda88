import BackgroundJobs

extension MemoryState {
    /// How long a batch that is complete is kept, and the callbacks that have not been called.
    private static let retention: Int64 = 604_800_000

    /// How many batches there are around a job at most.
    private static let deepest = 16

    mutating func open(_ batch: NewBatch) -> BatchVerdict {
        if data.batches[batch.id] != nil { return .done }
        if let parent = batch.parent {
            guard let around = data.batches[parent] else { return .missing }
            if around["fin"] != nil { return .over }
            let batches = data.batches
            let depth = sequence(first: parent) { batches[$0]?.present("prn") }.count { _ in true }
            if depth >= Self.deepest { return .deep }
        }
        write([batch.onComplete, batch.onSuccess, batch.onDeath].compactMap(\.self), nil, opens: true)
        var record = Record()
        for field in ["tot", "pen", "suc", "ded", "oth"] { record[field] = "0" }
        record["qat"] = "\(now)"
        record["opn"] = "1"
        record["prn"] = batch.parent
        record["dsc"] = batch.description
        record["cmp"] = batch.onComplete?.id
        record["scs"] = batch.onSuccess?.id
        record["dth"] = batch.onDeath?.id
        data.batches[batch.id] = record
        if let parent = batch.parent {
            add(1, to: "tot", of: parent)
            add(1, to: "pen", of: parent)
        }
        return .done
    }

    mutating func add(_ jobs: [NewJob], to batch: String) -> BatchVerdict {
        guard let record = data.batches[batch] else { return .missing }
        if record["fin"] != nil, jobs.contains(where: { isNew($0.id) }) { return .over }
        let added = write(jobs, batch)
        if added > 0 {
            add(Int64(added), to: "tot", of: batch)
            add(Int64(added), to: "pen", of: batch)
        }
        return .done
    }

    mutating func close(_ batch: String) -> BatchVerdict {
        guard data.batches[batch] != nil else { return .missing }
        guard data.batches[batch]?["opn"] != nil else { return .done }
        data.batches[batch]?["opn"] = nil
        if number("pen", of: batch) == 0 {
            let (parent, end) = complete(batch)
            countInBatch(parent, end)
        }
        return .done
    }

    /// Of one that was dequeued from a long list the hash is still there.
    private func isNew(_ job: String) -> Bool { data.jobs[job] == nil || data.jobs[job]?["end"] == "Dequeued" }

    /// Writes those that are not there; returns how many.
    ///
    /// - Parameter opens: they are the callbacks of a new batch. Else those that wait are written only along with one that does
    ///   not: where that is there all of them were, and some may be gone.
    @discardableResult
    mutating func write(_ jobs: [NewJob], _ batch: String?, opens: Bool = false) -> Int {
        var seen: Set<String> = []
        let new = jobs.filter { seen.insert($0.id).inserted && isNew($0.id) }
        guard opens || new.contains(where: { !$0.isWaiting }) else { return 0 }
        for job in new {
            data.jobs[job.id] = nil
            clearDeadline("jobs:\(job.id)")
            queue(job)
            if !job.isWaiting { data.jobs[job.id]?["bat"] = batch }
        }
        return new.count
    }

    // MARK: Counting

    private func number(_ field: String, of batch: String) -> Int64 { data.batches[batch]?.number(field) ?? 0 }

    private mutating func add(_ by: Int64, to field: String, of batch: String) {
        let sum = max(0, number(field, of: batch) + by)
        data.batches[batch]?[field] = "\(sum)"
    }

    private func counter(_ end: String) -> String { end == "Completed" ? "suc" : end == "Dead" ? "ded" : "oth" }

    /// As what a batch that is complete counts in the one around it.
    private func end(of batch: String) -> String {
        number("ded", of: batch) > 0 ? "Dead" : number("oth", of: batch) > 0 ? "Cancelled" : "Completed"
    }

    /// What a callback is told of its batch.
    private func summary(_ batch: String) -> String {
        let names = [("total", "tot"), ("pending", "pen"), ("completed", "suc"), ("dead", "ded"), ("other", "oth")]
        return "{\"id\":\"\(batch)\"," + names.map { "\"\($0)\":\(number($1, of: batch))" }.joined(separator: ",") + "}"
    }

    /// A member of a batch has ended for good.
    mutating func countInBatch(_ batch: String?, _ end: String) {
        guard let batch, let record = data.batches[batch] else { return }
        add(-1, to: "pen", of: batch)
        add(1, to: counter(end), of: batch)
        if end == "Dead" {
            let summary = summary(batch)
            call(record["dth"], summary)
        }
        guard number("pen", of: batch) == 0, record["opn"] == nil else { return }
        let (parent, end) = complete(batch)
        countInBatch(parent, end)
    }

    private mutating func call(_ callback: String?, _ summary: String) {
        release(callback, ["bsm": summary])
    }

    private mutating func complete(_ batch: String) -> (parent: String?, end: String) {
        let record = data.batches[batch] ?? Record()
        let summary = summary(batch)
        let time = now
        data.batches[batch]?["fin"] = "\(time)"
        setDeadline("batch:\(batch)", in: Self.retention)
        call(record["cmp"], summary)
        if number("suc", of: batch) == number("tot", of: batch) {
            call(record["scs"], summary)
            dropWaiting(record["dth"])
        } else {
            // Those that failed may be retried by hand.
            for case let callback? in [record["scs"], record["dth"]] where isWaiting(callback) {
                setDeadline("jobs:\(callback)", in: Self.retention)
            }
        }
        return (record["prn"], end(of: batch))
    }

    /// A member that had ended so is to run again.
    mutating func recallInBatch(_ batch: String?, _ end: String) {
        guard let batch, let record = data.batches[batch] else { return }
        let former = self.end(of: batch)
        add(1, to: "pen", of: batch)
        add(-1, to: counter(end), of: batch)
        guard record["fin"] != nil else { return }
        data.batches[batch]?["fin"] = nil
        clearDeadline("batch:\(batch)")
        for case let callback? in [record["scs"], record["dth"]] where isWaiting(callback) {
            clearDeadline("jobs:\(callback)")
        }
        recallInBatch(record["prn"], former)
    }
}
