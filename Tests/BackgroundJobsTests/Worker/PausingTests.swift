import BackgroundJobs
import BackgroundJobsTesting
import Logging
import TestSupport
import Testing

/// Pausing, with a worker on a real Redis.
@Suite("A paused queue", .timeLimit(.minutes(20)))
struct PausingTests {
    @Test("accepts jobs and runs none, though a worker waited for them; resumed, it runs them within a second")
    func pauseAndResume() async throws {
        let told = Told()
        let gate = Gate()
        var jobs = JobRegistry()
        jobs.register("Tell", raw: { arguments, _ in told.tell(String(decoding: arguments, as: UTF8.self)) })
        jobs.register("Waits", raw: { _, _ in await gate.wait() })
        let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        try await OptionStage.with(jobs) { stage in
            let inspector = try Inspector(redis: stage.redis, logger: quiet)
            let running = try await stage.manager.enqueue("Waits").id
            try await eventually("it runs") { try await !stage.records.processing().isEmpty }
            // The worker is blocked on the queue by now, or about to be: what comes of that is to be put back.
            #expect(try await inspector.pause(["default", "never"]) == ["default", "never"])
            let first = try await stage.manager.enqueue("Tell", arguments: "1").id
            let second = try await stage.manager.enqueue("Tell", arguments: "2").id
            let marker = try await stage.manager.enqueue("Tell", arguments: "0", queue: "slow").id
            try await stage.completed(marker)
            try await eventually("nothing stays in handoff") {
                try await stage.records("LRANGE", "bg:ready:default", "0", "-1").texts == [first, second]
            }
            gate.open()
            try await stage.completed(running)
            #expect(told.all == ["0"])
            #expect(try await inspector.status(queues: ["default"]).queues[0].isPaused)
            #expect(try await inspector.queues() == ["default", "never", "slow"])

            let before = try await stage.time()
            #expect(try await inspector.resume(["default"]) == ["default"])
            try await stage.completed(first)
            try await stage.completed(second)
            #expect(told.all == ["0", "1", "2"])
            let began = Int(try await stage.records.attempts(of: first)[0]["sta"] ?? "") ?? 0
            #expect(began - before < 1000)
            await inspector.close()
        }
    }

    @Test("costs an idle worker two calls a second")
    func calls() async throws {
        var jobs = JobRegistry()
        jobs.register("Nothing", raw: { _, _ in })
        try await OptionStage.withServer { stage in
            try await stage.records("SADD", "bg:paused", "default", "slow")
            _ = try await stage.manager.enqueue("Nothing")
            try await stage.working(jobs) {
                try await eventually("the worker is there") {
                    try await !stage.records.clients(named: "bg-worker:").isEmpty
                }
                let start = try await (stage.time(), stage.exchanges())
                // So many calls take so long, whatever the machine does meanwhile.
                try await eventually("six more calls") { try await stage.exchanges() >= start.1 + 6 }
                #expect(try await stage.time() - start.0 >= 2000)
                #expect(try await stage.records.ready() == 1)
            }
        }
    }
}

extension OptionStage {
    /// The server's time in ms.
    fileprivate func time() async throws -> Int {
        let parts = try await records("TIME").texts.compactMap { Int($0) }
        return parts[0] * 1000 + parts[1] / 1000
    }

    /// How many claims the worker has sent: each asks once which queues are paused.
    fileprivate func exchanges() async throws -> Int {
        let text = try await records("INFO", "commandstats").text ?? ""
        let line = text.split(separator: "\r\n").first { $0.hasPrefix("cmdstat_smismember:calls=") } ?? ""
        return Int(line.dropFirst("cmdstat_smismember:calls=".count).prefix { $0.isNumber }) ?? 0
    }
}
