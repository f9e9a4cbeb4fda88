import Foundation
import TestSupport

extension Drill {
    static let spin = Drill(
        "spin",
        "CPU-bound jobs on every thread of every worker, for 60 s",
        rows: "W7",
        minutes: 1.15
    ) { run in
        // Each job holds its thread for longer than --dead-after; a short run leaves the machine more time.
        let (deadAfter, milliseconds) = run.isFull ? (2, 30_000) : (4, 5_000)
        let stage = try await Stage(deadAfter: deadAfter)
        let watcher = try await stage.watcher()
        let cores = ProcessInfo.processInfo.activeProcessorCount
        var workers: [Program] = []
        for _ in 0..<2 { workers.append(try await stage.worker("--fibers", "\(cores * 2)")) }
        let count = cores * workers.count * 2
        let jobs = try await stage.enqueue("Spinning", #"{"ms":\#(milliseconds)}"#, count: count)
        let begin = ContinuousClock.now
        try await stage.drained(within: .seconds(240))
        run.figure("time", begin.duration(to: .now) / .seconds(1), "s", atLeast: Double(milliseconds) / 1000)
        try await run.witness(stage, acknowledged: jobs)
        run.noneUnlessStalled("attempts beside jobs", stage.ledger.started - jobs.count)
        run.noneUnlessStalled("cut off", watcher.count(of: "Cut off"))
        run.figure("programs alive", (workers + [watcher]).count(where: \.isRunning), atLeast: 3)
    }
}
