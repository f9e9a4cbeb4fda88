package import BackgroundRedis
public import Foundation
public import Logging
import NIOPosix

/// Enqueues jobs.
///
/// ```swift
/// let manager = try Manager(redis: RedisOptions(url: "redis://127.0.0.1:6379"))
/// let nap = try await manager.enqueue(Nap(sleep: 5), in: .seconds(60))
/// print(nap.id)
/// await manager.close()
/// ```
///
/// One manager serves a whole process: calls from many tasks share one connection and its round trips. It connects at
/// the first call. A call waits about ``RedisOptions/connectTimeout`` for a Redis that is away, as one is that is restarted;
/// when it then throws `unavailable`, it has written nothing.
public final class Manager: Sendable {
    private let client: RedisClient?
    let store: any Store
    let namespace: String
    let maximumArguments: Int
    let middleware: [EnqueueMiddleware]
    let awaiting: Awaiting

    /// Makes a manager.
    ///
    /// - Parameters:
    ///   - redis: where Redis is.
    ///   - maximumArguments: bytes of a job's arguments, 1 MiB by default; larger ones are refused before they are sent.
    ///   - middleware: what is done before each job is enqueued, in this order.
    ///   - logger: where lost and found connections are told.
    /// - Throws: ``BackgroundError`` for a URL or namespace that is not one.
    public convenience init(
        redis: RedisOptions = RedisOptions(),
        maximumArguments: Int = 1 << 20,
        middleware: [EnqueueMiddleware] = [],
        logger: Logger = Logger(label: "background-jobs.manager")
    ) throws {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let client = RedisClient(
            try redis.configuration(
                clientName: ClientName.manager(redis.namespace),
                maximumBackoff: .seconds(1)
            ),
            eventLoop: eventLoop,
            logger: logger
        )
        let store = RedisStore(client: client, namespace: redis.namespace, patience: redis.connectTimeout)
        self.init(
            store: store,
            client: client,
            notes: try RedisNotes(redis, store: store, eventLoop: eventLoop, logger: logger),
            namespace: redis.namespace,
            maximumArguments: maximumArguments,
            middleware: middleware
        )
    }

    package init(
        store: any Store,
        client: RedisClient? = nil,
        notes: any NoteSource,
        namespace: String,
        maximumArguments: Int = 1 << 20,
        middleware: [EnqueueMiddleware] = []
    ) {
        precondition(maximumArguments > 0, "arguments have a positive limit")
        self.store = store
        self.client = client
        self.namespace = namespace
        self.maximumArguments = maximumArguments
        self.middleware = middleware
        awaiting = Awaiting(store: store, source: notes)
    }

    /// Closes the connection; calls that are under way throw.
    public func close() async {
        await awaiting.close()
        await client?.close()
    }

    /// Enqueues a job.
    ///
    /// - Parameters:
    ///   - job: the job; its stored properties become the arguments.
    ///   - delay: how long from now it is to run; nil or zero: at once.
    ///   - time: when it is to run, by the Redis server's clock; it wins over `delay`. A time that has passed: at once.
    ///   - queue: the queue; nil: the type's ``Job/queue``.
    ///   - id: an ID of the caller's choice: a job that is there already under this ID is not queued again. nil: a new UUID.
    ///   - options: what it asks for; they win over the type's ``Job/options``.
    /// - Returns: a handle for the job; for another one if that holds the uniqueness lock.
    /// - Throws: ``BackgroundError``: `invalidArgument` for a name, ID, time, size or option that is not allowed,
    ///   `unavailable` and `refused` if nothing was written, `unknownFate` if Redis could not be asked after the connection
    ///   broke.
    @discardableResult
    public func enqueue<J: Job>(
        _ job: J,
        in delay: Duration? = nil,
        at time: Date? = nil,
        queue: String? = nil,
        id: String? = nil,
        options: JobOptions = JobOptions()
    ) async throws -> JobHandle<J.Output> {
        let terms = Terms(of: J.self, in: delay, at: time, queue: queue, id: id, options: options)
        return try await enqueue([newJob(job, terms)])[0].of()
    }

    /// Enqueues a job by its class name, with arguments as they are: for workers written elsewhere.
    ///
    /// - Parameters:
    ///   - className: the class name.
    ///   - arguments: one JSON value, by convention an object; it is not parsed here.
    ///   - delay: how long from now it is to run; nil or zero: at once.
    ///   - time: when it is to run; it wins over `delay`.
    ///   - queue: the queue.
    ///   - id: an ID of the caller's choice; nil: a new UUID.
    ///   - options: what it asks for.
    /// - Returns: a handle for the job; for another one if that holds the uniqueness lock.
    /// - Throws: as ``enqueue(_:in:at:queue:id:options:)``.
    @discardableResult
    public func enqueue(
        _ className: String,
        arguments: String = "{}",
        in delay: Duration? = nil,
        at time: Date? = nil,
        queue: String = "default",
        id: String? = nil,
        options: JobOptions = JobOptions()
    ) async throws -> JobHandle<Void> {
        let terms = Terms(delay: delay, time: time, queue: queue, id: id, options: options)
        return try await enqueue([newJob(className, Array(arguments.utf8), terms)])[0]
    }

    /// Enqueues any number of jobs, in transactions of up to a thousand jobs and 4 MiB of arguments. (Jobs with a
    /// uniqueness lock go one by one.)
    ///
    /// - Parameters:
    ///   - jobs: the jobs; a sequence of any length, of which those of one transaction at a time are held.
    ///   - delay: how long from now they are to run.
    ///   - time: when they are to run; it wins over `delay`.
    ///   - queue: the queue; nil: the type's ``Job/queue``.
    ///   - options: what they ask for; they win over the type's ``Job/options``.
    /// - Returns: handles, in the order of the jobs.
    /// - Throws: ``BulkError`` with the IDs of those that are queued, when one of the transactions was not carried out.
    @discardableResult
    public func enqueue<J: Job>(
        contentsOf jobs: some Sequence<J>,
        in delay: Duration? = nil,
        at time: Date? = nil,
        queue: String? = nil,
        options: JobOptions = JobOptions()
    ) async throws -> [JobHandle<J.Output>] {
        let terms = Terms(of: J.self, in: delay, at: time, queue: queue, options: options)
        let name = J.name
        return try await enqueueAll(jobs.lazy.map { try self.newJob($0, terms, as: name) }).map { $0.of() }
    }

    /// Enqueues any number of jobs by class name, in transactions of up to a thousand jobs and 4 MiB of arguments.
    ///
    /// - Parameters:
    ///   - className: the class name of all of them.
    ///   - arguments: one JSON value for each job.
    ///   - delay: how long from now they are to run.
    ///   - time: when they are to run; it wins over `delay`.
    ///   - queue: the queue.
    ///   - options: what they ask for.
    /// - Returns: handles, in the order of the arguments.
    /// - Throws: ``BulkError``.
    @discardableResult
    public func enqueue(
        _ className: String,
        contentsOf arguments: some Sequence<String>,
        in delay: Duration? = nil,
        at time: Date? = nil,
        queue: String = "default",
        options: JobOptions = JobOptions()
    ) async throws -> [JobHandle<Void>] {
        let terms = Terms(delay: delay, time: time, queue: queue, options: options)
        return try await enqueueAll(arguments.lazy.map { try self.newJob(className, Array($0.utf8), terms) })
    }

    /// Takes out a job that waits, and deletes it.
    ///
    /// - Parameter id: the job's ID.
    /// - Returns: false if it is running or has ended: then nothing was changed.
    /// - Throws: ``BackgroundError`` with the code `jobNotFound` if there is no such job, or as for enqueuing.
    @discardableResult
    public func dequeue(_ id: String) async throws -> Bool {
        try Names.checkID(id)
        switch try await store.dequeue(id) {
        case .dequeued: return true
        case .running, .ended: return false
        case .missing: throw BackgroundError.noJob(id)
        }
    }

    /// Cancels a job. One that waits is taken out and recorded as cancelled. The Swift task of one that runs is cancelled on
    /// its worker, and the job ends as cancelled, without retries, unless it succeeds all the same.
    ///
    /// - Parameter id: the job's ID.
    /// - Returns: what became of it.
    /// - Throws: ``BackgroundError`` with the code `jobNotFound` if there is no such job, or as for enqueuing.
    @discardableResult
    public func cancel(_ id: String) async throws -> Cancellation {
        try Names.checkID(id)
        switch try await store.cancel(id, recordedAs: .randomUUID()) {
        case .cancelled: return .cancelled
        case .told: return .told
        case .ended: return .ended
        case .missing: throw BackgroundError.noJob(id)
        }
    }

    /// What became of a request to cancel a job.
    public enum Cancellation: String, Sendable, Hashable {
        /// It waited, and has ended as cancelled.
        case cancelled
        /// It runs, and its worker has been told.
        case told
        /// It had ended before: nothing was changed.
        case ended
    }

    // MARK: Sending them

    private func enqueue(_ jobs: [NewJob]) async throws(BackgroundError) -> [JobHandle<Void>] {
        let duplicates = try await store.enqueue(jobs)
        return jobs.map { job in
            let other = duplicates[job.id]
            return JobHandle(
                id: other?.id ?? job.id,
                isDuplicate: other != nil,
                hasReplaced: other?.wasChanged ?? false,
                manager: self
            )
        }
    }

    /// What one transaction holds at most: as long as it runs nobody else is served, and Redis holds it in memory until EXEC.
    private static let chunkCount = 1000
    private static let chunkBytes = 4 << 20

    private func enqueueAll(_ jobs: some Sequence<Result<NewJob, any Error>>) async throws -> [JobHandle<Void>] {
        var handles: [JobHandle<Void>] = []
        var chunk: [NewJob] = []
        var bytes = 0
        do {
            for job in jobs {
                let job = try job.get()
                // One that needs a lock is a step of its own.
                let isAlone = job.lock != nil || chunk.last?.lock != nil
                if !chunk.isEmpty && isAlone || chunk.count == Self.chunkCount
                    || !chunk.isEmpty && bytes + job.arguments.count > Self.chunkBytes
                {
                    handles += try await enqueue(chunk)
                    chunk.removeAll(keepingCapacity: true)
                    bytes = 0
                }
                chunk.append(job)
                bytes += job.arguments.count
            }
            if !chunk.isEmpty { handles += try await enqueue(chunk) }
        } catch {
            throw BulkError(queued: handles.map(\.id), failed: chunk.map(\.id), cause: error)
        }
        return handles
    }
}

extension LazySequenceProtocol {
    /// Each element made into a job, or why it could not be.
    fileprivate func map(
        _ make: @escaping (Element) throws -> NewJob
    ) -> LazyMapSequence<Elements, Result<NewJob, any Error>> {
        map { element in Result { try make(element) } }
    }
}

/// Not all jobs of a bulk call are queued.
public struct BulkError: Error, Sendable, CustomStringConvertible {
    /// The IDs of the jobs that are queued: the first ones, in order.
    public let queued: [String]
    /// The IDs of the transaction that was not carried out, or whose fate is unknown (see ``cause``).
    public let failed: [String]
    /// Why.
    public let cause: any Error

    /// How far it came, and why no further.
    public var description: String { "\(queued.count) jobs are queued, then: \(cause)" }
}

/// Runs `body` with a manager and closes it afterwards.
///
/// - Throws: what `body` throws, or ``BackgroundError`` for a URL or namespace that is not one.
public func withManager<Result: Sendable>(
    redis: RedisOptions = RedisOptions(),
    _ body: (Manager) async throws -> Result
) async throws -> Result {
    let manager = try Manager(redis: redis)
    let result: Result
    do {
        result = try await body(manager)
    } catch {
        await manager.close()
        throw error
    }
    await manager.close()
    return result
}
