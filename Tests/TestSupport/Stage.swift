package import BackgroundJobs
import Logging

/// A Redis, a ledger, and what it takes to run workers and watchers on them at the speed of tests.
package final class Stage: Sendable {
    package let server: RedisServer
    package let ledger: Ledger
    package let records: Records
    package let manager: Manager
    package let namespace: String
    /// Where the programs and the producer connect to.
    package let url: String
    /// What --dead-after is, unless something else is asked for, in seconds.
    private let deadAfter: Int

    package convenience init(_ options: [String] = [], namespace: String = "bg", deadAfter: Int = 2) async throws {
        try self.init(on: try await RedisServer.start(options: options), namespace: namespace, deadAfter: deadAfter)
    }

    /// - Parameters:
    ///   - ledger: the witness; another one's, where jobs move from Redis to Redis.
    ///   - url: where the programs and the producer connect to; nil: to this server.
    ///   - deadAfter: what --dead-after is, unless something else is asked for, in seconds.
    package init(
        on server: RedisServer,
        ledger: Ledger = Ledger(),
        url: String? = nil,
        namespace: String = "bg",
        deadAfter: Int = 2
    ) throws {
        self.server = server
        self.ledger = ledger
        self.url = url ?? server.url
        self.namespace = namespace
        self.deadAfter = deadAfter
        records = try Records(url: server.url, namespace: namespace)
        manager = try Manager(
            redis: RedisOptions(url: self.url, namespace: namespace, connectTimeout: .seconds(10)),
            logger: Logger(label: "manager", factory: { _ in SwiftLogNoOpLogHandler() })
        )
    }

    deinit {
        let (manager, records) = (manager, records)
        Task {
            await manager.close()
            await records.close()
        }
    }

    /// A worker that runs the ledger's jobs, connected and waiting for jobs.
    package func worker(_ arguments: String..., url: String? = nil, waits: Bool = true) async throws -> Program {
        try await worker(arguments, url: url, waits: waits)
    }

    package func worker(
        _ arguments: [String],
        url: String? = nil,
        environment: [String: String] = [:],
        limits: [String] = [],
        waits: Bool = true
    ) async throws -> Program {
        let program = try Program(
            "test-worker",
            ["--redis", url ?? self.url, "-n", namespace]
                + Self.scaled(
                    ["--heartbeat": "0.2", "--dead-after": "\(deadAfter)", "--fibers": "10", "--verbose": nil],
                    arguments
                ),
            environment: ledger.environment.merging(environment) { $1 },
            limits: limits
        )
        if waits { try await program.logged("Working on") }
        return program
    }

    /// A watcher that looks ten times a second, and judges after a second.
    package func watcher(_ arguments: String..., waits: Bool = true) async throws -> Program {
        try await watcher(arguments, waits: waits)
    }

    package func watcher(_ arguments: [String], waits: Bool = true) async throws -> Program {
        let program = try Program(
            "bg-watcher",
            ["--redis", url, "-n", namespace]
                + Self.scaled(
                    [
                        "--interval": "0.1", "--heartbeat": "0.2", "--dead-after": "\(deadAfter)",
                        "--grace": "1", "--verbose": nil,
                    ],
                    arguments
                )
        )
        if waits { try await program.logged("Watching") }
        return program
    }

    private static func scaled(_ options: [String: String?], _ arguments: [String]) -> [String] {
        options.filter { !arguments.contains($0.key) }.sorted { $0.key < $1.key }
            .flatMap { option, value in [option] + (value.map { [$0] } ?? []) } + arguments
    }

    /// Enqueues ledger jobs, many at a time; returns the acknowledged IDs.
    package func enqueue(
        _ className: String,
        _ arguments: String = "{}",
        count: Int = 1,
        queue: String = "default",
        options: JobOptions = JobOptions()
    ) async throws -> [String] {
        let all = repeatElement(arguments, count: count)
        return try await manager.enqueue(className, contentsOf: all, queue: queue, options: options).map(\.id)
    }

    /// Waits until each of these jobs has ended once, in the ledger.
    package func ended(_ jobs: [String], within limit: Duration = .seconds(120)) async throws {
        try await eventually("\(jobs.count) jobs end", within: limit) {
            Set(ledger.entries.filter { $0.event == .end }.map(\.job)).isSuperset(of: jobs)
        }
    }

    /// Waits until nothing waits or runs in the queues.
    package func drained(_ queues: String..., within limit: Duration = .seconds(120)) async throws {
        let keys = records.keys
        for queue in queues.isEmpty ? ["default"] : queues {
            try await eventually("\(queue) is empty", within: limit) {
                let sizes = try await records.send([
                    ["LLEN", keys.ready(queue)], ["LLEN", keys.handoff(queue)], ["LLEN", keys.suspects(queue)],
                    ["ZCARD", keys.scheduled(queue)], ["SCARD", keys.processing(queue)],
                ])
                return sizes.allSatisfy { $0.int == 0 }
            }
        }
    }
}
