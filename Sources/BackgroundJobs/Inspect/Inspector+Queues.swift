import BackgroundRedis

/// What becomes of whole queues by hand.
extension Inspector {
    /// Pauses queues: nothing is claimed from them any more. What runs goes on, and they accept jobs.
    ///
    /// - Parameter queues: the queues; one that nobody has used yet may be among them.
    /// - Returns: those that were not paused before.
    /// - Throws: ``BackgroundError``: `invalidArgument` for a queue name that is none; then nothing was done.
    @discardableResult
    public func pause(_ queues: [String]) async throws(BackgroundError) -> [String] {
        try await setPaused(true, queues)
    }

    /// Lets jobs be claimed from queues again; idle workers notice within a second.
    ///
    /// - Parameter queues: the queues.
    /// - Returns: those that were paused before.
    /// - Throws: ``BackgroundError``: `invalidArgument` for a queue name that is none; then nothing was done.
    @discardableResult
    public func resume(_ queues: [String]) async throws(BackgroundError) -> [String] {
        try await setPaused(false, queues)
    }

    private func setPaused(_ isPaused: Bool, _ queues: [String]) async throws(BackgroundError) -> [String] {
        for queue in queues { try Names.checkQueue(queue) }
        return try await store.patiently(where: \.wasNotDone) { () async throws(BackgroundError) in
            try await store.setPaused(isPaused, queues)
        }
    }

    /// Deletes the jobs of a queue that wait, with their uniqueness locks: those to be run now, the suspects and those for
    /// some nodes only, and where it is asked for those that are scheduled, retries among them. What runs goes on. It takes as
    /// many as there were at the start.
    ///
    /// - Parameters:
    ///   - queue: the queue.
    ///   - scheduled: whether those that are scheduled go too.
    ///   - progress: is told after each step how far it is.
    /// - Returns: what it has done; ``BulkProgress/left`` are IDs that were taken off without a job: it ran, had ended, was
    ///   gone, or is damaged.
    /// - Throws: ``BackgroundError``: `invalidArgument` for a queue name that is none. What `progress` has been told of is
    ///   done.
    @discardableResult
    public func clear(
        queue: String,
        scheduled: Bool = false,
        progress: (BulkProgress) -> Void = { _ in }
    ) async throws(BackgroundError) -> BulkProgress {
        try Names.checkQueue(queue)
        return try await empty(queue, scheduled, progress) { (place, queue, limit) async throws(BackgroundError) in
            try await store.clear(place, of: queue, limit: limit)
        }
    }

    /// Moves the jobs of a queue that wait to the end of another queue, in their order: those to be run now, the suspects and
    /// those for some nodes only, which are placed anew, and where it is asked for those that are scheduled, each at its time.
    /// What runs goes on. It takes as many as there were at the start. Uniqueness locks stay what they are: they count for the
    /// queue on which the job was enqueued.
    ///
    /// - Parameters:
    ///   - queue: the queue.
    ///   - target: the queue to which they go.
    ///   - scheduled: whether those that are scheduled go too.
    ///   - progress: is told after each step how far it is.
    /// - Returns: what it has done; ``BulkProgress/left`` are IDs that were dropped: their jobs ran or had ended.
    /// - Throws: ``BackgroundError``: `invalidArgument` for a queue name that is none, or the same twice. What `progress` has
    ///   been told of is done.
    @discardableResult
    public func move(
        from queue: String,
        to target: String,
        scheduled: Bool = false,
        progress: (BulkProgress) -> Void = { _ in }
    ) async throws(BackgroundError) -> BulkProgress {
        try Names.checkQueue(queue)
        try Names.checkQueue(target)
        guard queue != target else {
            throw BackgroundError(
                .invalidArgument,
                "The jobs are in \(queue) already: name another queue to move them to."
            )
        }
        return try await empty(queue, scheduled, progress) { (place, queue, limit) async throws(BackgroundError) in
            try await store.move(place, from: queue, to: target, limit: limit)
        }
    }

    private func empty(
        _ queue: String,
        _ scheduled: Bool,
        _ progress: (BulkProgress) -> Void,
        _ step: (WaitingPlace, String, Int) async throws(BackgroundError) -> WaitingStep
    ) async throws(BackgroundError) -> BulkProgress {
        var places = WaitingPlace.allCases.filter { $0 != .placed && (scheduled || $0 != .scheduled) }
            .map { (place: $0, queue: queue) }
        places += try await self.places(of: [queue]).map { (.placed, "\($0)") }
        var counts: [Int] = []
        for (place, queue) in places {
            let key = "\(namespace):\(place.rawValue):\(queue)"
            counts.append(Int(clamping: try await read(place == .scheduled ? "ZCARD" : "LLEN", key).int ?? 0))
        }
        var result = BulkProgress()
        result.total = counts.reduce(0, +)
        for ((place, queue), count) in zip(places, counts) {
            var rest = count
            while rest > 0 {
                let limit = min(rest, Self.step)
                let done = try await store.patiently(where: \.wasNotDone) { () async throws(BackgroundError) in
                    try await step(place, queue, limit)
                }
                guard done.taken > 0 else { break }
                rest -= done.taken
                result.seen += done.taken
                result.matched += done.taken
                result.done += done.done
                result.left += done.taken - done.done
                for problem in done.problems { result.add(problem: problem) }
                progress(result)
            }
        }
        return result
    }
}
