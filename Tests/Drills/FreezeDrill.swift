import BackgroundJobs
import Foundation
import TestSupport

extension Drill {
    static let freeze = Drill(
        "freeze",
        "SIGSTOP of workers for half of --dead-after, and for longer than it",
        rows: "W5, W6, W22",
        minutes: 1.5
    ) { run in
        async let below: Void = DrillRun.beside("below") { try await freezeBelow(run) }
        async let beyond: Void = DrillRun.beside("beyond") { try await freezeBeyond(run) }
        _ = try await (below, beyond)
    }

    private static func options(_ silence: Int) -> [String] {
        ["--dead-after", "\(silence)", "--heartbeat", "\(Double(silence) / 10)"]
    }

    /// Nothing is to happen.
    private static func freezeBelow(_ run: DrillRun) async throws {
        let part = "below"
        let stage = try await Stage()
        // A short run leaves the machine more time of its own.
        let (silence, freeze) = run.isFull ? (6, Duration.seconds(3)) : (5, .seconds(1.5))
        let watching = ["--interval", "\(Double(silence) / 6)"] + run.patience
        let watcher = try await stage.watcher(options(silence) + watching)
        var workers: [Program] = []
        for _ in 0..<4 { workers.append(try await stage.worker(options(silence))) }
        let feed = Feed(stage, backlog: 60) { .sleeping(run.random(in: 0...3000)) }
        let end = ContinuousClock.now + run.time(80)
        var freezes = 0
        while ContinuousClock.now < end || freezes < run.count(18) {
            let victim = run.random(of: workers)
            victim.signal(SIGSTOP)
            try await Task.sleep(for: freeze)
            victim.signal(SIGCONT)
            freezes += 1
            // After so long it reconnects by itself. The next one must not meet it while it has no connection.
            try await Task.sleep(for: .milliseconds(300))
            try await eventually("it is connected") {
                try await stage.records.clients(named: "bg-worker:").contains { $0.name.contains("-\(victim.pid)-") }
            }
        }
        let jobs = try await feed.stop()
        try await stage.drained()
        run.figure("freezes", freezes, atLeast: run.count(18), part: part)
        try await run.witness(stage, acknowledged: jobs, part: part)
        run.noneUnlessStalled("attempts beside jobs", stage.ledger.started - jobs.count, part: part)
        run.noneUnlessStalled("cut off", watcher.count(of: "Cut off"), part: part)
        run.figure("programs alive", (workers + [watcher]).count(where: \.isRunning), atLeast: 5, part: part)
    }

    /// The jobs run elsewhere, and what the thawed ones report counts for nothing.
    private static func freezeBeyond(_ run: DrillRun) async throws {
        let part = "beyond"
        // So that a short run cuts off none of the others.
        let silence = run.isFull ? 6 : 4
        let stage = try await Stage()
        let watcher = try await stage.watcher(options(silence))
        var workers: [Program] = []
        for _ in 0..<4 { workers.append(try await stage.worker(options(silence))) }
        // One in eight ignores that it is cancelled, and so may end a second time.
        // What the frozen one ran finds room elsewhere at once.
        let feed = Feed(stage, backlog: 30) {
            var order = Feed.Order.sleeping(run.random(in: 0...3000))
            if run.random(in: 0...7) == 0 { order.className = "Blocking" }
            return order
        }
        func refused() -> Int { workers.reduce(0) { $0 + $1.count(of: "A result was refused") } }
        let end = ContinuousClock.now + run.time(80)
        var excuses = Excuses()
        var delays: [Int64] = []
        while ContinuousClock.now < end || watcher.count(of: "Cut off") < run.count(8) || refused() == 0 {
            delays += try await freezeBeyond(run, stage, run.random(of: workers), &excuses)
            try await Task.sleep(for: .milliseconds(500))
        }
        let jobs = try await feed.stop()
        try await stage.drained()
        try await run.witness(stage, acknowledged: jobs, part: part, excuses: excuses)
        run.figure("cut off", watcher.count(of: "Cut off"), atLeast: run.count(8), part: part)
        run.figure("results refused", refused(), atLeast: 1, part: part)
        run.figure("results accepted", try await stage.records.completed(), atMost: jobs.count, part: part)
        delays.sort()
        run.figure("jobs run elsewhere", delays.count, atLeast: 1, part: part)
        run.figure("run elsewhere after, p50", delays.seconds(at: 0.5), "s", part: part)
        // --dead-after, the interval, a second, one more since Redis counts silence in whole seconds, and one for a slow machine.
        let bound = run.isFull ? Double(silence) + 3.1 : nil
        run.figure("run elsewhere after, max", delays.seconds(at: 1), "s", atMost: bound, part: part)
        run.figure("workers alive", workers.count(where: \.isRunning), atLeast: 4, part: part)
    }

    /// Freezes a worker until all that it ran runs elsewhere, and a little longer.
    ///
    /// - Returns: after how long each of its jobs ran elsewhere.
    private static func freezeBeyond(
        _ run: DrillRun,
        _ stage: Stage,
        _ victim: Program,
        _ excuses: inout Excuses
    ) async throws -> [Int64] {
        victim.signal(SIGSTOP)
        let stopped = Ledger.now
        // It may be about to write its last line.
        try await Task.sleep(for: .milliseconds(50))
        let ran = Set(running(stage, victim.pid))
        var elsewhere: [String: Int64] = [:]
        try await eventually("what \(victim.pid) ran runs elsewhere") {
            for entry in stage.ledger.entries
            where entry.event == .start && entry.time > stopped && entry.pid != victim.pid && ran.contains(entry.job) {
                elsewhere[entry.job] = min(elsewhere[entry.job] ?? .max, entry.time - stopped)
            }
            return elsewhere.count == ran.count
        }
        if !ran.isEmpty { try await Task.sleep(for: .milliseconds(run.random(in: 0...1000))) }
        victim.signal(SIGCONT)
        excuses.add(zombie: victim.pid, since: stopped)
        return Array(elsewhere.values)
    }

    /// The jobs that a process has begun and not ended.
    private static func running(_ stage: Stage, _ pid: Int32) -> [String] {
        var running: Set<String> = []
        for entry in stage.ledger.entries where entry.pid == pid {
            if entry.event == .start { running.insert(entry.job) } else { running.remove(entry.job) }
        }
        return Array(running)
    }
}
