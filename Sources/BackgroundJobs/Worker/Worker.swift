public import Logging
import NIOCore
package import NIOPosix
public import ServiceLifecycle
import Synchronization

/// Runs jobs.
///
/// ```swift
/// var jobs = JobRegistry()
/// jobs.register(Nap.self)
/// let worker = try Worker(WorkerOptions(queues: .strict(["high", "low"])), jobs: jobs, logger: logger)
/// try await worker.run()
/// ```
///
/// ``run()`` returns after a graceful stop: ``stop()``, or the graceful shutdown of a `ServiceGroup`. Cancelling the task
/// that runs it is the hard stop: running jobs are cancelled and given back at once.
public final class Worker: Service {
    private let options: WorkerOptions
    private let redis: RedisOptions?
    private let driver: WorkerDriver
    private let eventLoops: MultiThreadedEventLoopGroup
    private let hasRun = Mutex(false)
    private let stopSignal = StopSignal()
    private let manager: SharedManager
    private let logger: Logger
    private let declared: [PeriodicJob]
    private let program: String

    /// The name of this worker in `bg-cli workers` and in the attempts it makes.
    public var node: String { driver.node }

    /// Makes a worker; nothing is connected before ``run()``.
    ///
    /// - Parameters:
    ///   - options: queues, fibers and times.
    ///   - redis: where Redis is.
    ///   - jobs: the jobs it can run.
    ///   - logger: where it says what it does.
    /// - Throws: ``BackgroundError`` for a URL or namespace that is not one.
    public convenience init(
        _ options: WorkerOptions,
        redis: RedisOptions = RedisOptions(),
        jobs: JobRegistry,
        logger: Logger
    ) throws {
        try self.init(options, redis: redis, node: Node(name: options.name), jobs: jobs, logger: logger)
    }

    /// A worker whose node name is known before: its handler programs are told.
    package convenience init(
        _ options: WorkerOptions,
        redis: RedisOptions,
        node: Node,
        jobs: JobRegistry,
        logger: Logger
    ) throws {
        try options.checkReserve()
        // A thread of its own, which no job can block: what vouches for the attempts runs there.
        let eventLoops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let link = try RedisWorkerLink(
            redis: redis,
            node: node,
            fibers: options.fibers,
            queues: options.queues.names,
            heartbeat: options.heartbeat,
            deadAfter: options.deadAfter,
            eventLoop: eventLoops.next(),
            logger: logger
        )
        self.init(options, redis: redis, node: node, link: link, eventLoops: eventLoops, jobs: jobs, logger: logger)
    }

    package init(
        _ options: WorkerOptions,
        redis: RedisOptions?,
        node: Node,
        link: any WorkerLink,
        eventLoops: MultiThreadedEventLoopGroup,
        jobs: JobRegistry,
        manager: SharedManager? = nil,
        logger: Logger
    ) {
        self.options = options
        self.redis = redis
        self.eventLoops = eventLoops
        self.logger = logger
        let manager = manager ?? SharedManager(redis ?? RedisOptions(), middleware: jobs.enqueueMiddleware)
        self.manager = manager
        declared = jobs.periodics
        program = jobs.program
        var jobs = jobs
        if let redis, jobs.endsPeriodic == nil { jobs.endPeriodics(on: redis, logger: logger) }
        driver = WorkerDriver(
            options,
            node: node,
            link: link,
            eventLoop: eventLoops.next(),
            jobs: jobs,
            manager: { try manager.get() },
            stopSignal: stopSignal,
            logger: logger
        )
    }

    /// Works until it is stopped.
    ///
    /// - Throws: ``BackgroundError`` if this Redis can't be worked with, or its credentials are refused. What goes wrong
    ///   later is logged and tried again. `stalled` when as many jobs ignore their cancellation as there are threads: what
    ///   they hold can't be had back, so the process is to end and be started again. Nothing can be thrown while they hold
    ///   every thread; a program made of `WorkerProgram` ends even then.
    public func run() async throws {
        guard
            hasRun.withLock({ hasRun in
                !hasRun
                    && {
                        hasRun = true; return true
                    }()
            })
        else {
            throw BackgroundError(.invalidArgument, "A worker runs once; make another one.")
        }
        defer {
            driver.end()
            // A connection that is just being made must not find its event loop gone, and nobody has to wait for it: a task
            // of its own, which runs no job and ends when the connection is made or given up.
            Task { [driver, eventLoops] in
                await driver.settle()
                eventLoops.shutdownGracefully { _ in }
            }
        }
        try await withGracefulShutdownHandler {
            try await withTaskCancellationHandler {
                do {
                    guard try await isSuitable() else { return await driver.close() }
                    try await working()
                    await manager.close()
                } catch {
                    await driver.close()
                    await manager.close()
                    throw error
                }
            } onCancel: {
                self.driver.releaseNow()
            }
        } onGracefulShutdown: {
            self.driver.stop()
        }
    }

    /// Declares the program's periodic jobs, and works. A Redis that does not take declarations at present, since its memory is full for
    /// instance, keeps no worker from working.
    private func working() async throws {
        guard let redis else { return try await driver.run() }
        let periodics = Periodics(redis: redis, logger: logger)
        let isDeclared = try await stopSignal.unlessStopped { [declared, program] in
            await periodics.declare(declared, by: program)
        }
        guard let isDeclared else { return await driver.close() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            if !isDeclared {
                group.addTask { [declared, program] in await periodics.keepDeclaring(declared, by: program) }
            }
            try await driver.run()
            group.cancelAll()
        }
    }

    /// Waits for Redis and looks at it; false if the worker was stopped meanwhile.
    private func isSuitable() async throws -> Bool {
        guard let redis else { return true }
        let passed: Bool? = try await stopSignal.unlessStopped { [options, logger] in
            try await Preflight(redis, logger: logger).check(
                Rights.worker(Keys(namespace: redis.namespace)),
                allowsEviction: options.allowsEviction
            )
            return true
        }
        return passed == true
    }

    /// Runs the worker beside `body` and stops it gracefully when `body` is done.
    ///
    /// - Returns: what `body` returns.
    /// - Throws: what `body` throws, or what ``run()`` does; then `body` is cancelled.
    public func withRunning<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value
    {
        try await BackgroundJobs.withRunning({ try await self.run() }, stop: stop, body)
    }

    /// Claims nothing more; what runs goes on, and ``run()`` does not return.
    public func quiet() {
        driver.quiet()
    }

    /// Stops gracefully: claims nothing more, waits for the running jobs up to the grace period, then cancels them, and gives
    /// back to the head of their queues those that have not ended after a further ``WorkerOptions/killAfter``.
    public func stop() {
        driver.stop()
    }

    /// Cancels what runs and gives it back at once.
    public func releaseNow() {
        driver.releaseNow()
    }

    /// Called on a thread that no job can hold when the worker has done all it could, and tasks that ignore their cancellation
    /// are left: ``run()`` can't return before they do, or not at all, so a program that is to end must exit. It is given
    /// what ``run()`` would throw.
    package var onStragglers: (@Sendable (BackgroundError?) -> Void)? {
        get { driver.onStragglers }
        set { driver.onStragglers = newValue }
    }
}
