import BackgroundRedis
public import Logging
import NIOPosix
public import ServiceLifecycle

/// Puts right whatever died on the way: promotes scheduled jobs, fires periodic ones, ends the attempts of dead workers,
/// recovers IDs that nobody claimed, gives jobs to any node whose own is not there, and trims what is old.
///
/// Any number of watchers may run, on any host: each step is a bounded, conditional, atomic script, and a watcher keeps no
/// state that matters.
///
/// ```swift
/// let watcher = try Watcher(WatcherOptions(interval: .seconds(1)), logger: logger)
/// try await watcher.run()
/// ```
public final class Watcher: Service {
    private let options: WatcherOptions
    private let redis: RedisOptions
    private let node: Node
    private let logger: Logger
    private let stopSignal = StopSignal()
    /// Whether a worker of this process says what is to be said of the Redis.
    private let isBesideWorker: Bool

    /// Makes a watcher; nothing is connected before ``run()``.
    ///
    /// - Throws: ``BackgroundError`` for a URL, namespace or queue name that is not one.
    public convenience init(
        _ options: WatcherOptions = WatcherOptions(),
        redis: RedisOptions = RedisOptions(),
        name: String? = nil,
        logger: Logger
    ) throws {
        try self.init(options, redis: redis, name: name, isBesideWorker: false, logger: logger)
    }

    /// - Parameter isBesideWorker: whether a worker of this process looks at the same Redis and tells what it finds.
    package init(
        _ options: WatcherOptions,
        redis: RedisOptions,
        name: String?,
        isBesideWorker: Bool,
        logger: Logger
    ) throws {
        self.isBesideWorker = isBesideWorker
        for queue in options.queues ?? [] { try Names.checkQueue(queue) }
        _ = try redis.configuration(clientName: "")
        self.options = options
        self.redis = redis
        self.logger = logger
        node = Node(name: name)
    }

    /// Watches until it is stopped, by ``stop()``, a graceful shutdown, or cancellation: all the same, since it has nothing
    /// to lose.
    ///
    /// - Throws: ``BackgroundError`` if this Redis can't be worked with, or its credentials are refused.
    public func run() async throws {
        try await withGracefulShutdownHandler {
            var logger = logger
            if isBesideWorker { logger.logLevel = max(logger.logLevel, .error) }
            let passed: Bool? = try await stopSignal.unlessStopped { [redis, options, logger] in
                try await Preflight(redis, logger: logger).check(
                    Rights.watcher(Keys(namespace: redis.namespace)),
                    allowsEviction: options.allowsEviction
                )
                return true
            }
            if passed == true { try await watch() }
        } onGracefulShutdown: {
            self.stop()
        }
    }

    private func watch() async throws {
        let configuration = try redis.configuration(clientName: ClientName.watcher(redis.namespace, node: node))
        let client = RedisClient(
            configuration,
            eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
            logger: logger
        )
        let watch = Watch(
            store: RedisStore(client: client, namespace: redis.namespace),
            options: options,
            namespace: redis.namespace,
            database: configuration.url.database,
            logger: logger,
            looks: Looks(eventLoop: client.eventLoop)
        )
        logger.info("Watching \(options.queues?.joined(separator: ", ") ?? "all queues"), every \(options.interval)")
        await withTaskGroup(of: Void.self) { duties in
            duties.addTask { await watch.run() }
            duties.addTask { await Promoter(watch: watch).run() }
            duties.addTask { await Firer(watch: watch).run() }
            duties.addTask { await Reaper(watch: watch).run() }
            duties.addTask { await Recoverer(watch: watch).run() }
            duties.addTask { await Placer(watch: watch).run() }
            duties.addTask { await Trimmer(watch: watch).run() }
            await stopSignal.wait()
            duties.cancelAll()
        }
        await client.close()
        logger.info("Stopped")
    }

    /// Runs the watcher beside `body` and stops it when `body` is done.
    ///
    /// - Returns: what `body` returns.
    /// - Throws: what `body` throws, or what ``run()`` does; then `body` is cancelled.
    public func withRunning<Value: Sendable>(_ body: @escaping @Sendable () async throws -> Value) async throws -> Value
    {
        try await BackgroundJobs.withRunning({ try await self.run() }, stop: stop, body)
    }

    /// Stops after the steps that are under way.
    public func stop() {
        stopSignal.stop()
    }
}
