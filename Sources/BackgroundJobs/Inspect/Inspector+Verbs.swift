import BackgroundRedis

/// What becomes of single jobs by hand.
extension Inspector {
    /// Cancels a job, as ``Manager/cancel(_:)`` does: one that waits is taken out and recorded as cancelled, the worker of one
    /// that runs is told.
    ///
    /// - Parameter id: the job's ID.
    /// - Returns: what became of it.
    /// - Throws: ``BackgroundError`` with the code `jobNotFound` if there is no such job.
    @discardableResult
    public func cancel(_ id: String) async throws(BackgroundError) -> Manager.Cancellation {
        try Names.checkID(id)
        let attempt = String.randomUUID()
        let outcome = try await store.patiently(where: \.wasNotDone) { () async throws(BackgroundError) in
            try await store.cancel(id, recordedAs: attempt)
        }
        switch outcome {
        case .cancelled: return .cancelled
        case .told: return .told
        case .ended: return .ended
        case .missing: throw .noJob(id)
        }
    }

    /// Takes a job out that waits, and deletes it, as ``Manager/dequeue(_:)`` does; says why where it did not.
    ///
    /// - Parameter id: the job's ID.
    /// - Throws: ``BackgroundError``: `invalidArgument` for an ID that is none.
    package func dequeue(_ id: String) async throws(BackgroundError) -> Dequeued {
        try Names.checkID(id)
        return try await store.patiently(where: \.wasNotDone) { () async throws(BackgroundError) in
            try await store.dequeue(id)
        }
    }

    /// Runs jobs once more: those that ended without success go to the ends of their queues as if they were new, and so do
    /// those that wait for their time.
    ///
    /// - Parameter ids: the jobs' IDs.
    /// - Returns: what became of each, in that order.
    /// - Throws: ``BackgroundError``: `invalidArgument` for an ID that is none; then nothing was done.
    @discardableResult
    public func retry(_ ids: [String]) async throws(BackgroundError) -> [Retried] {
        for id in ids { try Names.checkID(id) }
        var verdicts: [Retried] = []
        while verdicts.count < ids.count {
            verdicts += try await retryStep(ids.dropFirst(verdicts.count).prefix(Self.step))
        }
        return verdicts
    }

    /// Runs the jobs of these attempts once more, each of them once.
    ///
    /// - Parameter attempts: the attempts' IDs.
    /// - Returns: what became of the job of each, in that order; `missing` also where there is no such attempt.
    /// - Throws: ``BackgroundError``: `invalidArgument` for an ID that is none; then nothing was done.
    @discardableResult
    public func retry(attempts ids: [String]) async throws(BackgroundError) -> [Retried] {
        for id in ids { try Names.checkID(id) }
        let jobs = try await text("job", of: ids.map(keys.attempt))
        let known = Set(jobs.compactMap(\.self)).sorted()
        let verdicts = Dictionary(uniqueKeysWithValues: zip(known, try await retry(known)))
        return jobs.map { $0.flatMap { verdicts[$0] } ?? .missing }
    }

    /// Deletes entries of a list: attempts, with their jobs where these have ended and have no later attempt, or dead jobs,
    /// with their attempts.
    ///
    /// - Parameters:
    ///   - ids: IDs of attempts; of dead jobs, those of the jobs.
    ///   - list: `completed`, `failed`, `ended` or `dead`.
    ///   - queue: the queue in whose list they are; nil: where their hashes say.
    /// - Returns: what became of each, in that order.
    /// - Throws: ``BackgroundError``: `invalidArgument` for an ID or a queue name that is none, or another list.
    @discardableResult
    public func delete(
        _ ids: [String],
        from list: JobList,
        queue: String? = nil
    ) async throws(BackgroundError) -> [Deleted] {
        let set = try Self.deletable(list)
        for id in ids { try Names.checkID(id) }
        if let queue { try Names.checkQueue(queue) }
        var verdicts: [Deleted] = []
        while verdicts.count < ids.count {
            let step = Array(ids.dropFirst(verdicts.count).prefix(Self.step))
            let queues = try await queues(of: step, list, queue)
            var done = Deletion(gone: [])
            for queue in Set(queues.joined()).sorted() {
                let members = step.indices.filter { queues[$0].contains(queue) }.map { step[$0] }
                let part = try await deleteStep(members, set, queue)
                done.gone += part.gone
                done.problems.merge(part.problems) { first, _ in first }
            }
            verdicts += try await verdictsOnDeleted(step, done, list, queues)
        }
        return verdicts
    }

    /// Enqueues a copy of a job, to run at once: of the same class, on the same queue, with the same options and headers, but with
    /// other arguments. The copy has no uniqueness lock, no expiry and no history, and notes where it comes from (`ori`). The job
    /// itself stays as it is.
    ///
    /// - Parameters:
    ///   - id: the job's ID.
    ///   - arguments: one JSON value, at most 1 MiB; it is not parsed here.
    /// - Returns: the ID of the copy.
    /// - Throws: ``BackgroundError``: `jobNotFound` if there is no such job, `damaged` if it has no class or no queue,
    ///   `invalidArgument` for an ID that is none or arguments that are too large.
    @discardableResult
    public func copy(_ id: String, arguments: String) async throws(BackgroundError) -> String {
        try Names.checkID(id)
        var pipeline = Pipeline()
        pipeline.command(["HMGET", keys.job(id)] + Self.copied)
        let hash = HashFields(Self.copied, try await replies(to: pipeline)[0].orThrow(naming: keys.job(id)).array ?? [])
        guard !hash.isEmpty else { throw .noJob(id) }
        let fields = hash.rest().mapValues(\.description)
        guard let className = fields["cls"], let queue = fields["que"],
            (try? Names.checkClass(className)) != nil, (try? Names.checkQueue(queue)) != nil
        else {
            throw BackgroundError(.damaged, "The job \(id) has no class or no queue that could be copied.")
        }
        try Manager.checkSize(of: arguments.utf8.count, className, limit: 1 << 20)
        var faults: [String] = []
        let options = JobOptions(fields: fields, faults: &faults)
        let copy = NewJob(
            id: .randomUUID(),
            queue: queue,
            className: className,
            arguments: Array(arguments.utf8),
            fields: try options.fields() + options.placement() + (fields["hdr"].map { [("hdr", $0)] } ?? [])
                + [("ori", id)]
        )
        try await store.enqueue([copy])
        return copy.id
    }

    /// The fields that a copy gets from the job.
    private static let copied = [
        "que", "cls", "ret", "bck", "rfr", "rqu", "tmo", "dlv", "crm", "crw", "on", "avo", "fbk", "hdr",
    ]

    // MARK: Where entries are

    /// The queues in whose lists entries may be. A dead job is in that of its last attempt, which need not be its own: retries
    /// may run on another queue.
    private func queues(
        of ids: [String],
        _ list: JobList,
        _ queue: String?
    ) async throws(BackgroundError) -> [Set<String>] {
        if let queue { return ids.map { _ in [queue] } }
        guard list == .dead else {
            return try await text("que", of: ids.map(keys.attempt)).map { Self.names([$0]) }
        }
        let own = try await text("que", of: ids.map(keys.job))
        let last = try await text("las", of: ids.map(keys.job))
        let lasts = try await text("que", of: last.map { keys.attempt($0 ?? "") })
        return zip(own, lasts).map { Self.names([$0, $1]) }
    }

    private static func names(_ queues: [String?]) -> Set<String> {
        Set(queues.compactMap(\.self).filter { (try? Names.checkQueue($0)) != nil })
    }

    private func verdictsOnDeleted(
        _ ids: [String],
        _ done: Deletion,
        _ list: JobList,
        _ queues: [Set<String>]
    ) async throws(BackgroundError) -> [Deleted] {
        var pipeline = Pipeline()
        for (id, queues) in zip(ids, queues) {
            pipeline.command("ZSCORE", key(of: list, queues.first ?? ""), id)
        }
        let gone = Set(done.gone)
        return zip(ids, try await read(pipeline)).map { id, score in
            if let problem = done.problems[id] { return .damaged(problem) }
            return gone.contains(id) ? .deleted : score.text == nil ? .missing : .kept
        }
    }

    private func text(_ field: String, of hashes: [String]) async throws(BackgroundError) -> [String?] {
        var pipeline = Pipeline()
        for hash in hashes { pipeline.command("HGET", hash, field) }
        return try await read(pipeline).map(\.text)
    }
}

/// What became of a request to delete an entry of a list.
public enum Deleted: Sendable, Hashable {
    /// It is gone.
    case deleted
    /// It has to stay: the last attempt of a dead job goes with the job.
    case kept
    /// It was not there.
    case missing
    /// It stays as it is, since something that would go with it is damaged; the sentence says what.
    case damaged(String)
}

extension BackgroundError {
    static func noJob(_ id: String) -> BackgroundError {
        BackgroundError(.jobNotFound, "There is no job with the ID \(id).")
    }
}
