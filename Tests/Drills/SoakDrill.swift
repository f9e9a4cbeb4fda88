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
        let options = ["--appendonly yes", "--appendfsync always", "--auto-aof-rewrite-min-size 4mb"]
        let stage = try await Stage(options, deadAfter: SoakFaults.deadAfter(run))
        let retention = Kept.all(run)
        func watcher() async throws -> Program {
            try await stage.watcher(
                ["--grace", "6", "--log-level", "info"] + run.patience + retention.flatMap(\.option)
            )
        }
        var watchers = [try await watcher(), try await watcher()]
        let veteran = try await stage.worker("--fibers", "10", "--log-level", "info")
        var crew = try await Crew(stage, 3, "--fibers", "10", "--timeout", "1")
        let mix = try await Mix(stage, run)
        let vitals = Vitals(stage, worker: veteran, watcher: watchers[0])
        var faults = SoakFaults(stage, run)

        let end = ContinuousClock.now + run.time(600)
        let pause = run.share < 0.1 ? 100...500 : 5_000...20_000
        while ContinuousClock.now < end || !faults.areOfEachKind {
            try await faults.one(&crew, &watchers, watcher)
            try await faults.look(again: .milliseconds(run.random(in: pause)))
        }
        let jobs = try await mix.stop()
        let scripts = try await stage.records.cachedScripts()
        try await stage.drained(within: .seconds(180))
        try await faults.look(again: .zero)
        await vitals.stop()
        let overdue = try await Kept.overdue(retention, stage)
        let alive = crew.running + (watchers + [veteran]).count(where: \.isRunning)
        // They go on trimming, and what is read next is read key by key.
        for watcher in watchers {
            watcher.signal(SIGTERM)
            _ = try await watcher.exit()
        }

        faults.tell()
        mix.tell(run)
        run.figure("attempts", stage.ledger.started)
        let excuses = Excuses(deaths: crew.deaths, zombies: faults.zombies)
        run.judge(stage.ledger, jobs, Array(faults.reaped.values), excuses)
        run.none("stuck, or not as it must be", try await invariantViolations(stage.server))
        run.figure("dead", try await stage.records.dead().count, atMost: 0)
        run.none("records that should have been trimmed", overdue)
        vitals.tell(run)
        run.figure("scripts that Redis keeps", scripts, atMost: Scripts.all.count)
        run.figure("programs alive", alive, atLeast: 6)
    }
}

/// Row G1: what is kept of a set of records.
private struct Kept: Sendable {
    let set: String
    let seconds: Int
    let count: Int

    var option: [String] { ["--keep-\(set)", "\(seconds)s,\(count)"] }

    /// Failed ones for longer: the drill looks for those that were reaped, every few seconds.
    static func all(_ run: DrillRun) -> [Kept] {
        [
            Kept(set: "completed", seconds: run.isFull ? 20 : 5, count: run.isFull ? 2000 : 200),
            Kept(set: "failed", seconds: 30, count: 2000),
            Kept(set: "ended", seconds: run.isFull ? 20 : 5, count: run.isFull ? 500 : 20),
        ]
    }

    /// What is still there beyond that, although nothing new comes, a sentence each.
    static func overdue(_ all: [Kept], _ stage: Stage) async throws -> [String] {
        var sentences: [String] = []
        do {
            try await eventually("what is old has been trimmed", within: .seconds(30)) {
                sentences = []
                for kept in all { sentences += try await kept.overdue(stage) }
                return sentences.isEmpty
            }
        } catch is TookTooLong {}
        return sentences
    }

    private func overdue(_ stage: Stage) async throws -> [String] {
        let key = "\(stage.namespace):\(set):default"
        let time = try await stage.records("TIME").texts
        // A watcher looks ten times a second, and may be busy.
        let old = (Int64(time[0]) ?? 0) * 1000 - Int64(seconds + 5) * 1000
        let replies = try await stage.records.send([["ZCARD", key], ["ZCOUNT", key, "-inf", "\(old)"]])
        return (replies[0].int > count ? ["\(set) has \(replies[0].int) of at most \(count)"] : [])
            + (replies[1].int > 0 ? ["\(set) has \(replies[1].int) that are older than \(seconds) s"] : [])
    }
}

extension Records {
    /// Row G8: each text of a script is kept until Redis ends.
    fileprivate func cachedScripts() async throws -> Int {
        let lines = (try await self("INFO", "memory").text ?? "").split(whereSeparator: \.isNewline)
        let field = "number_of_cached_scripts:"
        guard let line = lines.first(where: { $0.hasPrefix(field) }), let count = Int(line.dropFirst(field.count))
        else {
            throw DrillFailure(description: "Redis does not say how many scripts it keeps")
        }
        return count
    }
}

/// What goes wrong in a soak.
private struct SoakFaults {
    private static let kinds = ["kill", "stop", "freeze", "freeze beyond", "CLIENT KILL", "restart", "watcher killed"]

    private let stage: Stage
    private let run: DrillRun
    private var counts: [String: Int] = [:]
    /// All attempts that watchers were seen to have ended.
    private(set) var reaped: [String: Stage.Reaped] = [:]
    private var excuses = Excuses()
    /// When workers stood still for too long.
    var zombies: [Int32: [ClosedRange<Int64>]] { excuses.zombies }

    init(_ stage: Stage, _ run: DrillRun) {
        self.stage = stage
        self.run = run
    }

    /// In seconds: a short run freezes only once, but maybe on a machine that stands still too.
    static func deadAfter(_ run: DrillRun) -> Int { run.isFull ? 2 : 4 }

    var areOfEachKind: Bool { counts.count == Self.kinds.count }

    mutating func one(
        _ crew: inout Crew,
        _ watchers: inout [Program],
        _ watcher: () async throws -> Program
    ) async throws {
        let kind = areOfEachKind ? run.random(of: Self.kinds) : Self.kinds[counts.count]
        counts[kind, default: 0] += 1
        let index = run.random(in: 0...2)
        let victim = crew.workers[index]
        switch kind {
        case "kill": try await crew.kill(index)
        case "stop":
            // It may just have been hired: a program that is still starting ends by the signal.
            try await victim.logged("Working on")
            victim.signal(SIGTERM)
            try await crew.hire()
            _ = crew.release(index)
            guard try await victim.exit() == .status(0) else {
                throw TookTooLong(description: "worker \(victim.pid) did not end well: \(victim.log.suffix(1000))")
            }
        case "freeze": try await freeze(victim, .seconds(1))
        case "freeze beyond":
            let begin = Ledger.now
            // Watchers count silence in whole seconds, and look twice.
            try await freeze(victim, .seconds(run.isFull ? 4.5 : 8.5))
            excuses.add(zombie: victim.pid, since: begin)
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
    mutating func look(again time: Duration) async throws {
        let end = ContinuousClock.now + time
        repeat {
            for attempt in try await stage.reaped() { reaped[attempt.attempt] = attempt }
            try await Task.sleep(for: min(.seconds(3), max(.zero, end - .now)))
        } while ContinuousClock.now < end
    }

    func tell() {
        run.figure("faults", counts.values.reduce(0, +), atLeast: run.count(30))
        for (kind, count) in counts.sorted(by: { $0.key < $1.key }) { run.figure(kind, count) }
        run.figure("reaped", reaped.count)
    }
}
