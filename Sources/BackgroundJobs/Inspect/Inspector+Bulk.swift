import BackgroundRedis

extension Inspector {
    /// How many entries a step takes: one script each, as long as which Redis serves nobody else.
    static let step = 500

    /// Runs the jobs of a list once more: they go to the ends of their queues, in the order in which they died or failed, as if
    /// they were new. Those that come to the list after the call has begun are left alone.
    ///
    /// - Parameters:
    ///   - list: `dead`, or `failed`: the jobs of the attempts, each of them once.
    ///   - queue: the queue.
    ///   - filter: which of them.
    ///   - progress: is told after each step how far it is.
    /// - Returns: what it has done.
    /// - Throws: ``BackgroundError``: `invalidArgument` for a queue name that is none, or another list. What `progress` has
    ///   been told of is done.
    @discardableResult
    public func retryAll(
        in list: JobList = .dead,
        queue: String,
        matching filter: JobFilter = JobFilter(),
        progress: (BulkProgress) -> Void = { _ in }
    ) async throws(BackgroundError) -> BulkProgress {
        guard list == .dead || list == .failed else {
            throw BackgroundError(.invalidArgument, "Jobs are retried from dead and failed, not from \(list.rawValue).")
        }
        var asked: Set<String> = []
        return try await inSteps(through: list, queue, filter, progress) {
            (found: [Found], result: inout BulkProgress) async throws(BackgroundError) in
            // Those of attempts that were looked at in an earlier step are neither done nor left once more.
            let jobs = found.compactMap(\.job).filter { asked.insert($0).inserted }
            result.left += found.count { $0.job == nil }
            for verdict in try await retryStep(jobs[...], onlyDead: true) {
                if verdict == .queued { result.done += 1 } else { result.left += 1 }
                if case .damaged(let sentence) = verdict { result.add(problem: sentence) }
            }
        }
    }

    /// Deletes the entries of a list: attempts, with their jobs where these have ended and have no later attempt, or dead
    /// jobs, with their attempts. Those that come to the list after the call has begun are left alone.
    ///
    /// - Parameters:
    ///   - list: `completed`, `failed`, `ended` or `dead`.
    ///   - queue: the queue.
    ///   - filter: which of them.
    ///   - progress: is told after each step how far it is.
    /// - Returns: what it has done.
    /// - Throws: ``BackgroundError``: `invalidArgument` for a queue name that is none, or another list. What `progress` has
    ///   been told of is done.
    @discardableResult
    public func deleteAll(
        in list: JobList = .dead,
        queue: String,
        matching filter: JobFilter = JobFilter(),
        progress: (BulkProgress) -> Void = { _ in }
    ) async throws(BackgroundError) -> BulkProgress {
        let set = try Self.deletable(list)
        return try await inSteps(through: list, queue, filter, progress) {
            (found: [Found], result: inout BulkProgress) async throws(BackgroundError) in
            let step = try await deleteStep(found.map(\.member), set, queue)
            result.done += step.gone.count
            result.left += found.count - step.gone.count
            for (_, problem) in step.problems.sorted(by: { $0.key < $1.key }) { result.add(problem: problem) }
        }
    }

    // MARK: Steps

    /// Lists whose entries can be deleted.
    static func deletable(_ list: JobList) throws(BackgroundError) -> TrimmedSet {
        if let set = TrimmedSet(rawValue: list.rawValue) { return set }
        throw BackgroundError(
            .invalidArgument,
            "Entries of completed, failed, ended and dead are deleted, not of \(list.rawValue). Jobs that wait are dequeued."
        )
    }

    /// A sorted set.
    func key(of list: JobList, _ queue: String) -> String { "\(namespace):\(list.rawValue):\(queue)" }

    func retryStep(_ jobs: ArraySlice<String>, onlyDead: Bool = false) async throws(BackgroundError) -> [Retried] {
        try await store.patiently(where: \.wasNotDone) { () async throws(BackgroundError) in
            try await store.retry(Array(jobs), onlyDead: onlyDead)
        }
    }

    func deleteStep(
        _ members: [String],
        _ set: TrimmedSet,
        _ queue: String
    ) async throws(BackgroundError) -> Deletion {
        try await store.patiently(where: \.wasNotDone) { () async throws(BackgroundError) in
            try await store.delete(members, from: set, of: queue)
        }
    }

    /// A member of a list, and its job where that is known.
    private struct Found {
        var member: String
        var job: String?
    }

    private func inSteps(
        through list: JobList,
        _ queue: String,
        _ filter: JobFilter,
        _ progress: (BulkProgress) -> Void,
        _ act: ([Found], inout BulkProgress) async throws(BackgroundError) -> Void
    ) async throws(BackgroundError) -> BulkProgress {
        try Names.checkQueue(queue)
        let key = key(of: list, queue)
        var result = BulkProgress()
        result.total = Int(clamping: try await read("ZCARD", key).int ?? 0)
        var walk = try await SortedSetWalk(key, pageSize: Self.step, in: self)
        while true {
            let members = try await walk.next(in: self)
            guard !members.isEmpty else { return result }
            let found = try await matching(filter, members, list)
            var next = result
            next.seen += members.count
            next.matched += found.count
            if !found.isEmpty { try await act(found, &next) }
            result = next
            progress(result)
        }
    }

    // MARK: Filters

    private func matching(
        _ filter: JobFilter,
        _ members: [String],
        _ list: JobList
    ) async throws(BackgroundError) -> [Found] {
        if list == .dead {
            guard !filter.isEmpty else { return members.map { Found(member: $0, job: $0) } }
            let jobs = try await fields(["cls", "las"], of: members.map(keys.job))
            let errors = try await fields(["err"], of: jobs.map { keys.attempt($0[1] ?? "") })
            return members.indices.filter { filter.matches(className: jobs[$0][0], error: errors[$0][0]) }
                .map { Found(member: members[$0], job: members[$0]) }
        }
        let attempts = try await fields(["job", "err"], of: members.map(keys.attempt))
        let classes =
            filter.className == nil ? nil : try await fields(["cls"], of: attempts.map { keys.job($0[0] ?? "") })
        return members.indices.filter { filter.matches(className: classes?[$0][0], error: attempts[$0][1]) }
            .map { Found(member: members[$0], job: attempts[$0][0]) }
    }

    /// Fields of many hashes; nil where there is no such field, or no such hash.
    private func fields(_ names: [String], of hashes: [String]) async throws(BackgroundError) -> [[String?]] {
        var pipeline = Pipeline()
        for hash in hashes { pipeline.command(["HMGET", hash] + names) }
        return try await read(pipeline).map { reply in
            guard let values = reply.array, values.count == names.count else { return names.map { _ in nil } }
            return values.map(\.text)
        }
    }
}
