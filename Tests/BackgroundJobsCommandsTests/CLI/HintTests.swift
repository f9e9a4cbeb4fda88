import BackgroundJobs
import Foundation
import TestSupport
import Testing

@testable import BackgroundJobsCommands

extension CLI {
    /// What commands say beside their results.
    @Suite("Hints") struct Hints {
        @Test("status shows each queue once, what is paused, and where nobody works")
        func status() async throws {
            try await CLIBench.with { bench in
                for queue in ["high", "low"] { _ = try await bench.manager.enqueue("Mail", queue: queue) }
                _ = try await bench.lines("queue", "pause", "low")
                let ran = try await bench.cli("status", "-q", "high,high,low")
                #expect(ran.lines.filter { $0 == "high" }.count == 1)
                #expect(ran.lines.contains("low (paused)"))
                #expect(ran.lines.contains { $0.hasSuffix("failed suspects dead") })
                #expect(ran.error.contains("No worker serves the queue high, and jobs are ready there."))
                #expect(ran.error.contains("The queue low is paused: bg-cli queue resume low"))
            }
        }

        @Test("dequeue says why a job stays")
        func dequeue() async throws {
            try await CLIBench.with { bench in
                try await bench.running("r")
                try await bench.dead("d", at: 1)
                let waiting = try await bench.manager.enqueue("Mail", queue: "q").id
                let ran = try await bench.cli("dequeue", "r", waiting, "d", "none")
                #expect(ran.exit == .status(1) && ran.lines == [waiting])
                #expect(
                    ran.error == """
                        The job r is running. To stop it: bg-cli cancel r
                        The job d has ended.
                        There is no job with the ID none.

                        """
                )
                #expect(try await bench.cli("dequeue", "a b").exit == .status(64))
            }
        }

        @Test("retry and delete say that an ID is one of the other kind")
        func kinds() async throws {
            try await CLIBench.with { bench in
                try await bench.dead("d", at: 1)
                let job = try await bench.cli("failed", "retry", "d")
                #expect(job.exit == .status(1) && job.lines == ["d missing"])
                #expect(job.error == "d is the ID of a job, not of an attempt: bg-cli retry d\n")
                let attempt = try await bench.cli("dead", "delete", "a-d")
                #expect(attempt.lines == ["a-d missing"])
                #expect(attempt.error == "a-d is the ID of an attempt, not of a job: bg-cli failed delete a-d\n")
                #expect(try await bench.cli("failed", "retry", "nothing").error == "")
            }
        }
    }
}
