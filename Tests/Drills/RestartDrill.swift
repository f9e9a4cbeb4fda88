import BackgroundJobs
import TestSupport

extension Drill {
    static let restart = Drill(
        "restart",
        "Redis killed and restarted under load, AOF always and everysec, IDs of dead workers given to others",
        rows: "S1, S2, S5, R6, R7",
        minutes: 1.1
    ) { run in
        async let always: Void = DrillRun.beside("always") { try await restarts(run, "always") }
        async let everysec: Void = DrillRun.beside("everysec") { try await restarts(run, "everysec") }
        _ = try await (always, everysec)
    }

    /// How long nobody is judged: longer than what a worker may pause between two tries to connect.
    private static let grace = 6
    /// What --dead-after is: those who bear names like those of the dead say nothing, and are to be there when these are judged.
    private static let silence = 15

    private static func restarts(_ run: DrillRun, _ fsync: String) async throws {
        // It loads slowly, so that the others meet it at that.
        let stage = try await Stage(
            ["--appendonly yes", "--appendfsync \(fsync)", "--key-load-delay 5"],
            deadAfter: silence
        )
        let watcher = try await stage.watcher("--grace", "\(grace)")
        var crew = try await Crew(stage, 4, "--fibers", "5")
        let feed = Feed(stage, backlog: 60) { .sleeping(run.random(in: 0...1000)) }
        let end = ContinuousClock.now + run.time(50)
        let least = (restarts: run.count(12), reused: run.count(4))
        var (restarts, reused, delays) = (0, 0, [Int64]())
        repeat {
            try await Task.sleep(for: .milliseconds(run.random(in: 300...1200)))
            if restarts % 3 == 0 {
                let result = try await restartWithDecoys(run, stage, &crew)
                reused += result.reused
                delays.append(result.delay)
            } else {
                try await stage.server.restart()
                try await isBack(stage)
            }
            restarts += 1
        } while ContinuousClock.now < end || restarts < max(2, least.restarts) || reused < least.reused
        let jobs = try await feed.stop()
        try await stage.drained()

        run.figure("restarts", restarts, atLeast: least.restarts, part: fsync)
        run.figure("IDs of dead workers given to others", reused, atLeast: least.reused, part: fsync)
        // The grace, the interval, the second look, and two looks of a watcher that has to connect first.
        run.figure(
            "their jobs free after, max",
            delays.max().map { Double($0) / 1e9 } ?? 0,
            "s",
            atMost: run.isFull ? Double(grace) + 3 : nil,
            part: fsync
        )
        try await run.witness(
            stage,
            acknowledged: jobs,
            part: fsync,
            excuses: Excuses(deaths: crew.deaths),
            forgets: fsync != "always"
        )
        run.figure("programs alive", crew.running + (watcher.isRunning ? 1 : 0), atLeast: 5, part: fsync)
    }

    /// A worker dies together with Redis, and when Redis is back its ID belongs to somebody with a similar name.
    private static func restartWithDecoys(
        _ run: DrillRun,
        _ stage: Stage,
        _ crew: inout Crew
    ) async throws -> (reused: Int, delay: Int64) {
        let index = run.random(in: 0...3)
        let pid = crew.workers[index].pid
        try await eventually("the victim runs jobs") { try await stage.processing().contains(pid) }
        let former = try await stage.records.clients(named: "bg-worker:").first { $0.name.contains("-\(pid)-") }
        guard let former else { throw TookTooLong(description: "worker \(pid) has no connection") }
        // Redis is not to see it die.
        stage.server.pause()
        try await crew.kill(index)
        try await stage.server.restart()
        let decoys = try await Decoys(stage, like: former.name, count: 80)
        try await isBack(stage)
        let back = Ledger.now
        let clients = try await stage.records.clients(named: "")
        let reused = clients.contains { $0.id == former.id && $0.name != former.name }
        try await eventually("the jobs of the dead are free") { try await !stage.processing().contains(pid) }
        let delay = Ledger.now - back
        await decoys.close()
        return (reused ? 1 : 0, delay)
    }

    /// It has loaded its data.
    private static func isBack(_ stage: Stage) async throws {
        try await eventually("Redis has loaded") { (try? await stage.records("EXISTS", "anything")) != nil }
    }
}

/// Connections whose names are almost that of a worker.
private struct Decoys {
    private let connections: [Records]

    /// - Parameter name: the worker's: `bg-worker:host-pid-digits:fibers:queues`.
    init(_ stage: Stage, like name: String, count: Int) async throws {
        let parts = name.split(separator: ":").map(String.init)
        let (node, rest) = (parts[1], parts[2...].joined(separator: ":"))
        let names = [
            "bg-worker:\(node)0:\(rest)", "bg-worker:\(node.dropLast()):\(rest)", "bg-worker-wait:\(node)",
            "bg-watcher:\(node)", "other-worker:\(node):\(rest)", "bg-worker:\(node.dropLast(8))00000000:\(rest)",
        ]
        connections = try (0..<count).map { _ in try Records(url: stage.server.url) }
        for (index, connection) in connections.enumerated() {
            try await connection("CLIENT", "SETNAME", names[index % names.count])
        }
    }

    func close() async {
        for connection in connections { await connection.close() }
    }
}
