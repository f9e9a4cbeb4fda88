import BackgroundJobs
import Foundation
import Logging
import TestSupport
import Testing

@testable import BackgroundJobsCommands

extension CLI {
    @Suite("prune") struct Prune {
        /// Jobs of all kinds on the queues q and other, and keys that are somebody else's.
        private func fill(_ bench: CLIBench) async throws {
            let unique = BackgroundJobs.JobOptions(unique: .unique(for: .seconds(600), by: .key("k")))
            for queue in ["q", "other"] {
                _ = try await bench.manager.enqueue("Mail", contentsOf: (0..<1500).map { "\($0)" }, queue: queue)
                _ = try await bench.manager.enqueue("Mail", in: .seconds(600), queue: queue, options: unique)
                try await bench.dead("dead-\(queue)", queue: queue, at: 1)
            }
            try await bench.records.send([
                ["HSET", bench.key("stats:q"), "completed", "1"], ["HSET", bench.key("stats:q:29000000"), "run", "1"],
                ["HSET", bench.key("stats:other"), "completed", "1"],
                ["HSET", bench.key("node:n-1-00000000"), "pid", "1"], ["SADD", bench.key("paused"), "q"],
            ])
        }

        private func keys(_ bench: CLIBench, _ pattern: String) async throws -> [String] {
            try await bench.records("KEYS", "\(bench.namespace)\(pattern)").texts.sorted()
        }

        @Test("deletes a queue and leaves the others, once it may")
        func queue() async throws {
            try await CLIBench.with { bench in
                try await fill(bench)
                let before = try await keys(bench, ":*").count
                let refused = try await bench.cli("prune", "-q", "q")
                #expect(refused.exit == .status(64) && refused.output == "")
                #expect(refused.error.contains("This deletes the queue q in the namespace \(bench.namespace) on "))
                // 1502 jobs, an attempt, the lock, five lists and sets, and two of statistics.
                #expect(refused.error.contains(": 1510 keys (jobs 1502, stats 2, attempts 1, "))
                #expect(try await keys(bench, ":*").count == before)
                let ran = try await bench.cli("prune", "-q", "q", "--yes")
                #expect(ran.exit == .status(0) && ran.lines == ["1510 deleted"])
                #expect(try await keys(bench, ":*:q*") == [])
                #expect(try await bench.records("SMEMBERS", bench.key("queues")).texts == ["other"])
                #expect(try await keys(bench, ":paused") == [])
                #expect(try await keys(bench, ":jobs:*").count == 1502)
                #expect(try await keys(bench, ":unique:*").count == 1)
                #expect(try await bench.ready("other").count == 1500)
                #expect(try await bench.lines("prune", "-q", "q", "-y") == ["0 deleted"])
            }
        }

        @Test("deletes all of the namespace, and nothing of another whose name begins alike")
        func namespace() async throws {
            try await CLIBench.with { bench in
                try await fill(bench)
                let other = try Manager(
                    redis: RedisOptions(
                        url: bench.server.url,
                        namespace: bench.namespace + ":2",
                        connectTimeout: .seconds(30)
                    )
                )
                let longer = try Manager(
                    redis: RedisOptions(
                        url: bench.server.url,
                        namespace: bench.namespace + "2",
                        connectTimeout: .seconds(30)
                    )
                )
                for manager in [other, longer] {
                    _ = try await manager.enqueue("Mail", queue: "q")
                    await manager.close()
                }
                try await bench.records.send([
                    ["SET", bench.key("mine"), "x"], ["SET", bench.key("jobs:string"), "x"],
                    ["SET", bench.key("unique:nodigest"), "x"],
                ])
                let ran = try await bench.cli("prune", "--yes")
                #expect(ran.exit == .status(0))
                #expect(
                    ran.error.contains(
                        "6 keys begin with \(bench.namespace): and are none of this system's; they stay: "
                    )
                )
                #expect(
                    try await keys(bench, "*").filter { !$0.contains(":jobs:") }
                        == [
                            ":2:queues", ":2:ready:q", ":mine", ":unique:nodigest", "2:queues", "2:ready:q",
                        ].map { bench.namespace + $0 }.sorted()
                )
                #expect(try await keys(bench, ":jobs:*") == [bench.key("jobs:string")])
            }
        }

        @Test("refuses while somebody is connected, unless it is forced")
        func connected() async throws {
            try await CLIBench.with { bench in
                try await fill(bench)
                let redis = RedisOptions(
                    url: bench.server.url,
                    namespace: bench.namespace,
                    connectTimeout: .seconds(30)
                )
                let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
                let watcher = try Watcher(redis: redis, logger: quiet)
                async let watching: Void = watcher.run()
                try await eventually("it is connected") {
                    try await !bench.records.clients(named: "\(bench.namespace)-watcher:").isEmpty
                }
                let refused = try await bench.cli("prune", "-y")
                #expect(refused.exit == .status(1) && refused.output == "")
                #expect(
                    refused.error.contains("connected are 0 workers and 1 watcher. Stop them first, or give --force.")
                )
                let inspector = try Inspector(redis: redis)
                await #expect(throws: BackgroundError.self) { try await inspector.prune() }
                await inspector.close()
                let forced = try await bench.cli("prune", "-y", "--force")
                #expect(forced.exit == .status(0))
                watcher.stop()
                try await watching
                #expect(try await bench.ready() == [])
            }
        }
    }
}
