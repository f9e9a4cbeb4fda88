import BackgroundJobs
import TestSupport
import Testing

extension SystemTests {
    /// A Redis that loses things which it was not to lose (rows C5, C6, C9, R19, S12).
    @Suite("A Redis that forgets", .serialized)
    struct Forgetful {
        /// Row C9.
        @Test("the scripts, again and again under load, is taught them again without anybody noticing")
        func scriptFlush() async throws {
            let stage = try await Stage()
            let watcher = try await stage.watcher()
            let worker = try await stage.worker()
            let jobs = try await stage.enqueue("Sleeping", #"{"ms":5}"#, count: 1000)
            while stage.ledger.ended < jobs.count {
                try await stage.records("SCRIPT", "FLUSH")
                try await Task.sleep(for: .milliseconds(10))
            }
            try await stage.drained()
            #expect(LedgerChecker(stage.ledger).report(acknowledged: jobs) == LedgerChecker.Report())
            #expect(watcher.count(of: "NOSCRIPT") == 0)
            #expect(worker.count(of: "NOSCRIPT") == 0)
            try await stage.checkSettled(jobs)
        }

        /// Row S12: what runs is lost with the rest, its result is refused, and the worker takes what comes next.
        @Test("everything has the results of what ran refused, and goes on with new jobs")
        func flushAll() async throws {
            let stage = try await Stage()
            let watcher = try await stage.watcher()
            let worker = try await stage.worker()
            let gone = try await stage.enqueue("Sleeping", #"{"ms":500}"#, count: 5)
            try await eventually("they run") { stage.ledger.started == gone.count }
            try await stage.records("FLUSHALL")
            try await worker.logged("A result was refused: the attempt had been taken away", count: gone.count)
            let jobs = try await stage.enqueue("Instant", count: 100)
            try await stage.ended(jobs)
            let scheduled = try await stage.manager.enqueue("Instant", in: .milliseconds(300)).id
            try await stage.ended([scheduled])
            try await stage.drained()
            try await stage.checkSettled(jobs + [scheduled])
            #expect(watcher.isRunning && worker.isRunning)
        }

        /// Row R19.
        @Test("which queues there are is told by the workers")
        func queuesLost() async throws {
            let stage = try await Stage()
            let watcher = try await stage.watcher("--second-look", "0.2")
            let worker = try await stage.worker("--queues", "high,default")
            let scheduled = try await stage.manager.enqueue("Instant", in: .seconds(1), queue: "high").id
            try await stage.records("DEL", stage.records.keys.queues)
            try await stage.ended([scheduled])
            let running = try await stage.enqueue("Sleeping", #"{"ms":60000}"#)
            try await eventually("it runs") { stage.ledger.started == 2 }
            try await stage.records("DEL", stage.records.keys.queues)
            worker.kill()
            let other = try await stage.worker()
            try await eventually("it runs again") { stage.ledger.started == 3 }
            #expect(stage.ledger.entries.last { $0.event == .start }?.pid == other.pid)
            #expect(stage.ledger.entries.last { $0.event == .start }?.job == running[0])
            #expect(watcher.isRunning)
        }

        /// Rows C5, C6.
        @Test("hashes, or holds IDs twice, has that reported and runs each job that is there once")
        func missingAndDouble() async throws {
            let stage = try await Stage()
            let jobs = try await stage.enqueue("Instant", count: 200)
            let missing = Array(jobs.prefix(20))
            try await stage.records.send(missing.map { ["DEL", stage.records.keys.job($0)] })
            let double = Array(jobs.suffix(50))
            try await stage.records.send(double.map { ["LPUSH", stage.records.keys.ready("default"), $0, $0] })
            let worker = try await stage.worker()
            let sound = Array(jobs.dropFirst(20))
            try await stage.ended(sound)
            try await stage.drained()
            #expect(LedgerChecker(stage.ledger).report(acknowledged: sound) == LedgerChecker.Report())
            #expect(stage.ledger.started == sound.count)
            var reported: [String?] = []
            for attempt in try await stage.records.failed() {
                let fields = try await stage.records.attempt(attempt)
                #expect(fields["err"] == "Job Not Found")
                #expect(fields["num"] == "0")
                reported.append(fields["job"])
            }
            #expect(Set(reported) == Set(missing))
            #expect(worker.count(of: "dropped") > 0)
        }
    }
}
