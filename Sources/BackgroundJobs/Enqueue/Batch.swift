public import Foundation

/// Any number of jobs with callbacks for all of them.
///
/// ```swift
/// let batch = try await manager.batch("import", onSuccess: Publish(), onDeath: Alarm()) { batch in
///     try await batch.enqueue(contentsOf: rows.map(ImportRow.init))
/// }
/// ```
///
/// Each callback is a job that is enqueued once, by the script that ends the job on which it depends. A job of the batch can
/// add more of them: see ``JobContext/batch``.
public struct Batch: Sendable, Hashable {
    /// The batch's ID.
    public let id: String
    let manager: Manager

    /// By the ID.
    public static func == (a: Self, b: Self) -> Bool { a.id == b.id }

    /// By the ID.
    public func hash(into hasher: inout Hasher) { hasher.combine(id) }

    /// Adds a job.
    ///
    /// - Parameters:
    ///   - job: the job; its stored properties become the arguments.
    ///   - delay: how long from now it is to run; nil or zero: at once.
    ///   - time: when it is to run; it wins over `delay`.
    ///   - queue: the queue; nil: the type's ``Job/queue``.
    ///   - id: an ID of the caller's choice: a job that is there already under this ID is neither added nor counted again, so
    ///     that adding may be repeated, as by a job that runs again. nil: a new UUID.
    ///   - options: what it asks for; they win over the type's ``Job/options``. Uniqueness can't be had here.
    /// - Throws: ``BackgroundError``: `refused` if the batch is complete or is kept no longer, or as for enqueuing.
    @discardableResult
    public func enqueue<J: Job>(
        _ job: J,
        in delay: Duration? = nil,
        at time: Date? = nil,
        queue: String? = nil,
        id: String? = nil,
        options: JobOptions = JobOptions()
    ) async throws -> JobHandle<J.Output> {
        let id: ((J) -> String)? = if let id { { _ in id } } else { nil }
        return try await enqueue(
            contentsOf: CollectionOfOne(job),
            in: delay,
            at: time,
            queue: queue,
            options: options,
            id: id
        )[0]
    }

    /// Adds any number of jobs, in steps of a few hundred.
    ///
    /// - Parameters:
    ///   - jobs: the jobs.
    ///   - delay: how long from now they are to run.
    ///   - time: when they are to run; it wins over `delay`.
    ///   - queue: the queue; nil: the type's ``Job/queue``.
    ///   - options: what they ask for. Uniqueness can't be had here.
    ///   - id: the ID of each, as for one; nil: new UUIDs.
    /// - Throws: as ``enqueue(_:in:at:queue:id:options:)``; what was added before stays.
    @discardableResult
    public func enqueue<J: Job>(
        contentsOf jobs: some Sequence<J>,
        in delay: Duration? = nil,
        at time: Date? = nil,
        queue: String? = nil,
        options: JobOptions = JobOptions(),
        id: ((J) -> String)? = nil
    ) async throws -> [JobHandle<J.Output>] {
        var terms = Manager.Terms(of: J.self, in: delay, at: time, queue: queue, options: options)
        var handles: [JobHandle<J.Output>] = []
        var step: [NewJob] = []
        var bytes = 0
        for job in jobs {
            terms.id = id?(job)
            let new = try manager.newJob(job, terms)
            if step.count == 500 || bytes + new.arguments.count > 4 << 20 {
                try await add(step)
                (step, bytes) = ([], 0)
            }
            handles.append(JobHandle(id: new.id, isDuplicate: false, manager: manager))
            step.append(new)
            bytes += new.arguments.count
        }
        try await add(step)
        return handles
    }

    private func add(_ jobs: [NewJob]) async throws {
        guard !jobs.isEmpty else { return }
        try Manager.checkTogether(jobs)
        try await check(manager.store.add(jobs, to: id))
    }

    private func check(_ verdict: BatchVerdict) throws(BackgroundError) {
        switch verdict {
        case .done: break
        case .missing: throw BackgroundError(.refused, "There is no batch \(id), or it is kept no longer.")
        case .over, .deep: throw BackgroundError(.refused, "The batch \(id) is complete: nothing can be added to it.")
        }
    }

    /// A batch inside of this one: it counts as one of its jobs, which succeeds if all of its own do. Of batches within each
    /// other there are at most 16.
    ///
    /// - Throws: as ``Manager/batch(_:id:onComplete:onSuccess:onDeath:_:)``.
    @discardableResult
    public func batch(
        _ description: String? = nil,
        id: String? = nil,
        onComplete: (any Job)? = nil,
        onSuccess: (any Job)? = nil,
        onDeath: (any Job)? = nil,
        _ body: (Batch) async throws -> Void
    ) async throws -> Batch {
        try await manager.batch(
            description,
            id: id,
            in: self,
            onComplete: onComplete,
            onSuccess: onSuccess,
            onDeath: onDeath,
            body
        )
    }

    /// How the batch stands.
    ///
    /// - Returns: nil if it is kept no longer: a week after it was complete.
    /// - Throws: ``BackgroundError``.
    public func status() async throws(BackgroundError) -> BatchStatus? {
        try await manager.store.batch(id)
    }

    /// Lets the batch be complete, when the process that filled it has died on the way: what it has is all there will be.
    ///
    /// - Throws: ``BackgroundError``.
    public func close() async throws(BackgroundError) {
        try check(try await manager.store.close(id))
    }

    fileprivate func open(_ new: NewBatch) async throws {
        try Manager.checkTogether([new.onComplete, new.onSuccess, new.onDeath].compactMap(\.self))
        switch try await manager.store.open(new) {
        case .done: break
        case .missing:
            throw BackgroundError(.refused, "There is no batch \(new.parent ?? ""), or it is kept no longer.")
        case .over:
            throw BackgroundError(.refused, "The batch \(new.parent ?? "") is complete: nothing can be added to it.")
        case .deep:
            throw BackgroundError(
                .refused,
                "The batch \(new.parent ?? "") has too many around it: 16 are allowed in all."
            )
        }
    }
}

extension Manager {
    /// Makes a batch and fills it.
    ///
    /// If `body` throws, the batch stays open with the jobs it has: they run, and its callbacks are not called until somebody
    /// closes it (``Batch/close()``, `bg-cli batch ID --close`).
    ///
    /// - Parameters:
    ///   - description: a few words for lists.
    ///   - id: an ID of the caller's choice: a batch that is there already is gone on with, its callbacks being what they are, so
    ///     that all of this may be repeated if the jobs have such IDs, too. nil: a new UUID.
    ///   - onComplete: runs when all of its jobs have ended, whatever became of them.
    ///   - onSuccess: runs when all of them have succeeded: perhaps later, if some are dead and are retried by hand.
    ///   - onDeath: runs when the first of them is dead.
    ///   - body: adds the jobs.
    /// - Returns: the batch.
    /// - Throws: what `body` throws, or ``BackgroundError``. Its user has to be allowed to run scripts.
    @discardableResult
    public func batch(
        _ description: String? = nil,
        id: String? = nil,
        onComplete: (any Job)? = nil,
        onSuccess: (any Job)? = nil,
        onDeath: (any Job)? = nil,
        _ body: (Batch) async throws -> Void
    ) async throws -> Batch {
        try await batch(
            description,
            id: id,
            in: nil,
            onComplete: onComplete,
            onSuccess: onSuccess,
            onDeath: onDeath,
            body
        )
    }

    func batch(
        _ description: String?,
        id: String?,
        in parent: Batch?,
        onComplete: (any Job)?,
        onSuccess: (any Job)?,
        onDeath: (any Job)?,
        _ body: (Batch) async throws -> Void
    ) async throws -> Batch {
        if let id { try Names.checkID(id) }
        let batch = Batch(id: id ?? .randomUUID(), manager: self)
        try await batch.open(
            NewBatch(
                id: batch.id,
                parent: parent?.id,
                description: description.map { FailureText.printable($0, limit: 200) },
                onComplete: try callback(onComplete),
                onSuccess: try callback(onSuccess),
                onDeath: try callback(onDeath)
            )
        )
        try await body(batch)
        try await batch.close()
        return batch
    }

    private func callback(_ job: (any Job)?) throws -> NewJob? {
        func make<J: Job>(_ job: J) throws -> NewJob {
            try newJob(job, Terms(of: J.self))
        }
        guard let job else { return nil }
        var new = try make(job)
        new.isWaiting = true
        return new
    }

    /// A batch that somebody made.
    ///
    /// - Parameter id: its ID.
    /// - Throws: ``BackgroundError`` for an ID that is none.
    public func batch(id: String) throws -> Batch {
        try Names.checkID(id)
        return Batch(id: id, manager: self)
    }
}

/// How many jobs of a batch there are, and how they stand.
public struct BatchCounts: Sendable, Hashable, Codable {
    /// The batch's ID.
    public let id: String
    /// All of them; a batch inside counts as one.
    public let total: Int
    /// Those that have not ended.
    public let pending: Int
    /// Those that have succeeded.
    public let completed: Int
    /// Those that are dead.
    public let dead: Int
    /// Those that were discarded or cancelled, have expired or were skipped.
    public let other: Int

    package init(id: String, total: Int, pending: Int, completed: Int, dead: Int, other: Int) {
        self.id = id
        self.total = total
        self.pending = pending
        self.completed = completed
        self.dead = dead
        self.other = other
    }
}

/// A batch, as it is in Redis.
public struct BatchStatus: Sendable, Hashable, Encodable {
    /// How its jobs stand.
    public let counts: BatchCounts
    /// What it was called.
    public let description: String?
    /// Whether it is being filled: so long it can't be complete.
    public let isOpen: Bool
    /// When it was made.
    public let createdAt: Date?
    /// When it was complete; nil: it is not.
    public let completedAt: Date?
    /// The ID of the batch around it.
    public let parent: String?
    /// The IDs of its callbacks.
    public let onComplete: String?
    /// See ``onComplete``.
    public let onSuccess: String?
    /// See ``onComplete``.
    public let onDeath: String?

    /// Reads the fields of a batch's hash.
    package init(id: String, fields: [String: String]) {
        func number(_ name: String) -> Int64? {
            fields[name].flatMap { Int64($0) }.flatMap { (0...1 << 53).contains($0) ? $0 : nil }
        }
        func count(_ name: String) -> Int { number(name).map { Int($0) } ?? 0 }
        func date(_ name: String) -> Date? { number(name).map { Date(milliseconds: $0) } }
        counts = BatchCounts(
            id: id,
            total: count("tot"),
            pending: count("pen"),
            completed: count("suc"),
            dead: count("ded"),
            other: count("oth")
        )
        description = fields["dsc"]
        isOpen = fields["opn"] != nil
        createdAt = date("qat")
        completedAt = date("fin")
        parent = fields["prn"]
        onComplete = fields["cmp"]
        onSuccess = fields["scs"]
        onDeath = fields["dth"]
    }
}
