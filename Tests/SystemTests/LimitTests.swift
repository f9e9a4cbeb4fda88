import BackgroundJobs
import Foundation
import TestSupport
import Testing

private let cores = ProcessInfo.processInfo.activeProcessorCount

extension SystemTests {
    /// Jobs that hold their threads (row W8).
    @Suite("Jobs that hold their threads", .serialized)
    struct Limits {
        private let endless = #"{"ms":600000}"#

        @Test("for ever fail at their time limit, and the worker goes on", .enabled(if: cores > 1))
        func one() async throws {
            let stage = try await Stage()
            let worker = try await stage.worker("--fibers", "1", "--kill-after", "1")
            let job = try await stage.enqueue(
                "Spinning",
                endless,
                options: JobOptions(retries: 0, timeout: .seconds(1))
            )[0]
            try await eventually("it is dead") { try await stage.records.dead() == [job] }
            let attempt = try await stage.records.attempts(of: job)[0]
            #expect(attempt["err"] == "Timeout")
            let (begin, end) = (Int(attempt["sta"] ?? "") ?? 0, Int(attempt["fin"] ?? "") ?? 0)
            #expect((2000...(isFull ? 3000 : 5000)).contains(end - begin), "\(end - begin) ms")
            try await worker.logged("Abandoned a job that ignores its cancellation")
            // Its only fiber is free.
            let more = try await stage.enqueue("Instant", count: 20)
            try await stage.ended(more)
            try await stage.drained()
            try await stage.checkSettled([job] + more)
            worker.signal(SIGTERM)
            #expect(try await worker.exit() == .status(0))
        }

        @Test("all of them, for ever, fail at their time limit, and the worker leaves with 75")
        func all() async throws {
            let stage = try await Stage()
            // Claimed in one go, and in this order: no thread is left for those that come last.
            let jobs = try await stage.enqueue(
                "Spinning",
                endless,
                count: cores,
                options: JobOptions(retries: 0, timeout: .seconds(1))
            )
            let others = try await stage.enqueue("Instant", count: 5, options: JobOptions(delivery: .atMostOnce))
            let worker = try await stage.worker("--fibers", "\(cores + 5)", "--kill-after", "0.5")
            #expect(try await worker.exit() == .status(75))
            // In the log, and at the end.
            #expect(worker.count(of: "threads run the jobs: this process can't go on") == 2)
            #expect(try await stage.records.processing() == [])
            #expect(Set(try await stage.records.dead()) == Set(jobs))
            for job in jobs { #expect(try await stage.records.attempts(of: job).map { $0["err"] } == ["Timeout"]) }
            // They had not begun, so they may still run, once.
            #expect(try await ready(stage) == others)
            #expect(stage.ledger.started == cores)
            let givenBack = try await stage.records("ZRANGE", stage.records.keys.ended("default"), "0", "-1").texts
            #expect(givenBack.count == others.count, "each is on record, though it left no trace in its job")
            for attempt in givenBack { #expect(try await stage.records.attempt(attempt)["err"] == "Shutdown") }
            let next = try await stage.worker()
            try await stage.ended(others)
            try await stage.drained()
            #expect(next.isRunning)
            try await stage.checkSettled(jobs + others)
        }

        @Test("until they are cancelled end at their time limit though no thread is left", arguments: [false, true])
        func obeying(isCancelled: Bool) async throws {
            let stage = try await Stage()
            let worker = try await stage.worker("--kill-after", "30")
            let options = JobOptions(retries: 0, timeout: isCancelled ? nil : .seconds(1))
            let jobs = try await stage.enqueue("Obeying", count: cores * 2, options: options)
            try await eventually("they hold every thread") { stage.ledger.started >= cores }
            if isCancelled { for job in jobs { try await stage.manager.cancel(job) } }
            try await stage.drained()
            let error = isCancelled ? "Cancelled" : "Timeout"
            for job in jobs { #expect(try await stage.records.attempts(of: job).map { $0["err"] } == [error]) }
            let more = try await stage.enqueue("Instant", count: 20)
            try await stage.ended(more)
            #expect(worker.isRunning)
            #expect(worker.count(of: "Abandoned") == 0)
        }

        @Test("make bg-cli workers show their worker as stalled, until they let go")
        func shown() async throws {
            let stage = try await Stage()
            let worker = try await stage.worker()
            #expect(try await self.workers(stage).contains(" 10 "))
            let jobs = try await stage.enqueue("Spinning", #"{"ms":6000}"#, count: cores)
            try await eventually("it is shown as stalled") { try await self.workers(stage).contains(" stalled ") }
            let inspector = try Inspector(redis: RedisOptions(url: stage.server.url, connectTimeout: .seconds(30)))
            #expect(try await inspector.status(queues: ["default"]).queues.map(\.fibers) == [0])
            #expect(try await inspector.workers().map(\.isStalled) == [true])
            await inspector.close()
            try await stage.ended(jobs)
            try await eventually("it is shown as before") { try await self.workers(stage).contains(" 10 ") }
            try await stage.drained()
            #expect(worker.isRunning)
            try await stage.checkSettled(jobs)
        }

        private func ready(_ stage: Stage) async throws -> [String] {
            try await stage.records("LRANGE", stage.records.keys.ready("default"), "0", "-1").texts
        }

        private func workers(_ stage: Stage) async throws -> String {
            let command = try Program("bg-cli", ["workers", "--redis", stage.server.url])
            #expect(try await command.exit() == .status(0))
            return command.log
        }

        @Test("are given back by a worker that stops, which leaves without them")
        func stopping() async throws {
            let stage = try await Stage()
            let worker = try await stage.worker("--timeout", "0.3", "--kill-after", "0.5")
            let jobs = try await stage.enqueue("Spinning", endless, count: cores)
            try await eventually("they hold every thread") { stage.ledger.started == cores }
            worker.signal(SIGTERM)
            #expect(try await worker.exit(within: .seconds(20)) == .status(0))
            #expect(try await stage.records.processing() == [])
            #expect(Set(try await ready(stage)) == Set(jobs))
            for job in jobs { #expect(try await stage.records.attempts(of: job).map { $0["err"] } == ["Shutdown"]) }
        }
    }
}
