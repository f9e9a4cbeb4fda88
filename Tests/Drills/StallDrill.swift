import BackgroundJobs
import TestSupport

extension Drill {
    static let stall = Drill(
        "stall",
        "Redis stands still for 60 s: DEBUG SLEEP, CLIENT PAUSE ALL, CLIENT PAUSE WRITE, SIGSTOP",
        rows: "R5, S14",
        minutes: 1.75
    ) { run in
        try await withThrowingTaskGroup(of: Void.self) { group in
            for kind in Stall.allCases {
                group.addTask { try await DrillRun.beside(kind.rawValue) { try await stall(run, kind) } }
            }
            try await group.waitForAll()
        }
    }

    private enum Stall: String, CaseIterable {
        case sleep = "DEBUG SLEEP"
        case all = "CLIENT PAUSE ALL"
        case write = "CLIENT PAUSE WRITE"
        case stop = "SIGSTOP"
    }

    /// With the defaults of the programs; in the short form with those of tests, for which four seconds are long.
    private static func stall(_ run: DrillRun, _ kind: Stall) async throws {
        let stage = try await Stage(["--enable-debug-command yes"])
        let usual = ["--heartbeat", "5", "--dead-after", "30"]
        let grace = run.isFull ? 6 : 4
        let watching = (run.isFull ? ["--interval", "1"] : run.patience) + ["--grace", "\(grace)"]
        let watcher = try await stage.watcher((run.isFull ? usual : []) + watching)
        var workers: [Program] = []
        for _ in 0..<2 { workers.append(try await stage.worker(run.isFull ? usual : [])) }
        let feed = Feed(stage, backlog: 60, pause: .milliseconds(5)) { .sleeping(run.random(in: 0...1500)) }
        let seconds = run.isFull ? [5, 60] : [4]
        var long: [String] = []
        for seconds in seconds {
            try await Task.sleep(for: .seconds(1.5))
            // They run since before it, and for longer than the watcher waits after it: once for all, and once for each.
            let time = #"{"ms":\#((seconds + 2 * grace + 4) * 1000)}"#
            long += try await stage.enqueue("Sleeping", time, count: 4, options: JobOptions(crashRetries: .all))
            try await eventually("they run") { stage.ledger.begun(of: long) == long.count }
            try await stand(still: stage, kind, seconds)
        }
        try await Task.sleep(for: .seconds(run.isFull ? 8 : 1))
        let jobs = try await feed.stop() + long
        try await stage.drained()
        try await run.witness(stage, acknowledged: jobs, part: kind.rawValue)
        run.noneUnlessStalled("attempts beside jobs", stage.ledger.started - jobs.count, part: kind.rawValue)
        run.noneUnlessStalled("cut off", watcher.count(of: "Cut off"), part: kind.rawValue)
        run.figure("workers alive", workers.count(where: \.isRunning), atLeast: 2, part: kind.rawValue)
    }

    /// Comes back when it is over.
    private static func stand(still stage: Stage, _ kind: Stall, _ seconds: Int) async throws {
        let begin = ContinuousClock.now
        switch kind {
        case .sleep: try await stage.records("DEBUG", "SLEEP", "\(seconds)")
        case .all: try await stage.records("CLIENT", "PAUSE", "\(seconds * 1000)", "ALL")
        case .write: try await stage.records("CLIENT", "PAUSE", "\(seconds * 1000)", "WRITE")
        case .stop:
            stage.server.pause()
            try await Task.sleep(for: .seconds(seconds))
            stage.server.resume()
        }
        try await stage.records("SET", "over", "1")
        let stood = begin.duration(to: .now)
        guard stood > .seconds(seconds) - .milliseconds(100) else {
            throw TookTooLong(description: "Redis did not stand still for \(seconds) s, but for \(stood)")
        }
    }
}

extension Ledger {
    /// How many of these jobs have begun.
    fileprivate func begun(of jobs: [String]) -> Int {
        Set(entries.filter { $0.event == .start }.map(\.job)).intersection(jobs).count
    }
}
