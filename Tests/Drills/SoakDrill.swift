import BackgroundJobs
import Foundation
import TestSupport

extension Drill {
    static let soak = Drill(
        "soak",
        "Mixed load with a fault of any kind every 5 to 20 s",
        rows: "W1, W5, W6, W10, N13, S1, R6, G1, G6, G8",
        minutes: 10
    ) { run in
        let stage = try await Stage(["--appendonly yes", "--appendfsync always", "--auto-aof-rewrite-min-size 4mb"])
        let retention = ["--keep-completed", "20s,2000", "--keep-failed", "30s,2000", "--keep-ended", "20s,500"]
        func watcher() async throws -> Program {
            try await stage.watcher(["--grace", "3", "--log-level", "info"] + retention)
        }
        var watchers = [try await watcher(), try await watcher()]
        let veteran = try await stage.worker("--fibers", "10", "--log-level", "info")
        var crew = try await Crew(stage, 3, "--fibers", "10", "--timeout", "1")
        let mix = try await Mix(stage, run)
        let vitals = Vitals(stage, worker: veteran, watcher: watchers[0])
        var faults = SoakFaults(stage, run)

        let end = ContinuousClock.now + run.time(600)
        let pause = run.share < 0.1 ? 500...1500 : 5_000...20_000
        while ContinuousClock.now < end {
            try await faults.one(&crew, &watchers, veteran, watcher)
            try await faults.look(again: .milliseconds(run.random(in: pause)), crew)
        }
        let jobs = try await mix.stop()
        try await stage.drained(within: .seconds(180))
        try await faults.look(again: .zero, crew)
        await vitals.stop()
        let alive = crew.running + (watchers + [veteran]).count(where: \.isRunning)
        // They go on trimming, and what is read next is read key by key.
        for watcher in watchers {
            watcher.signal(SIGTERM)
            _ = try await watcher.exit()
        }

        faults.tell(crew)
        let checker = LedgerChecker(stage.ledger, deaths: crew.deaths, zombies: faults.zombies)
        let report = checker.report(acknowledged: jobs)
        let excused = Set(crew.deaths.keys).union(faults.zombies)
        let unreported = Set(stage.ledger.entries.filter { $0.event == .end && excused.contains($0.pid) }.map(\.job))
        run.figure("acknowledged", jobs.count, atLeast: 1)
        run.figure("attempts", stage.ledger.started)
        run.none("lost", report.lost)
        run.none("duplicated", report.duplicated.subtracting(unreported))
        run.none("overlapping", report.overlapping)
        run.none("stuck, or not as it must be", try await invariantViolations(stage.server))
        run.figure("dead", try await stage.records.dead().count, atMost: 0)
        run.figure("recovery p50", report.recoveries.seconds(at: 0.5), "s")
        run.figure("recovery p99", report.recoveries.seconds(at: 0.99), "s")
        vitals.tell(run)
        run.figure("programs alive", alive, atLeast: 6)
    }
}

/// What goes wrong in a soak.
private struct SoakFaults {
    private let stage: Stage
    private let run: DrillRun
    private var counts: [String: Int] = [:]
    private var reaped: [String: Int32] = [:]
    /// Workers that stood still for too long.
    private(set) var zombies: Set<Int32> = []

    init(_ stage: Stage, _ run: DrillRun) {
        self.stage = stage
        self.run = run
    }

    mutating func one(
        _ crew: inout Crew,
        _ watchers: inout [Program],
        _ veteran: Program,
        _ watcher: () async throws -> Program
    ) async throws {
        let kinds = ["kill", "stop", "freeze", "freeze beyond", "CLIENT KILL", "restart", "watcher killed"]
        let kind = kinds[
            counts.values.reduce(0, +) < kinds.count ? counts.count : run.random(in: 0...(kinds.count - 1))
        ]
        counts[kind, default: 0] += 1
        let index = run.random(in: 0...2)
        let victim = crew.workers[index]
        switch kind {
        case "kill": try await crew.kill(index)
        case "stop":
            victim.signal(SIGTERM)
            try await crew.hire()
            _ = crew.release(index)
            guard try await victim.exit() == .status(0) else {
                throw TookTooLong(description: "worker \(victim.pid) did not end well: \(victim.log.suffix(1000))")
            }
        case "freeze": try await freeze(victim, .seconds(1))
        case "freeze beyond":
            zombies.insert(victim.pid)
            try await freeze(victim, .seconds(4.5))
        case "CLIENT KILL":
            for client in try await stage.records.clients(named: "bg-") {
                // One of them may have gone by itself.
                _ = try? await stage.records("CLIENT", "KILL", "ID", "\(client.id)")
            }
        case "restart":
            try await stage.server.restart()
            try await eventually("Redis is back") { (try? await stage.records("PING")) != nil }
        default:
            watchers.remove(at: 1).kill()
            watchers.append(try await watcher())
        }
    }

    private func freeze(_ victim: Program, _ time: Duration) async throws {
        victim.signal(SIGSTOP)
        try await Task.sleep(for: time)
        victim.signal(SIGCONT)
    }

    /// Waits, and notes which attempts were ended, before they are trimmed.
    mutating func look(again time: Duration, _ crew: Crew) async throws {
        let end = ContinuousClock.now + time
        repeat {
            for attempt in try await stage.reaped() { reaped[attempt.attempt] = attempt.pid }
            try await Task.sleep(for: min(.seconds(3), max(.zero, end - .now)))
        } while ContinuousClock.now < end
    }

    func tell(_ crew: Crew) {
        run.figure("faults", counts.values.reduce(0, +), atLeast: run.count(30))
        for (kind, count) in counts.sorted(by: { $0.key < $1.key }) { run.figure(kind, count) }
        let wrong = reaped.filter { crew.deaths[$0.value] == nil && !zombies.contains($0.value) }
        run.figure("reaped", reaped.count)
        run.none("falsely reaped", wrong.map { "\($0.key) of \($0.value)" })
    }
}
