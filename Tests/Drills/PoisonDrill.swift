import BackgroundJobs
import TestSupport

extension Drill {
    static let poison = Drill(
        "poison",
        "Jobs that trap, overflow the stack, or exhaust the memory, among good ones",
        rows: "W3, W4",
        minutes: 0.75
    ) { run in
        let stage = try await Stage(deadAfter: run.deadAfter)
        let watcher = try await stage.watcher("--second-look", "0.2")
        // 3 GB of addresses, and no core files.
        var crew = try await Crew(stage, 4, "--fibers", "10", limits: ["-v 3000000", "-c 0"])
        let good = try await stage.enqueue("Sleeping", #"{"ms":10}"#, count: run.count(2500))
        var poisons: [String] = []
        for _ in 0..<run.count(4) {
            for name in ["Trapping", "Overflowing", "Exhausting"] { poisons += try await stage.enqueue(name) }
        }
        let more = try await stage.enqueue("Sleeping", #"{"ms":10}"#, count: run.count(2500))
        try await eventually("the poison is dead", within: .seconds(300)) {
            try await crew.replaceFallen()
            return try await stage.records.dead().count >= poisons.count
        }
        try await eventually("the good jobs have ended", within: .seconds(120)) {
            try await crew.replaceFallen()
            return stage.ledger.ended >= good.count + more.count
        }
        try await stage.drained()

        run.figure("poisons", poisons.count)
        run.figure("workers that they ended", crew.deaths.count, atLeast: poisons.count)
        // Of two that were claimed at once the second may die with the first before it begins, so the ledger may know of fewer runs.
        let starts = Dictionary(grouping: stage.ledger.entries.filter { $0.event == .start }, by: \.job).mapValues(
            \.count
        )
        var wrong: [String] = []
        for job in poisons {
            let errors = try await stage.records.attempts(of: job).map { $0["err"] ?? "none" }
            let isRight =
                errors.dropLast() == ["Worker Timeout", "Worker Timeout", "Worker Timeout"] && errors.last == "Crashed"
            if !isRight || starts[job] ?? 0 > 4 { wrong.append("\(job): \(errors), \(starts[job] ?? 0) starts") }
        }
        run.none("poison that did not run four times", wrong)
        run.none("good jobs among the dead", Set(try await stage.records.dead()).subtracting(poisons))
        let suspects = try await suspectRuns(stage, good + more + poisons)
        run.figure("attempts of suspects", suspects.count, atLeast: poisons.count)
        run.none("suspects that a worker ran at once", together(suspects))
        // What runs a last try is a process of its own, which ends by itself.
        let spared = Set(stage.ledger.entries.map(\.pid)).subtracting(crew.pids).subtracting(crew.deaths.keys)
        let excuses = Excuses(deaths: crew.deaths.merging(spared.map { ($0, 0) }) { own, _ in own })
        try await run.witness(stage, acknowledged: good + more + poisons, excuses: excuses, dead: Set(poisons))
        run.figure("programs alive", crew.running + (watcher.isRunning ? 1 : 0), atLeast: 5)
    }

    /// An attempt of a job whose workers had vanished twice.
    private struct SuspectRun {
        var attempt: String
        var node: String
        /// By the server's clock, in ms; where its worker died, for ever: nothing begins there any more.
        var time: Range<Int64>
    }

    private static func suspectRuns(_ stage: Stage, _ jobs: [String]) async throws -> [SuspectRun] {
        var runs: [SuspectRun] = []
        let counts = try await stage.records.send(jobs.map { ["HGET", stage.records.keys.job($0), "att"] })
        for (job, count) in zip(jobs, counts) where Int(count.text ?? "") ?? 0 > 2 {
            let attempts = try await stage.records.attempts(of: job)
            for attempt in attempts {
                let before = attempts.filter { Int($0["num"] ?? "") ?? 0 < Int(attempt["num"] ?? "") ?? 0 }
                guard before.count(where: { ["Worker Timeout", "Crashed"].contains($0["err"] ?? "") }) > 1 else {
                    continue
                }
                let begin = Int64(attempt["sta"] ?? "") ?? 0
                let end = max(begin, Int64(attempt["fin"] ?? "") ?? .max)
                runs.append(
                    SuspectRun(
                        attempt: "\(job), \(attempt["num"] ?? "")",
                        node: attempt["nod"] ?? "",
                        time: begin..<end
                    )
                )
            }
        }
        return runs
    }

    /// Those that a worker began while it ran another one: if that kills it, they are blamed for it.
    private static func together(_ runs: [SuspectRun]) -> [String] {
        Dictionary(grouping: runs, by: \.node).values.flatMap { runs in
            let runs = runs.sorted { $0.time.lowerBound < $1.time.lowerBound }
            return zip(runs, runs.dropFirst()).filter { $0.time.upperBound > $1.time.lowerBound }
                .map { "\($0.attempt) and \($1.attempt) on \($0.node)" }
        }
    }
}
