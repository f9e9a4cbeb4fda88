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
        // The short form has no time to stand still for long.
        let silence = run.isFull ? 6 : 2
        async let below: Void = freezeBelow(run, silence)
        async let beyond: Void = freezeBeyond(run, silence)
        _ = try await (below, beyond)
    }

    private static func options(_ silence: Int) -> [String] {
        ["--dead-after", "\(silence)", "--heartbeat", "\(Double(silence) / 10)"]
    }

    /// Nothing is to happen.
    private static func freezeBelow(_ run: DrillRun, _ silence: Int) async throws {
        let stage = try await Stage()
        let watcher = try await stage.watcher(options(silence) + ["--interval", "\(Double(silence) / 6)"])
        var workers: [Program] = []
        for _ in 0..<4 { workers.append(try await stage.worker(options(silence))) }
        let feed = Feed(stage, backlog: 60) { .sleeping(run.random(in: 0...3000)) }
        let end = ContinuousClock.now + run.time(80)
        var freezes = 0
        while ContinuousClock.now < end {
            let victim = run.random(of: workers)
            victim.signal(SIGSTOP)
            try await Task.sleep(for: .milliseconds(silence * 500))
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
        run.figure("freezes", freezes, atLeast: run.count(18), part: "below")
        try await run.witness(stage, acknowledged: jobs, part: "below")
        run.figure("attempts beside jobs", stage.ledger.started - jobs.count, atMost: 0, part: "below")
        run.figure("cut off", watcher.count(of: "Cut off"), atMost: 0, part: "below")
    }

    /// The jobs run elsewhere, and what the thawed ones report counts for nothing.
    private static func freezeBeyond(_ run: DrillRun, _ silence: Int) async throws {
        let stage = try await Stage()
        let watcher = try await stage.watcher(options(silence))
        var workers: [Program] = []
        for _ in 0..<4 { workers.append(try await stage.worker(options(silence))) }
        // Half of them ignore that they are cancelled, and so end a second time.
        let feed = Feed(stage, backlog: 40) {
            var order = Feed.Order.sleeping(run.random(in: 0...3000))
            if run.random(in: 0...7) == 0 { order.className = "Blocking" }
            return order
        }
        let end = ContinuousClock.now + run.time(80)
        var zombies: Set<Int32> = []
        var delays: [Int64] = []
        while ContinuousClock.now < end {
            let victim = run.random(of: workers)
            let ran = Set(running(stage, victim.pid))
            guard !ran.isEmpty else { continue }
            victim.signal(SIGSTOP)
            let stopped = Ledger.now
            zombies.insert(victim.pid)
            try await Task.sleep(for: .seconds(silence) + .milliseconds(run.random(in: 2200...3500)))
            victim.signal(SIGCONT)
            for entry in stage.ledger.entries
            where entry.event == .start && entry.pid != victim.pid && ran.contains(entry.job) && entry.time > stopped {
                delays.append(entry.time - stopped)
            }
            try await Task.sleep(for: .milliseconds(500))
        }
        let jobs = try await feed.stop()
        try await stage.drained()
        try await run.witness(stage, acknowledged: jobs, part: "beyond", zombies: zombies)
        run.figure("cut off", watcher.count(of: "Cut off"), atLeast: run.count(8), part: "beyond")
        let refused = workers.reduce(0) { $0 + $1.count(of: "A result was refused") }
        run.figure("results refused", refused, atLeast: 1, part: "beyond")
        run.figure("results accepted", try await stage.records.completed(), atMost: jobs.count, part: "beyond")
        delays.sort()
        // --dead-after, the interval, a second, one more since Redis counts silence in whole seconds, and one for a slow machine.
        run.figure("run elsewhere after, p50", delays.seconds(at: 0.5), "s", part: "beyond")
        run.figure(
            "run elsewhere after, max",
            delays.seconds(at: 1),
            "s",
            atMost: Double(silence) + 3.1,
            part: "beyond"
        )
        run.figure("workers alive", workers.count(where: \.isRunning), atLeast: 4)
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
