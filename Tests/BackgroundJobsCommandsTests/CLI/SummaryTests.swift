import BackgroundJobs
import Foundation
import Logging
import TestSupport
import Testing

@testable import BackgroundJobsCommands

extension CLI {
    @Suite("summary") struct Summary {
        @Test("shows sums, queues, and a worker with what it runs")
        func all() async throws {
            try await CLIBench.with { bench in
                let redis = RedisOptions(
                    url: bench.server.url,
                    namespace: bench.namespace,
                    connectTimeout: .seconds(30)
                )
                var jobs = JobRegistry()
                jobs.register("Waits", raw: { _, _ in try await Task.sleep(for: .seconds(600)) })
                let options = WorkerOptions(
                    queues: try .strict(["high", "low"]),
                    fibers: 5,
                    name: "w",
                    gracePeriod: .zero
                )
                let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
                let worker = try Worker(options, redis: redis, jobs: jobs, logger: quiet)
                try await bench.records.send([
                    ["HSET", bench.key("stats:high"), "completed", "12", "failed", "3", "odd", "x"],
                    ["HSET", bench.key("stats:low"), "completed", "30"],
                ])
                try await worker.withRunning {
                    let job = try await bench.manager.enqueue("Waits", queue: "high").id
                    _ = try await bench.manager.enqueue("Mail", in: .seconds(600), queue: "low")
                    try await eventually("it runs") { try await !bench.records.processing("high").isEmpty }
                    let json = try await eventually("it runs and tells of itself") {
                        let line = try await bench.lines("summary", "--json")[0]
                        return line.contains(#""job":"\#(job)""#) && line.contains(#""version""#) ? line : nil
                    }
                    let summary = try JSONDecoder().decode(Read.self, from: Data(json.utf8))
                    #expect(summary.totals.counters["completed"] == 42 && summary.totals.counters["odd"] == nil)
                    #expect(
                        summary.totals.scheduled == 1 && summary.totals.processing == 1 && summary.totals.fibers == 5
                    )
                    #expect(summary.queues.map(\.name) == ["high", "low"])
                    #expect(summary.queues[1].counters == ["completed": 30])
                    let shown = try #require(summary.workers.first)
                    #expect(shown.name == "w" && shown.queues == ["high", "low"] && shown.busy == 1)
                    #expect(shown.version == LibraryVersion.current && shown.memory > 1 << 20)
                    #expect(shown.processID == Int(ProcessInfo.processInfo.processIdentifier))
                    #expect(shown.running.map(\.class) == ["Waits"] && shown.running.map(\.queue) == ["high"])

                    let key = bench.key("node:\(shown.node)")
                    #expect(try await bench.records("TTL", key).int > 0)
                    let text = try await bench.lines("summary")
                    #expect(text[0] == "queues    2")
                    #expect(text.contains("workers   1, 5 fibers, 1 busy"))
                    #expect(text.contains("so far    42 completed, 3 failed"))
                    #expect(text.contains { $0.hasPrefix("  Waits \(job) of high, for ") })
                    #expect(text.contains { $0.hasPrefix("\(shown.node): 5 fibers, 1 busy, queues high,low, host ") })
                    worker.releaseNow()
                }
            }
        }

        @Test("says that there is nothing")
        func nothing() async throws {
            try await CLIBench.with { bench in
                let text = try await bench.lines("summary")
                #expect(text.first == "queues    0" && text.last == "so far    nothing has ended")
            }
        }
    }
}

private struct Read: Decodable {
    struct Totals: Decodable {
        var scheduled: Int
        var processing: Int
        var fibers: Int
        var counters: [String: Int]
    }
    struct Queue: Decodable {
        var name: String
        var counters: [String: Int]
    }
    struct Run: Decodable {
        var `class`: String
        var queue: String
    }
    struct Worker: Decodable {
        var node: String
        var name: String
        var queues: [String]
        var busy: Int
        var version: String
        var memory: Int
        var processID: Int
        var running: [Run]
    }
    var totals: Totals
    var queues: [Queue]
    var workers: [Worker]
}
