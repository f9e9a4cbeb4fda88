import BackgroundJobs
import TestSupport

extension Drill {
    static let kill = Drill(
        "kill",
        "SIGKILL of a random worker every 100 to 500 ms while 100,000 jobs run",
        rows: "W1",
        minutes: 4
    ) { run in
        let stage = try await Stage()
        let watcher = try await stage.watcher("--interval", "1", "--second-look", "0.5", "--keep-completed", "all")
        func worker() async throws -> Program { try await stage.worker("--fibers", "20", "--log-level", "info") }
        var workers: [Program] = []
        for _ in 0..<3 { workers.append(try await worker()) }
        let count = run.count(100_000)
        // With the crash budget off: none is dead in the end.
        let jobs = try await stage.enqueue(
            "Sleeping",
            #"{"ms":20}"#,
            count: count,
            options: JobOptions(crashRetries: .all)
        )
        var deaths: [Int32: Int64] = [:]
        while stage.ledger.ended < count {
            try await Task.sleep(for: .milliseconds(run.random(in: 100...500)))
            let victim = workers.remove(at: run.random(in: 0...(workers.count - 1)))
            victim.kill()
            deaths[victim.pid] = Ledger.now
            workers.append(try await worker())
        }
        try await stage.drained()
        run.figure("kills", deaths.count, atLeast: 1)
        // At least once: a job that had ended when its worker was killed, and whose end had not been reported, runs again.
        let unreported = Set(stage.ledger.entries.filter { $0.event == .end && deaths[$0.pid] != nil }.map(\.job))
        try await run.witness(stage, acknowledged: jobs, deaths: deaths) { unreported.contains($0) }
        run.figure("watchers alive", watcher.isRunning ? 1 : 0, atLeast: 1)
    }
}
