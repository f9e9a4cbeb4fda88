import BackgroundJobs
import TestSupport

extension Drill {
    static let kill = Drill(
        "kill",
        "SIGKILL of a random worker every 100 to 500 ms while 100,000 jobs run",
        rows: "W1",
        minutes: 3
    ) { run in
        let stage = try await Stage(deadAfter: run.deadAfter)
        let watcher = try await stage.watcher("--interval", "1", "--second-look", "0.5", "--keep-completed", "all")
        var crew = try await Crew(stage, 6, "--fibers", "10")
        let kills = run.count(100)
        var jobs: [String] = []
        // A fast machine needs more.
        repeat {
            // With the crash budget off: none is dead in the end.
            let options = JobOptions(crashRetries: .all)
            jobs += try await stage.enqueue("Sleeping", #"{"ms":20}"#, count: run.count(100_000), options: options)
            while try await stage.records.ready() > 0 {
                try await Task.sleep(for: .milliseconds(run.random(in: 100...500)))
                // A machine on which workers start slowly would never be done with a short run.
                guard run.isFull || crew.deaths.count < 5 * kills else { continue }
                // One that works, so that each kill costs jobs; on a slow machine others are still on their way.
                if let victim = run.random(ofSome: crew.working) { try await crew.kill(victim) }
            }
        } while crew.deaths.count < kills
        try await stage.drained()
        run.figure("kills", crew.deaths.count, atLeast: kills)
        try await run.witness(
            stage,
            acknowledged: jobs,
            excuses: Excuses(deaths: crew.deaths),
            recovery: run.isFull ? (median: 1.2, most: 1.8) : nil
        )
        run.figure("watchers alive", watcher.isRunning ? 1 : 0, atLeast: 1)
    }
}
