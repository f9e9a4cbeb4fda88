import Foundation
import Synchronization
import TestSupport

extension Drill {
    static let stop = Drill(
        "stop",
        "SIGTERM under load, half of them followed by SIGKILL at a random moment of the drain",
        rows: "W10, W11, W12",
        minutes: 1
    ) { run in
        let stage = try await Stage(deadAfter: run.deadAfter)
        let watcher = try await stage.watcher("--second-look", "0.3", "--keep-completed", "all")
        let feed = Feed(stage, pause: .milliseconds(1)) { .sleeping(run.random(of: [0, 10, 50, 300])) }
        let stops = Stops()
        let end = ContinuousClock.now + run.time(45)
        let (clean, killed) = (run.count(100), run.count(60))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for lane in 0..<4 {
                group.addTask {
                    while ContinuousClock.now < end || stops.clean < clean || stops.deaths.count < killed {
                        try await DrillRun.beside("lane \(lane)") { try await stops.one(stage, run) }
                    }
                }
            }
            try await group.waitForAll()
        }
        let jobs = try await feed.stop()
        let last = try await stage.worker("--fibers", "50")
        try await stage.drained()

        run.figure("clean stops", stops.clean, atLeast: clean)
        run.figure("killed while stopping", stops.deaths.count, atLeast: killed)
        run.none("clean stops that were not", stops.unclean)
        try await run.witness(stage, acknowledged: jobs, excuses: Excuses(deaths: stops.deaths))
        run.figure("programs alive", [watcher, last].count(where: \.isRunning), atLeast: 2)
    }
}

private final class Stops: Sendable {
    private struct State {
        var clean = 0
        var unclean: [String] = []
        var deaths: [Int32: Int64] = [:]
    }
    private let state = Mutex(State())

    var clean: Int { state.withLock { $0.clean } }
    var unclean: [String] { state.withLock { $0.unclean } }
    var deaths: [Int32: Int64] { state.withLock { $0.deaths } }

    /// The life of one worker.
    func one(_ stage: Stage, _ run: DrillRun) async throws {
        let timeout = run.random(of: ["0.05", "0.2", "5"])
        let worker = try await stage.worker("--timeout", timeout, "--log-level", "info")
        try await Task.sleep(for: .milliseconds(run.random(in: 0...500)))
        worker.signal(SIGTERM)
        if run.random(in: 0...1) == 0 {
            try await Task.sleep(for: .milliseconds(run.random(in: 0...350)))
            if worker.isRunning {
                state.withLock { $0.deaths[worker.pid] = Ledger.now }
                worker.kill()
                return
            }
        }
        let exit = try await worker.exit()
        let left = try await stage.processing().count { $0 == worker.pid }
        state.withLock {
            $0.clean += 1
            if exit != .status(0) { $0.unclean.append("\(worker.pid) ended with \(exit)") }
            if left > 0 { $0.unclean.append("\(worker.pid) left \(left) attempts in processing") }
        }
    }
}
