import BackgroundJobs
import Foundation
import TestSupport

extension Drill {
    static let watchers = Drill(
        "watchers",
        "None; then eight watchers at once, one of them killed or stopped for a moment every 20 to 200 ms",
        rows: "R1, R2, R3, R4, R15",
        minutes: 1
    ) { run in
        let stage = try await Stage()
        let (records, keys) = (stage.records, stage.records.keys)
        try await records("SADD", keys.queues, "default")
        func watcher(waits: Bool = false) async throws -> Program {
            try await stage.watcher("--second-look", "0.2", "--log-level", "info", waits: waits)
        }
        var watchers: [Program] = []
        var (due, dead, kills, pauses) = ([String](), [String](), 0, 0)
        var round = 0
        while round < run.count(20) || kills < run.count(30) {
            due += try await seedDue((0..<1000).map { "due-\(round)-\($0)" }, stage)
            dead += try await seedDead((0..<200).map { "run-\(round)-\($0)" }, stage)
            // Nobody has been there for a while.
            while watchers.count < 8 { watchers.append(try await watcher(waits: true)) }
            // They are moved while watchers die, or see what was there half a second ago.
            while try await records.ready() < due.count + dead.count {
                try await Task.sleep(for: .milliseconds(run.random(in: 20...200)))
                // One that watches: on a slow machine others are still on their way.
                let watching = watchers.indices.filter { watchers[$0].count(of: "Watching") > 0 }
                guard let victim = run.random(ofSome: watching) else { continue }
                if run.random(in: 0...3) == 0 {
                    try await pause(watchers[victim])
                    pauses += 1
                } else {
                    watchers.remove(at: victim).kill()
                    watchers.append(try await watcher())
                    kills += 1
                }
            }
            round += 1
        }
        // A few more looks of everybody: nobody moves anything again.
        for watcher in watchers { try await watcher.logged("Watching") }
        try await Task.sleep(for: .seconds(2))

        run.figure("watchers killed", kills, atLeast: run.count(30))
        run.figure("watchers stopped for half a second", pauses)
        try await tell(run, stage, due, dead)
        run.figure("watchers alive", watchers.count(where: \.isRunning), atLeast: 8)
    }

    /// What it has seen is old when it goes on.
    private static func pause(_ watcher: Program) async throws {
        watcher.signal(SIGSTOP)
        try await Task.sleep(for: .milliseconds(500))
        watcher.signal(SIGCONT)
    }

    private static func tell(_ run: DrillRun, _ stage: Stage, _ due: [String], _ dead: [String]) async throws {
        let (records, keys) = (stage.records, stage.records.keys)
        let ready = try await records("LRANGE", keys.ready("default"), "0", "-1").texts
        let failed = try await records.failed()
        let crashes = try await records.send(dead.map { ["HGET", keys.job($0), "crs"] })
        run.figure("due jobs", due.count)
        run.figure("dead attempts", dead.count)
        run.none("not moved", Set(due + dead).subtracting(ready))
        run.figure("moved twice", ready.count - Set(ready).count, atMost: 0)
        run.none("dead attempts without an end", Set(dead.map { "a-\($0)" }).subtracting(failed))
        run.figure("crashes counted twice", crashes.count { $0.text != "1" }, atMost: 0)
        run.figure(
            "crashes in the statistics, beside",
            abs((try await records.stats()["crashed"] ?? 0) - dead.count),
            atMost: 0
        )
        run.none("not as it must be", try await invariantViolations(stage.server))
    }

    /// Jobs that are due within a second: the former half at the same moment.
    private static func seedDue(_ jobs: [String], _ stage: Stage) async throws -> [String] {
        let (records, keys) = (stage.records, stage.records.keys)
        let now = (try await records("TIME").texts.first.flatMap(Int.init) ?? 0) * 1000
        let times = jobs.indices.flatMap { ["\(now + max(0, $0 - jobs.count / 2) * 2)", jobs[$0]] }
        try await records.send(
            jobs.map { ["HSET", keys.job($0), "que", "default", "cls", "Instant", "arg", "{}", "qat", "1"] }
                + [["ZADD", keys.scheduled("default")] + times]
        )
        return jobs
    }

    /// Jobs that a worker ran which is gone.
    private static func seedDead(_ jobs: [String], _ stage: Stage) async throws -> [String] {
        let (records, keys) = (stage.records, stage.records.keys)
        try await records.send(
            jobs.flatMap { job in
                [
                    [
                        "HSET", keys.job(job), "que", "default", "cls", "Instant", "qat", "1", "att", "1",
                        "las", "a-\(job)",
                    ],
                    [
                        "HSET", keys.attempt("a-\(job)"), "sta", "1", "job", job, "wrk", "999999", "que", "default",
                        "nod", "gone-1-00000000", "num", "1",
                    ],
                ]
            } + [["SADD", keys.processing("default")] + jobs.map { "a-\($0)" }]
        )
        return jobs
    }
}
