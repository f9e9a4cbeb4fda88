import BackgroundJobs
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// Workers that stand still, and workers that only look so (point 5, rows W5, W6, W7, W22).
    @Suite("A worker that stands still", .serialized)
    struct Frozen {
        /// Point 5, row W5.
        @Test("beyond --dead-after is cut off; its results are refused, and it goes on working")
        func beyond() async throws {
            let stage = try await Stage()
            let watcher = try await stage.watcher()
            let frozen = try await stage.worker()
            let jobs = try await stage.enqueue("Sleeping", #"{"ms":6000}"#, count: 3)
            try await eventually("they run") { stage.ledger.started == 3 }
            let other = try await stage.worker()
            frozen.signal(SIGSTOP)
            let stopped = Ledger.now
            try await eventually("they run elsewhere") { stage.ledger.started == 6 }
            let again = try #require(stage.ledger.entries.filter { $0.event == .start }.map(\.time).max())
            // --dead-after + interval + 1 s, and one more since idle counts whole seconds.
            #expect(again - stopped < 4_200_000_000, "\((again - stopped) / 1_000_000) ms")
            #expect(stage.ledger.entries.filter { $0.event == .start }.suffix(3).allSatisfy { $0.pid == other.pid })
            try await watcher.logged("Cut off a worker that was silent for too long")

            frozen.signal(SIGCONT)
            try await frozen.logged("Lost an attempt: it was taken away", count: 3)
            try await stage.ended(jobs)
            try await stage.drained()
            let accepted = try await stage.records.attempts(of: jobs[0])
            #expect(accepted.map { $0["err"] } == ["Worker Timeout", nil])
            #expect(accepted[0]["fin"] == nil)
            try await stage.checkSettled(jobs)

            // It goes on working, alone.
            other.kill()
            let more = try await stage.enqueue("Instant", count: 20)
            try await stage.ended(more)
            #expect(stage.ledger.entries.filter { more.contains($0.job) }.allSatisfy { $0.pid == frozen.pid })
        }

        /// Row W5: a job that can't be cancelled ends in the thawed worker, and its result counts for nothing.
        @Test("beyond --dead-after has the result of a job that ignores its cancellation refused")
        func refused() async throws {
            let stage = try await Stage()
            let watcher = try await stage.watcher()
            let frozen = try await stage.worker()
            let jobs = try await stage.enqueue("Blocking", #"{"ms":5500}"#)
            try await eventually("it runs") { stage.ledger.started == 1 }
            frozen.signal(SIGSTOP)
            try await watcher.logged("Ended an attempt that nobody answers for; its job runs again")
            frozen.signal(SIGCONT)
            try await frozen.logged("A result was refused: the attempt had been taken away")
            try await stage.ended(jobs)
            try await stage.drained()
            #expect(try await stage.records.attempts(of: jobs[0]).map { $0["err"] } == ["Worker Timeout", nil])
            #expect(try await stage.records.completed() == 1, "one result was accepted")
            try await stage.checkSettled(jobs)
        }

        /// Row W6. After half of --dead-after it reconnects by itself, before it starts or reports anything.
        @Test("for less than --dead-after is left alone", arguments: [1900, 2200])
        func below(_ milliseconds: Int) async throws {
            let stage = try await Stage()
            let watcher = try await stage.watcher("--dead-after", "4")
            let worker = try await stage.worker("--dead-after", "4")
            let jobs = try await stage.enqueue("Sleeping", #"{"ms":5000}"#, count: 5)
            try await eventually("they run") { stage.ledger.started == 5 }
            let reconnects = milliseconds > 2000
            for _ in 0..<(isFull ? 50 : 2) {
                let before = Set(try await stage.records.clients(named: "bg-worker:").map(\.id))
                let begin = ContinuousClock.now
                worker.signal(SIGSTOP)
                try await Task.sleep(for: .milliseconds(milliseconds))
                worker.signal(SIGCONT)
                // On a busy machine it may have stood still for longer than it was to.
                let mayReconnect = begin.duration(to: .now) > .milliseconds(1950)
                // The next one must not meet it while it has no connection: then it would be out of contact for longer.
                try await eventually("it has been heard of") {
                    let clients = try await stage.records.clients(named: "bg-worker:")
                    return clients.contains {
                        $0.idle == 0 && (before.contains($0.id) ? !reconnects : mayReconnect)
                    }
                }
            }
            try await stage.ended(jobs)
            try await stage.drained()
            #expect(stage.ledger.started == 5)
            #expect(watcher.count(of: "Cut off") == 0)
            #expect(watcher.count(of: "Ended an attempt") == 0)
            try await stage.checkSettled(jobs)
        }

        /// Row W7: jobs hold every thread of the pool for longer than `--dead-after`.
        @Test("only in the eyes of its jobs, which hold all its threads, is not taken for dead")
        func busy() async throws {
            let stage = try await Stage()
            let watcher = try await stage.watcher()
            let worker = try await stage.worker()
            let cores = ProcessInfo.processInfo.activeProcessorCount
            let jobs = try await stage.enqueue(
                "Spinning",
                isFull ? #"{"ms":60000}"# : #"{"ms":5000}"#,
                count: cores * 2
            )
            try await stage.ended(jobs, within: .seconds(600))
            try await stage.drained()
            #expect(stage.ledger.started == jobs.count, "none ran twice")
            #expect(watcher.count(of: "Cut off") == 0)
            #expect(watcher.count(of: "Ended an attempt") == 0)
            #expect(worker.isRunning)
            try await stage.checkSettled(jobs)
        }
    }
}
