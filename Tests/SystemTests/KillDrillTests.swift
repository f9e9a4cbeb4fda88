import TestSupport
import Testing

extension SystemTests.Crashes {
    /// Row W1: kills at random moments under load. 500 in full.
    @Test("at random moments, again and again, loses nothing")
    func randomKills() async throws {
        let kills = isFull ? 500 : 25
        let stage = try await Stage()
        let watcher = try await stage.watcher("--second-look", "0.3")
        var workers: [Program] = []
        for _ in 0..<3 { workers.append(try await stage.worker("--fibers", "5", "--log-level", "info")) }
        var jobs: [String] = []
        var deaths: [Int32: Int64] = [:]
        for _ in 0..<kills {
            jobs += try await stage.enqueue("Sleeping", #"{"ms":\#(Int.random(in: 0...60))}"#, count: 150)
            let before = stage.ledger.started
            try await eventually("the load goes on") {
                stage.ledger.started >= before + Int.random(in: 20...60)
            }
            let index = Int.random(in: workers.indices)
            let victim = workers.remove(at: index)
            deaths[victim.pid] = Ledger.now
            victim.kill()
            workers.append(try await stage.worker("--fibers", "5", "--log-level", "info"))
        }
        try await stage.drained(within: .seconds(300))

        let checker = LedgerChecker(stage.ledger, deaths: deaths)
        let report = checker.report(acknowledged: jobs)
        let dead = Set(try await stage.records.dead())
        #expect(report.lost.subtracting(dead) == [])
        #expect(report.unexpected == [])
        #expect(report.overlapping == [])
        // At least once: a job that had ended when its worker was killed, and whose end had not been reported, runs again.
        #expect(checker.duplicated(besides: Set(try await stage.reaped().map(\.attempt))) == [])
        for job in dead { #expect(try await stage.records.job(job)["crs"] == "4", "dead only after four crashes") }
        #expect(report.recoveries.count > kills / 2, "kills hit running jobs: \(report.recoveries.count)")
        try await stage.checkSettled(jobs)
        #expect(watcher.isRunning)
        print(
            "\(kills) kills, \(jobs.count) jobs, \(report.recoveries.count) recoveries in ms:",
            "p50 \((report.recoveries.median ?? 0) / 1_000_000), max \((report.recoveries.last ?? 0) / 1_000_000);",
            "twice \(report.duplicated.count), dead \(dead.count)"
        )
    }

    /// Row W3: a job that takes its worker down is tried four times, and the good jobs beside it all end.
    @Test("by a job that traps, again and again, buries that job and no other")
    func poison() async throws {
        let stage = try await Stage()
        let watcher = try await stage.watcher("--second-look", "0.2")
        let good = try await stage.enqueue("Sleeping", #"{"ms":5}"#, count: 99)
        let poison = try await stage.enqueue("Trapping")
        // A supervisor that starts it again.
        let supervisor = Task {
            while !Task.isCancelled {
                let worker = try await stage.worker(waits: false)
                while worker.isRunning { try await Task.sleep(for: .milliseconds(20)) }
            }
        }
        try await stage.ended(good)
        try await eventually("the poison is dead") { try await stage.records.dead() == poison }
        supervisor.cancel()
        #expect(stage.ledger.entries.count { $0.job == poison[0] && $0.event == .start } == 4)
        let attempts = try await stage.records.attempts(of: poison[0])
        // The last try runs in a process of its own, and its worker lives to tell.
        #expect(
            attempts.map { $0["err"] } == ["Worker Timeout", "Worker Timeout", "Worker Timeout", "Crashed"]
        )
        let message = try #require(attempts.last?["msg"])
        for words in ["was ended by signal", "a job that traps", "the job is dead", "crash 4 within 72 h"] {
            #expect(message.contains(words), "\(message)")
        }
        #expect(try await stage.records.job(poison[0])["end"] == "Dead")
        #expect(watcher.isRunning)
    }
}

extension [Int64] {
    var median: Int64? { isEmpty ? nil : self[count / 2] }
}
