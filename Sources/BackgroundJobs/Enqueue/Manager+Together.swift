public import Foundation

extension Manager {
    /// The most jobs of a transaction, and bytes of their arguments: as long as it runs nobody else is served.
    private static let mostTogether = 1000
    private static let mostBytesTogether = 4 << 20

    /// Enqueues jobs together, or none of them.
    ///
    /// ```swift
    /// try await manager.transaction { jobs in
    ///     try jobs.enqueue(Charge(order: 7))
    ///     try jobs.enqueue(Receipt(order: 7), in: .seconds(60))
    /// }
    /// ```
    ///
    /// - Parameter body: names the jobs: at most a thousand, with 4 MiB of arguments in all. If it throws, none is enqueued.
    /// - Returns: what `body` returns.
    /// - Throws: what `body` throws, or ``BackgroundError`` as for enqueuing; after `unknownFate` the same may be enqueued again,
    ///   if its jobs have IDs of your choice. Its user has to be allowed to run scripts.
    @discardableResult
    public func transaction<Value>(_ body: (inout JobTransaction) throws -> Value) async throws -> Value {
        var transaction = JobTransaction(manager: self)
        let value = try body(&transaction)
        guard transaction.jobs.count <= Self.mostTogether else {
            throw BackgroundError(
                .invalidArgument,
                "\(transaction.jobs.count) jobs can't be enqueued together; \(Self.mostTogether) can."
            )
        }
        try await enqueueTogether(transaction.jobs)
        return value
    }

    func enqueueTogether(_ jobs: [NewJob]) async throws {
        guard !jobs.isEmpty else { return }
        try Self.checkTogether(jobs)
        var ids: Set<String> = []
        if let twice = jobs.first(where: { !ids.insert($0.id).inserted }) {
            throw BackgroundError(.invalidArgument, "Two of these jobs have the ID \(twice.id): give each its own.")
        }
        let bytes = jobs.reduce(0) { $0 + $1.arguments.count }
        guard bytes <= Self.mostBytesTogether else {
            throw BackgroundError(
                .invalidArgument,
                "The arguments of these jobs have \(bytes) bytes in all; \(Self.mostBytesTogether) are allowed together."
            )
        }
        try await store.enqueueTogether(jobs)
    }

    /// A lock might keep one of them from being queued.
    static func checkTogether(_ jobs: [NewJob]) throws(BackgroundError) {
        guard let unique = jobs.first(where: { $0.lock != nil }) else { return }
        throw BackgroundError(
            .invalidArgument,
            "A \(unique.className) asks for uniqueness, which transactions, chains and batches don't have: enqueue it by itself."
        )
    }

    // MARK: Chains

    /// Enqueues a chain: each step by the script that ends the one before it, so that no crash can lose it.
    ///
    /// ```swift
    /// let chain = try await manager.enqueue(Fetch(url: url).then(Resize(width: 200)).then(Publish()).onFailure(Tell()))
    /// try await chain.last.value
    /// ```
    ///
    /// - Parameters:
    ///   - chain: the steps: at most a thousand. None may ask for uniqueness.
    ///   - delay: how long from now the first step is to run; nil: at once.
    ///   - time: when it is to run; it wins over `delay`.
    /// - Returns: handles. One that is awaited throws as soon as a step before it is dead.
    /// - Throws: ``BackgroundError``; after `unknownFate` the same chain may be enqueued again, if its steps have IDs of your
    ///   choice: a chain whose first step is there is left as it is. Its user has to be allowed to run scripts.
    @discardableResult
    public func enqueue<Output>(
        _ chain: JobChain<Output>,
        in delay: Duration? = nil,
        at time: Date? = nil
    ) async throws -> ChainHandle<Output> {
        guard chain.steps.count <= Self.mostTogether else {
            throw BackgroundError(
                .invalidArgument,
                "A chain of \(chain.steps.count) steps can't be enqueued; \(Self.mostTogether) are allowed."
            )
        }
        var jobs = try chain.steps.enumerated().map { index, step in
            try step.make(self, index == 0 ? delay : step.delay, index == 0 ? time : nil)
        }
        var failure = try chain.failure?.make(self, chain.failure?.delay, nil)
        failure?.isWaiting = true
        for index in jobs.indices {
            jobs[index].isWaiting = index > 0
            if index > 0 { jobs[index].fields.append(("aft", jobs[index - 1].id)) }
            if index + 1 < jobs.count { jobs[index].fields.append(("nxt", jobs[index + 1].id)) }
            if let failure { jobs[index].fields.append(("onf", failure.id)) }
        }
        try await enqueueTogether(jobs + [failure].compactMap(\.self))
        return ChainHandle(
            steps: jobs.map(\.id),
            onFailure: failure?.id,
            last: JobHandle(id: jobs[jobs.count - 1].id, isDuplicate: false, manager: self)
        )
    }
}

/// Jobs that are to be enqueued together.
public struct JobTransaction {
    private let manager: Manager
    var jobs: [NewJob] = []

    init(manager: Manager) {
        self.manager = manager
    }

    /// Adds a job.
    ///
    /// - Parameters:
    ///   - job: the job; its stored properties become the arguments.
    ///   - delay: how long from now it is to run; nil or zero: at once.
    ///   - time: when it is to run; it wins over `delay`.
    ///   - queue: the queue; nil: the type's ``Job/queue``.
    ///   - id: an ID of the caller's choice: a job that is there already under this ID is left as it is. nil: a new UUID.
    ///   - options: what it asks for; they win over the type's ``Job/options``. Uniqueness can't be had here.
    /// - Returns: a handle, to be used once the transaction has been carried out. It does not tell whether the job was there before.
    /// - Throws: ``BackgroundError`` for what is not allowed.
    @discardableResult
    public mutating func enqueue<J: Job>(
        _ job: J,
        in delay: Duration? = nil,
        at time: Date? = nil,
        queue: String? = nil,
        id: String? = nil,
        options: JobOptions = JobOptions()
    ) throws -> JobHandle<J.Output> {
        let terms = Manager.Terms(of: J.self, in: delay, at: time, queue: queue, id: id, options: options)
        let new = try manager.newJob(job, terms)
        jobs.append(new)
        return JobHandle(id: new.id, isDuplicate: false, manager: manager)
    }

    /// Adds a job by its class name, with arguments as they are. See ``enqueue(_:in:at:queue:id:options:)``.
    @discardableResult
    public mutating func enqueue(
        _ className: String,
        arguments: String = "{}",
        in delay: Duration? = nil,
        at time: Date? = nil,
        queue: String = "default",
        id: String? = nil,
        options: JobOptions = JobOptions()
    ) throws -> JobHandle<Void> {
        let terms = Manager.Terms(delay: delay, time: time, queue: queue, id: id, options: options)
        let new = try manager.newJob(className, Array(arguments.utf8), terms)
        jobs.append(new)
        return JobHandle(id: new.id, isDuplicate: false, manager: manager)
    }
}
