import BackgroundJobs

extension MemoryState {
    mutating func adopt(_ adoption: Adoption, as voucher: Voucher) -> Adopted {
        var adopted = Adopted(verdicts: [:], granted: [])
        for (attempt, queue) in adoption.attempts where adopted.verdicts[attempt] == nil {
            if isProcessing(attempt, queue) {
                adopted.verdicts[attempt] = takeOver(attempt, needsJob: false, voucher) ? .yours : .lost
            } else {
                adopted.verdicts[attempt] = settled(attempt)
            }
        }
        for attempt in adoption.offered where adopted.verdicts[attempt] == nil {
            if let queue = adoption.queues.last(where: { isProcessing(attempt, $0) }) {
                if let record = data.attempts[attempt], record["nod"] == voucher.node, let job = record["job"],
                    let sentence = refusal(ofArgumentsOf: job)
                {
                    endAsTooLarge(attempt, queue, job, sentence)
                    adopted.verdicts[attempt] = .lost
                    continue
                }
                let isYours = takeOver(attempt, needsJob: true, voucher)
                adopted.verdicts[attempt] = isYours ? .yours : .lost
                if isYours, let job = data.attempts[attempt]?["job"] {
                    adopted.granted.append(ClaimedJob(regranting: attempt, of: job, in: queue, self))
                }
            } else {
                adopted.verdicts[attempt] = data.attempts[attempt] == nil ? .never : settled(attempt)
            }
        }
        return adopted
    }

    private mutating func takeOver(_ attempt: String, needsJob: Bool, _ voucher: Voucher) -> Bool {
        guard var record = data.attempts[attempt], record["nod"] == voucher.node, !needsJob || record["job"] != nil
        else {
            return false
        }
        record["wrk"] = "\(voucher.client)"
        record["ado"] = "\((record.number("ado") ?? 0) + 1)"
        data.attempts[attempt] = record
        return true
    }

    mutating func recover(_ jobs: [String], in queue: String) -> [String] {
        var moved: [String] = []
        for job in jobs.reversed() {
            guard let place = list("handoff", queue).firstIndex(of: job) else { continue }
            data.lists["handoff:\(queue)"]?.remove(at: place)
            pushHead("ready", queue, job)
            moved.append(job)
        }
        return moved
    }

    /// A place of which nothing is left is not listed.
    mutating func closeIfEmpty(_ place: Place) {
        if list("placed", "\(place)").isEmpty { data.sets["places"]?.remove("\(place)") }
    }

    mutating func fallBack(_ place: Place, absence: Int64, limit: Int, from rank: Int) -> FellBack {
        let ids = Array(list("placed", "\(place)").dropFirst(rank).prefix(limit))
        var moved: [String] = []
        for job in ids.reversed() {
            let record = data.jobs[job]
            let wait = record?.number("fbk") ?? 10_000
            let isOver =
                record?["cls"] == nil
                || record?["fbk"] != "never" && absence >= wait && now - (record?.number("plt") ?? 0) >= wait
            guard isOver, let index = list("placed", "\(place)").lastIndex(of: job) else { continue }
            data.lists["placed:\(place)"]?.remove(at: index)
            if record?["cls"] != nil {
                data.jobs[job]?["pla"] = "any"
                data.jobs[job]?["plt"] = nil
            }
            pushHead("ready", place.queue, job)
            moved.append(job)
        }
        closeIfEmpty(place)
        return FellBack(moved: moved, kept: ids.count - moved.count, hasMore: ids.count == limit)
    }

    mutating func promote(_ queue: String, limit: Int) -> Promotion {
        let key = "scheduled:\(queue)"
        let due = data.ranked(key).filter { (data.sortedSets[key]?[$0] ?? 0) <= now }.prefix(limit)
        for job in due {
            data.sortedSets[key]?[job] = nil
            pushTail("ready", queue, job)
        }
        let next = data.sortedSets[key]?.values.min()
        return Promotion(moved: Array(due), wait: next.map { max(0, min($0 - now, 9_007_199_254_740_992)) })
    }

    // MARK: reap

    mutating func reap(_ condemned: Condemned) -> Reaped {
        let attempt = condemned.attempt
        guard isProcessing(attempt, condemned.queue) else { return Reaped(outcome: .spared, job: nil) }
        let record = data.attempts[attempt] ?? Record()
        switch condemned.judgement {
        case .unreadable:
            return clear(attempt, condemned.queue, record)
        case .gone(let client, let node, let adoptions):
            guard record["wrk"] == client, record["nod"] == node, record["ado"] ?? "" == adoptions,
                let job = record["job"]
            else { return Reaped(outcome: .spared, job: record["job"]) }
            return Reaped(outcome: endAsVanished(attempt, condemned.queue, job, record), job: job)
        }
    }

    /// An attempt that nobody can answer for, since its hash is missing or lacks what a reader needs.
    private mutating func clear(_ attempt: String, _ queue: String, _ record: Record) -> Reaped {
        let hasClient = record["wrk"].map { !$0.isEmpty && $0.allSatisfy { $0.isASCII && $0.isNumber } } ?? false
        if hasClient, record.number("wrk") != nil, record["nod"] != nil, record["que"] != nil, let job = record["job"] {
            return Reaped(outcome: .spared, job: job)
        }
        move(attempt, from: queue, to: "failed")
        data.attempts[attempt, default: Record()]["que"] = queue
        data.attempts[attempt]?["err"] = "Bad Attempt"
        data.attempts[attempt]?["msg"] = "the hash lacked wrk, nod, job or que"
        count(queue, "bad")
        let job = record.present("job")
        if let job, let fields = data.jobs[job], fields["las"] == attempt, fields.present("end") == nil {
            let facts = JobEnd(job: job, end: "Dead", attempt: attempt, error: "Bad Attempt")
            if fields["cnl"] == "1" {
                endJob(job, as: "Cancelled", facts)
            } else if record["dlv"] == "amo" {
                bury(job, queue, facts)
            } else {
                pushHead("ready", queue, job)
            }
        }
        return Reaped(outcome: .unreadable, job: job)
    }

    /// The ending of an attempt whose worker is gone: no `fin`, since nobody knows when.
    private mutating func endAsVanished(
        _ attempt: String,
        _ queue: String,
        _ job: String,
        _ record: Record
    ) -> Reaped.Outcome {
        let fate = fate(of: job, after: attempt)
        var sentences = fate.faults
        for field in ["crm", "crw"] where record[field] != "all" || field == "crw" {
            if let text = record[field], record.number(field) == nil {
                sentences.append("\(field) was no number: \(text)")
            }
        }
        let crash = fate.obstacle == nil && !fate.isToBeCancelled ? crash(fate, record) : nil
        if fate.isToBeCancelled { sentences.insert("Worker Timeout", at: 0) }
        if let sentence = crash?.sentence { sentences.insert(sentence, at: 0) }
        move(attempt, from: queue, to: fate.isToBeCancelled ? "ended" : "failed")
        data.attempts[attempt]?["err"] = fate.isToBeCancelled ? "Cancelled" : "Worker Timeout"
        if !sentences.isEmpty { data.attempts[attempt]?["msg"] = sentences.joined(separator: "; ") }
        count(queue, fate.isToBeCancelled ? "cancelled" : "crashed")
        let facts = JobEnd(
            job: job,
            end: fate.isToBeCancelled ? "Cancelled" : "Dead",
            attempt: attempt,
            error: data.attempts[attempt]?["err"],
            message: data.attempts[attempt]?["msg"]
        )
        if fate.isToBeCancelled {
            endJob(job, as: "Cancelled", facts)
            return .cancelled
        }
        guard let crash else { return fate.isOver ? .over : .gone }
        return requeue(job, queue, crash, facts)
    }
}
