import BackgroundRedis
import Foundation

extension Inspector {
    /// How far from either end a ready list is searched for a job: going through all of a long one would hold up everybody.
    private static let searched = 10_000

    /// A job, where it is, and its attempts.
    ///
    /// In a queue of more than 20,000 waiting jobs those in the middle are taken to be ready because they are nowhere else.
    ///
    /// - Parameters:
    ///   - id: the job's ID.
    ///   - limit: how many attempts at most, the last ones.
    /// - Returns: nil if there is no such job, or no longer.
    /// - Throws: ``BackgroundError``: `invalidArgument` for an ID that is none, `damaged` if its key is no hash.
    public func job(_ id: String, attempts limit: Int = 100) async throws(BackgroundError) -> JobHistory? {
        precondition(limit > 0, "a positive number of attempts is asked for")
        try Names.checkID(id)
        var history: JobHistory?
        // A job on its way from one place to another may be seen in neither.
        for _ in 0..<3 {
            history = try await look(id, limit)
            guard history?.job.state == .unknown else { break }
        }
        return history
    }

    private func look(_ id: String, _ limit: Int) async throws(BackgroundError) -> JobHistory? {
        let fields = HashFields(all: try await read("HGETALL", keys.job(id)).array ?? [])
        guard !fields.isEmpty else { return nil }
        var job = JobRecord(id: id, fields)
        let (attempts, hasMore) = try await chain(from: job.lastAttempt, limit)
        job.state = try await state(of: job, attempts.first)
        return JobHistory(job: job, attempts: attempts.reversed(), hasEarlierAttempts: hasMore)
    }

    /// An attempt.
    ///
    /// - Parameter id: the attempt's ID.
    /// - Returns: nil if there is no such attempt, or no longer.
    /// - Throws: ``BackgroundError``: `invalidArgument` for an ID that is none, `damaged` if its key is no hash.
    public func attempt(_ id: String) async throws(BackgroundError) -> AttemptRecord? {
        try Names.checkID(id)
        let fields = HashFields(all: try await read("HGETALL", keys.attempt(id)).array ?? [])
        return fields.isEmpty ? nil : AttemptRecord(id: id, fields)
    }

    /// The attempts of a job, the last one first. Each names the one before it.
    private func chain(
        from last: String?,
        _ limit: Int
    ) async throws(BackgroundError) -> ([AttemptRecord], hasMore: Bool) {
        var attempts: [AttemptRecord] = []
        var seen: Set<String> = []
        var next = last
        while let id = next, seen.insert(id).inserted {
            guard attempts.count < limit else { return (attempts, true) }
            var pipeline = Pipeline()
            pipeline.command("HGETALL", keys.attempt(id))
            let fields = HashFields(all: try await read(pipeline)[0].array ?? [])
            guard !fields.isEmpty else { break }
            let attempt = AttemptRecord(id: id, fields)
            attempts.append(attempt)
            next = attempt.previous
        }
        return (attempts, false)
    }

    private func state(of job: JobRecord, _ last: AttemptRecord?) async throws(BackgroundError) -> JobState {
        let queue = job.queue ?? ""
        let searched = "\(Self.searched)"
        var pipeline = Pipeline()
        pipeline.command("SISMEMBER", keys.processing(last?.queue ?? queue), last?.id ?? "")
        pipeline.command("ZSCORE", keys.scheduled(queue), job.id)
        pipeline.command("LPOS", keys.handoff(queue), job.id, "MAXLEN", searched)
        pipeline.command("LPOS", keys.suspects(queue), job.id, "MAXLEN", searched)
        pipeline.command("LPOS", keys.ready(queue), job.id, "MAXLEN", searched)
        pipeline.command("LPOS", keys.ready(queue), job.id, "RANK", "-1", "MAXLEN", searched)
        pipeline.command("LLEN", keys.ready(queue))
        let place = job.place.flatMap { Place("\(queue):\($0)") }
        if let place { pipeline.command("LPOS", keys.placed(place), job.id, "MAXLEN", searched) }
        let replies = try await read(pipeline)

        if replies[0].int == 1 { return .running }
        // Its record was deleted or trimmed, and the hash stays for some minutes.
        if job.end == "Dead" { return job.lastAttempt != nil && last == nil ? .ended(how: "Dead, deleted") : .dead }
        if let end = job.end { return .ended(how: end) }
        if last?.isCompleted == true { return .completed }
        if job.isBlocked { return .blocked }
        if let due = replies[1].text.flatMap(Double.init), abs(due) < 1e16 {
            return .scheduled(due: Date(milliseconds: Int64(due)))
        }
        if replies[2].int != nil { return .handoff }
        if replies[3].int != nil { return .suspect }
        if place != nil, replies[7].int != nil { return .placed }
        if replies[4].int != nil || replies[5].int != nil { return .ready }
        if (replies[6].int ?? 0) > 2 * Self.searched, last == nil { return .ready }
        return last?.error == nil ? .unknown : .failed
    }
}
