import TestSupport
import Testing

extension SystemTests {
    /// SIGKILL of workers (point 3, rows W1, W3).
    @Suite("A worker that is killed", .serialized)
    struct Crashes {
        /// Point 3: within 2 s at `--interval 1` the attempts carry `Worker Timeout` and no `fin`, and another worker
        /// runs the jobs.
        @Test("has its jobs run elsewhere within two seconds")
        func recovery() async throws {
            let stage = try await Stage()
            let watcher = try await stage.watcher("--interval", "1")
            let victim = try await stage.worker()
            let jobs = try await stage.enqueue("Sleeping", #"{"ms":3000}"#, count: 4)
            try await eventually("all run") { stage.ledger.started == 4 }
            let doomed = try await stage.records.processing()
            let other = try await stage.worker()
            // The watcher has been up for longer than its grace.
            try await Task.sleep(for: .seconds(2))

            victim.kill()
            let died = Ledger.now
            try await eventually("all run again") { stage.ledger.started == 8 }
            let starts = stage.ledger.entries.filter { $0.event == .start }.suffix(4)
            #expect(starts.allSatisfy { $0.pid == other.pid })
            let last = try #require(starts.map(\.time).max())
            #expect(last - died < 2_000_000_000, "recovered after \((last - died) / 1_000_000) ms")
            for attempt in doomed {
                let fields = try await stage.records.attempt(attempt)
                #expect(fields["err"] == "Worker Timeout")
                #expect(fields["fin"] == nil)
            }
            #expect(Set(try await stage.records.failed()) == Set(doomed))
            try await watcher.logged("Ended an attempt that nobody answers for; its job runs again", count: 4)

            try await stage.ended(jobs)
            try await stage.drained()
            try await stage.checkSettled(jobs)
            for job in jobs {
                let fields = try await stage.records.job(job)
                #expect(fields["crs"] == "1")
                #expect(fields["ers"] == nil, "a crash is no error")
            }
        }
    }
}
