public import BackgroundJobs
public import Logging
import NIOCore
import NIOPosix
public import ServiceLifecycle

/// A whole worker in one process, for development without a server: it runs jobs that are kept in the memory of this process,
/// promotes those that are scheduled, and fires periodic ones.
///
/// ```swift
/// let worker = try MemoryWorker(WorkerOptions(queues: .strict(["default"])), jobs: jobs, logger: logger)
/// try await worker.withRunning {
///     try await worker.manager.enqueue(Nap(sleep: 5))
/// }
/// ```
///
/// **All is lost when the process ends**: jobs that wait, run, or are scheduled. It says so once when it starts. For that reason it is
/// nothing for production; what it runs is run by a ``Worker``, by the same rules.
public final class MemoryWorker: Service {
    /// Enqueues to it, before and while it runs.
    public let manager: Manager

    private let store: MemoryStore
    private let worker: Worker
    private let keeper: MemoryKeeper
    private let jobs: JobRegistry
    private let logger: Logger

    /// The name of this worker in the attempts it makes.
    public var node: String { worker.node }

    /// Makes a worker.
    ///
    /// - Parameters:
    ///   - options: queues, fibers and times. What concerns a connection has no meaning here.
    ///   - jobs: the jobs it can run. Periodic ones are declared when it runs.
    ///   - store: what it works on; workers that are given the same one share its jobs.
    ///   - middleware: what is done before each job is enqueued by ``manager``, in this order.
    ///   - logger: where it says what it does.
    /// - Throws: ``BackgroundError`` for fibers that are reserved for a queue that it does not serve, or leave none for others.
    public init(
        _ options: WorkerOptions,
        jobs: JobRegistry,
        store: MemoryStore? = nil,
        middleware: [EnqueueMiddleware] = [],
        logger: Logger
    ) throws {
        try options.checkReserve()
        let store = store ?? MemoryStore()
        let node = Node(name: options.name)
        let eventLoops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let keeper = MemoryKeeper(store, eventLoop: MultiThreadedEventLoopGroup.singleton.next(), logger: logger)
        self.store = store
        self.logger = logger
        self.keeper = keeper
        var jobs = jobs
        if jobs.endsPeriodic == nil { jobs.endPeriodics(on: store) }
        self.jobs = jobs
        manager = Manager(store, middleware: middleware)
        worker = Worker(
            options,
            redis: nil,
            node: node,
            link: MemoryWorkerLink(
                store,
                node: node,
                queues: options.queues.names,
                eventLoop: eventLoops.next(),
                onChange: { keeper.call() }
            ),
            eventLoops: eventLoops,
            jobs: jobs,
            // Of its own: it is closed when the worker stops.
            manager: SharedManager { Manager(store, middleware: middleware) },
            logger: logger
        )
    }

    /// Works until it is stopped, as ``Worker/run()``.
    ///
    /// - Throws: ``BackgroundError`` with the code `stalled` when as many jobs ignore their cancellation as there are threads, or if
    ///   it has run before.
    public func run() async throws {
        begin()
        defer { keeper.stop() }
        try await worker.run()
    }

    /// Runs the worker beside `body` and stops it gracefully when `body` is done.
    ///
    /// - Returns: what `body` returns.
    /// - Throws: what `body` throws, or what ``run()`` does; then `body` is cancelled.
    public func withRunning<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value
    {
        begin()
        defer { keeper.stop() }
        return try await worker.withRunning(body)
    }

    private func begin() {
        logger.warning("Jobs are kept in the memory of this process: all of them are lost when it ends")
        store.declare(jobs)
        keeper.start()
    }

    /// Claims nothing more; what runs goes on, and ``run()`` does not return.
    public func quiet() { worker.quiet() }

    /// Stops gracefully, as ``Worker/stop()``. What it gives back stays in the store as long as the process lives.
    public func stop() { worker.stop() }
}

extension JobRegistry {
    /// Lets its jobs end the periodic jobs that fired them.
    mutating func endPeriodics(on store: MemoryStore) {
        endsPeriodic = { [weak store] name, reason in
            let reason = FailureText.printable(reason.isEmpty ? "its job ended it" : reason, limit: 1024)
            _ = store?.perform { $0.steer(name, .end(reason: reason)) }
        }
    }
}

extension MemoryStore {
    /// Declares the periodic jobs of a program.
    func declare(_ jobs: JobRegistry) {
        _ = perform { state in
            let now = state.now
            // Refused are only those of nobody that would never run.
            let declarations = jobs.periodics.compactMap { try? $0.declaration(by: jobs.program, now: now) }
            return state.declare(declarations, by: jobs.program, areAll: true, revives: false)
        }
    }
}
