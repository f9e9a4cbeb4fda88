/// A job that was enqueued.
///
/// ```swift
/// let handle = try await manager.enqueue(Sum(numbers: [1, 2, 3]))
/// let sum = try await handle.value
/// ```
public struct JobHandle<Output: Sendable>: Sendable, Hashable, CustomStringConvertible {
    /// The job's ID.
    public let id: String
    /// Whether nothing was queued, since a job of the same kind holds the uniqueness lock (then ``id`` is that job's), or
    /// since a job was there already under the ID that was chosen.
    public let isDuplicate: Bool
    /// Whether the arguments or the time of the job that holds the lock were replaced, as the option
    /// ``Uniqueness/duplicate`` asks: not where that one runs already.
    public let hasReplaced: Bool
    let manager: Manager

    init(id: String, isDuplicate: Bool, hasReplaced: Bool = false, manager: Manager) {
        self.id = id
        self.isDuplicate = isDuplicate
        self.hasReplaced = hasReplaced
        self.manager = manager
    }

    /// The job's ID.
    public var description: String { id }

    /// By the ID.
    public static func == (a: Self, b: Self) -> Bool { a.id == b.id && a.isDuplicate == b.isDuplicate }

    /// By the ID.
    public func hash(into hasher: inout Hasher) { hasher.combine(id) }

    /// The same job with another type of result.
    func of<Other>(_ type: Other.Type = Other.self) -> JobHandle<Other> {
        JobHandle<Other>(id: id, isDuplicate: isDuplicate, hasReplaced: hasReplaced, manager: manager)
    }

    /// Waits until the job has ended for good: after its retries.
    ///
    /// - Parameters:
    ///   - limit: how long; nil: for ever.
    ///   - cancelsJob: whether cancelling the task that waits cancels the job, too.
    /// - Returns: how it ended.
    /// - Throws: `CancellationError`; ``BackgroundError``: `timedOut`, or as for enqueuing.
    public func end(within limit: Duration? = nil, cancelsJob: Bool = false) async throws -> JobEnd {
        do {
            return try await manager.awaiting.end(of: id, within: limit)
        } catch is CancellationError where cancelsJob {
            // In a task of its own, since this one is cancelled; awaited, so that it outlives nothing.
            let (manager, id) = (manager, id)
            _ = try await Task { try await manager.cancel(id) }.value
            throw CancellationError()
        }
    }

    /// Waits until the job has succeeded.
    private func success(_ limit: Duration?, _ cancelsJob: Bool) async throws -> JobEnd {
        let end = try await end(within: limit, cancelsJob: cancelsJob)
        guard end.isCompleted else { throw JobFailed(end: end) }
        return end
    }
}

extension JobHandle where Output == Void {
    /// Waits until the job has succeeded.
    ///
    /// - Throws: ``JobFailed`` if it ended otherwise, or as ``end(within:cancelsJob:)``.
    public var value: Void {
        get async throws { try await value() }
    }

    /// Waits until the job has succeeded.
    ///
    /// - Parameters:
    ///   - limit: how long; nil: for ever.
    ///   - cancelsJob: whether cancelling the task that waits cancels the job, too.
    /// - Throws: ``JobFailed`` if it ended otherwise, or as ``end(within:cancelsJob:)``.
    public func value(within limit: Duration? = nil, cancelsJob: Bool = false) async throws {
        _ = try await success(limit, cancelsJob)
    }
}

extension JobHandle where Output: Decodable {
    /// Waits for the job's result.
    ///
    /// - Throws: ``JobFailed`` if it ended otherwise, or as ``end(within:cancelsJob:)``.
    public var value: Output {
        get async throws { try await value() }
    }

    /// Waits for the job's result.
    ///
    /// - Parameters:
    ///   - limit: how long; nil: for ever.
    ///   - cancelsJob: whether cancelling the task that waits cancels the job, too.
    /// - Throws: ``JobFailed`` if it ended otherwise, or as ``end(within:cancelsJob:)``; ``BackgroundError`` with the code
    ///   `damaged` if the result is not kept any more, or is of another form.
    public func value(within limit: Duration? = nil, cancelsJob: Bool = false) async throws -> Output {
        let end = try await success(limit, cancelsJob)
        guard let output = end.output else {
            throw BackgroundError(.damaged, "Job \(id) completed, and its result is not there, or is kept no longer.")
        }
        do {
            return try Output.decoded(from: Array(output.utf8))
        } catch {
            throw BackgroundError(.damaged, "The result of job \(id) is no \(Output.self): \(error)", cause: error)
        }
    }
}

/// A job that was awaited did not succeed.
public struct JobFailed: Error, Sendable, Hashable, CustomStringConvertible {
    /// How it ended.
    public let end: JobEnd

    package init(end: JobEnd) {
        self.end = end
    }

    /// The job, its end, and why.
    public var description: String {
        let why = [end.error == end.end ? nil : end.error, end.message].compactMap(\.self).joined(separator: ": ")
        return "job \(end.job) ended as \(end.end)\(why.isEmpty ? "" : " (\(why))")"
    }
}

extension Manager {
    /// A handle for a job that somebody else enqueued.
    ///
    /// - Parameters:
    ///   - id: the job's ID.
    ///   - type: the type of its result.
    /// - Throws: ``BackgroundError`` for an ID that is none.
    public func handle<Output: Sendable>(
        for id: String,
        of type: Output.Type = Void.self
    ) throws -> JobHandle<Output> {
        try Names.checkID(id)
        return JobHandle(id: id, isDuplicate: false, manager: self)
    }

    /// The attempts of a job, the latest first.
    ///
    /// - Parameters:
    ///   - id: the job's ID.
    ///   - limit: how many at most.
    /// - Throws: ``BackgroundError``.
    func attempts(of id: String, limit: Int) async throws(BackgroundError) -> [AttemptRecord] {
        try await store.attempts(of: id, limit: limit)
    }
}
