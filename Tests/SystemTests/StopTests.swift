import BackgroundJobs
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// Rows W10, W11, W12, and what the signals mean.
    @Suite("A worker that is told to stop", .serialized)
    struct Stops {
        @Test("waits for the jobs that run, claims no more, and exits with 0")
        func waitsForJobs() async throws {
            let stage = try await Stage()
            let worker = try await stage.worker("--fibers", "2")
            let jobs = try await stage.enqueue("Sleeping", #"{"ms":1000}"#, count: 5)
            try await eventually("two run") { stage.ledger.started == 2 }
            worker.signal(SIGTERM)
            #expect(try await worker.exit() == .status(0))
            #expect(stage.ledger.started == 2)
            #expect(stage.ledger.ended == 2)
            #expect(try await stage.records.completed() == 2)
            #expect(try await stage.records.ready() == 3)
            #expect(try await stage.records.processing() == [])
            #expect(Set(jobs).isSuperset(of: stage.ledger.entries.map(\.job)))
        }

        /// After `--timeout` the rest is given back: to the head, with no attempt counted against the job.
        @Test("gives back what has not ended in time", arguments: ["Sleeping", "Blocking"])
        func givesBack(className: String) async throws {
            let stage = try await Stage()
            let worker = try await stage.worker("--fibers", "1", "--timeout", "0.3", "--kill-after", "0.5")
            let job = try await stage.enqueue(className, #"{"ms":20000}"#)[0]
            try await eventually("it runs") { stage.ledger.started == 1 }
            let later = try await stage.enqueue("Instant")[0]
            worker.signal(SIGTERM)
            #expect(try await worker.exit(within: .seconds(15)) == .status(0))
            #expect(
                try await stage.records("LRANGE", stage.records.keys.ready("default"), "0", "-1").texts == [job, later]
            )
            let fields = try await stage.records.job(job)
            #expect(fields["ers"] == nil && fields["crs"] == nil && fields["end"] == nil)
            let attempt = try await stage.records.attempts(of: job)
            #expect(attempt.map { $0["err"] } == ["Shutdown"])
            #expect(attempt[0]["fin"] != nil)
            let ended = try await stage.records("ZRANGE", stage.records.keys.ended("default"), "0", "-1").texts
            #expect(ended == [try #require(fields["las"])])
            #expect(try await stage.records.failed() == [])
            #expect(try await stage.records.processing() == [])
        }

        @Test("twice leaves at once")
        func secondSignal() async throws {
            let stage = try await Stage()
            let worker = try await stage.worker("--timeout", "600")
            let jobs = try await stage.enqueue("Sleeping", #"{"ms":600000}"#, count: 3)
            try await eventually("they run") { stage.ledger.started == 3 }
            worker.signal(SIGTERM)
            try await worker.logged("Stopping: 3 jobs are running")
            #expect(worker.isRunning)
            worker.signal(SIGTERM)
            #expect(try await worker.exit(within: .seconds(10)) == .status(0))
            #expect(
                Set(try await stage.records("LRANGE", stage.records.keys.ready("default"), "0", "-1").texts)
                    == Set(jobs)
            )
            #expect(try await stage.records.processing() == [])
        }

        @Test("to be quiet claims no more, ends what runs, and stays")
        func quiets() async throws {
            let stage = try await Stage()
            let worker = try await stage.worker("--fibers", "1")
            let first = try await stage.enqueue("Sleeping", #"{"ms":700}"#)
            try await eventually("it runs") { stage.ledger.started == 1 }
            worker.signal(SIGTSTP)
            try await worker.logged("Quiet")
            let second = try await stage.enqueue("Instant")
            try await stage.ended(first)
            try await eventually("its end is recorded") { try await stage.records.processing() == [] }
            // Another worker takes what it leaves.
            let other = try await stage.worker()
            try await stage.ended(second)
            #expect(stage.ledger.entries.filter { $0.job == second[0] }.allSatisfy { $0.pid == other.pid })
            #expect(worker.isRunning)
            worker.signal(SIGTERM)
            #expect(try await worker.exit() == .status(0))
        }

        @Test("when there is nothing left, by --drain, exits with all done")
        func drains() async throws {
            let stage = try await Stage()
            let jobs = try await stage.enqueue("Sleeping", #"{"ms":5}"#, count: 300)
            let scheduled = try await stage.manager.enqueue("Instant", in: .seconds(3600)).id
            let worker = try await stage.worker("--drain", waits: false)
            #expect(try await worker.exit() == .status(0))
            #expect(try await stage.records.completed() == jobs.count)
            #expect(try await stage.records.ready() == 0)
            #expect(try await stage.records.processing() == [])
            #expect(try await stage.records("ZCARD", stage.records.keys.scheduled("default")).int == 1)
            #expect(!stage.ledger.entries.contains { $0.job == scheduled })
        }
    }
}
