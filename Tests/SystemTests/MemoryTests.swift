import BackgroundJobs
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// Point 7, rows S7, E5.
    @Suite("A Redis whose memory is full", .serialized)
    struct FullMemory {
        @Test("refuses new jobs whole, and has all that is there drained", arguments: [false, true])
        func drains(workerWasThere: Bool) async throws {
            let stage = try await Stage(["--maxmemory-policy noeviction"])
            let watcher = try await stage.watcher()
            var worker: Program?
            if workerWasThere {
                worker = try await stage.worker()
                try await stage.ended(try await stage.enqueue("Instant", count: 50))
                worker?.signal(SIGSTOP)
            }
            let jobs = try await stage.enqueue(
                "Instant",
                #"{"pad":"\#(String(repeating: "x", count: 200))"}"#,
                count: 2000
            )
            let scheduled = try await stage.manager.enqueue("Instant", in: .seconds(1)).id
            try await stage.records("CONFIG", "SET", "maxmemory", "1mb")

            let before = try await stage.records("DBSIZE").int
            for id in 0..<100 {
                do {
                    _ = try await stage.manager.enqueue("Instant", id: "refused-\(id)")
                    Issue.record("a full Redis took a job")
                } catch let error as BackgroundError {
                    #expect(error.code == .refused)
                    #expect(error.message.contains("memory"), "\(error.message)")
                }
            }
            #expect(try await stage.records("EXISTS", stage.records.keys.job("refused-0")).int == 0)
            #expect(try await stage.records("DBSIZE").int <= before, "nothing was written")

            if let worker { worker.signal(SIGCONT) } else { worker = try await stage.worker() }
            try await stage.ended(jobs + [scheduled])
            try await stage.drained()
            try await stage.checkSettled(jobs)
            #expect(LedgerChecker(stage.ledger).report(acknowledged: jobs + [scheduled]).duplicated == [])

            // With room again it goes on as before.
            try await stage.records("CONFIG", "SET", "maxmemory", "0")
            try await stage.ended(try await stage.enqueue("Instant"))
            #expect(watcher.isRunning)
        }
    }
}
