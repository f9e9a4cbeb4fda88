public import BackgroundJobs
import BackgroundRedis
import Logging
import NIOPosix

/// What the benchmarks need of the system's inside: jobs made ready in bulk, what a bare client reaches, and what Redis
/// says of itself.
///
/// A product with an underscore: not for users.
public struct Yardstick: Sendable {
    let store: RedisStore
    let redis: RedisOptions

    /// Connects to the Redis that is measured.
    public init(redis: RedisOptions) throws {
        self.redis = redis
        let name = ClientName.manager(redis.namespace)
        store = RedisStore(client: try Self.client(redis, name: name), namespace: redis.namespace)
    }

    /// A connection of its own.
    static func client(
        _ redis: RedisOptions,
        name: String,
        heartbeat: Duration = .seconds(5)
    ) throws -> RedisClient {
        RedisClient(
            try redis.configuration(clientName: name, commandTimeout: .seconds(60), heartbeatInterval: heartbeat),
            eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
            logger: Logger(label: "yardstick", factory: { _ in SwiftLogNoOpLogHandler() })
        )
    }

    /// Empties the server.
    public func flush() async throws {
        try await store.send("FLUSHALL")
    }

    /// Empties this database.
    public func flushDatabase() async throws {
        try await store.send("FLUSHDB")
    }

    /// Sends one command.
    ///
    /// - Returns: the number that Redis answers with; 0 for any other answer.
    @discardableResult
    public func integer(_ parts: String...) async throws -> Int {
        var pipeline = Pipeline()
        pipeline.command(parts)
        return Int(try await store.send(pipeline)[0].orThrow().int ?? 0)
    }

    /// What the jobs are with which a queue is filled.
    public struct Filling: Sendable {
        /// The class.
        public var className: String
        /// Of each job, by its number.
        public var arguments: @Sendable (Int) -> String
        /// When each is due, in ms of the server's clock; nil: at once.
        public var due: @Sendable (Int) -> Int64?

        /// Jobs of the class `Noop`, with the arguments `{"n":i}`, unless something else is said.
        public init(
            _ className: String = "Noop",
            arguments: @escaping @Sendable (Int) -> String = { "{\"n\":\($0)}" },
            due: @escaping @Sendable (Int) -> Int64? = { _ in nil }
        ) {
            self.className = className
            self.arguments = arguments
            self.due = due
        }
    }

    /// Queues jobs, as a bare client does: without a manager.
    ///
    /// - Parameters:
    ///   - batch: how many go in one transaction; nil: as many as a manager would send, up to 1000 and 4 MiB.
    ///   - tasks: how many transactions are under way at once.
    public func fill(
        _ queue: String,
        jobs: Int,
        batch: Int? = nil,
        tasks: Int = 1,
        with filling: Filling = Filling()
    ) async throws {
        let batch = batch ?? max(1, min(1000, (4 << 20) / filling.arguments(0).utf8.count))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<tasks {
                group.addTask {
                    for start in stride(from: task * batch, to: jobs, by: tasks * batch) {
                        let range = start..<min(start + batch, jobs)
                        try await store.enqueue(range.map { filling.job($0, queue) })
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// Moves all jobs that are due to `ready`, as a watcher does.
    public func promote(_ queue: String) async throws {
        while try await !store.promote(queue, limit: 500).moved.isEmpty {}
    }

    /// Removes the oldest of what completed, with their jobs, as a watcher does.
    ///
    /// - Parameter keep: how many are kept.
    public func trim(_ queue: String, keep: Int) async throws {
        let retention = Retention(age: nil, count: keep)
        while try await store.trim(.completed, of: queue, keep: retention, limit: 200, from: 0).hasMore {}
    }

    /// Ends the connection.
    public func close() async {
        await store.client.close()
    }
}

extension Yardstick.Filling {
    fileprivate func job(_ number: Int, _ queue: String) -> NewJob {
        NewJob(
            id: .randomUUID(),
            queue: queue,
            className: className,
            arguments: Array(arguments(number).utf8),
            due: due(number).map { .at(milliseconds: $0) }
        )
    }
}
