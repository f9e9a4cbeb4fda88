import BackgroundJobs
import BackgroundRedis
import Foundation
import Logging
import Synchronization
import TestSupport

/// Workers, watchers and producers of this process, quick to start and to stop, on one database of a Redis.
struct LocalSystem: Sendable {
    let server: RedisServer
    let database: Int
    let runs = Runs()

    /// How often each job has begun.
    final class Runs: Sendable {
        private let counts = Mutex<[String: Int]>([:])

        func begin(_ job: String) { counts.withLock { $0[job, default: 0] += 1 } }
        func forget() { counts.withLock { $0 = [:] } }
        subscript(_ job: String) -> Int { counts.withLock { $0[job] ?? 0 } }
    }

    static let quiet = Logger(label: "drill", factory: { _ in SwiftLogNoOpLogHandler() })
    /// The job class that all of them know; it does nothing.
    static let jobClass = "Instant"

    /// - Parameter url: of a proxy before the server; nil: the server's own.
    func options(_ url: String? = nil) -> RedisOptions {
        RedisOptions(url: "\(url ?? server.tcpURL)/\(database)", connectTimeout: .seconds(10))
    }

    func worker(_ url: String? = nil, endsWhenEmpty: Bool = false) throws -> Worker {
        var jobs = JobRegistry()
        jobs.register(Self.jobClass, raw: { _, context in runs.begin(context.jobID) })
        let options = WorkerOptions(
            queues: try QueueOrder.parse("default"),
            fibers: 2,
            gracePeriod: .seconds(5),
            heartbeat: .milliseconds(500),
            deadAfter: .seconds(6),
            endsWhenEmpty: endsWhenEmpty
        )
        return try Worker(options, redis: self.options(url), jobs: jobs, logger: Self.quiet)
    }

    func watcher(_ url: String? = nil) throws -> Watcher {
        let options = WatcherOptions(
            interval: .milliseconds(50),
            deadAfter: .seconds(6),
            heartbeat: .milliseconds(500),
            grace: .milliseconds(100),
            secondLook: .milliseconds(50),
            keepCompleted: Retention(age: .seconds(3600), count: 1000)
        )
        return try Watcher(options, redis: self.options(url), logger: Self.quiet)
    }

    func manager(_ url: String? = nil) throws -> Manager { try Manager(redis: options(url), logger: Self.quiet) }

    func empty() async throws {
        try await withRecords { _ = try await $0("FLUSHDB") }
        runs.forget()
    }

    /// What is not as it must be, a sentence each.
    func violations() async throws -> [String] {
        try await withRedisStore(server, database: database) { try await invariantViolations($0) }
    }

    /// Runs `body` with a connection to the database.
    func withRecords<Value>(_ body: (Records) async throws -> Value) async throws -> Value {
        let records = try Records(url: "\(server.tcpURL)/\(database)")
        do {
            let value = try await body(records)
            await records.close()
            return value
        } catch {
            await records.close()
            throw error
        }
    }
}

extension Records {
    /// Enqueues a job as a producer with plain commands does.
    func enqueue(_ job: String, _ fields: [String] = []) async throws {
        try await send([
            ["HSET", keys.job(job), "que", "default", "cls", LocalSystem.jobClass, "arg", "{}", "qat", "1"] + fields,
            ["RPUSH", keys.ready("default"), job], ["SADD", keys.queues, "default"],
        ])
    }

    /// Whether nothing waits or runs in the queue.
    func isSettled() async throws -> Bool {
        let sizes = try await send([
            ["LLEN", keys.ready("default")], ["LLEN", keys.handoff("default")], ["LLEN", keys.suspects("default")],
            ["ZCARD", keys.scheduled("default")], ["SCARD", keys.processing("default")],
        ])
        return sizes.allSatisfy { $0.int == 0 }
    }
}

/// Runs workers beside `body`.
func withRunning(_ workers: [Worker], _ body: () async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        for worker in workers { group.addTask { try await worker.run() } }
        try await body()
        for worker in workers { worker.stop() }
        try await group.waitForAll()
    }
}

/// Does something for each element, so many at a time; returns what came of it, in any order.
func concurrently<Element: Sendable, Value: Sendable>(
    _ elements: [Element],
    lanes: Int,
    _ body: @escaping @Sendable (_ lane: Int, Element) async throws -> Value
) async throws -> [Value] {
    let taken = Counter()
    return try await withThrowingTaskGroup(of: [Value].self) { group in
        for lane in 0..<lanes {
            group.addTask {
                var values: [Value] = []
                while case let number = taken.next(), number <= elements.count {
                    values.append(try await body(lane, elements[number - 1]))
                }
                return values
            }
        }
        return try await group.reduce(into: []) { $0 += $1 }
    }
}

/// A drill can't go on.
struct DrillFailure: Error, CustomStringConvertible {
    let description: String
}
