import BackgroundJobs
import Foundation
import TestSupport

extension Drill {
    static let crashPoints = Drill(
        "crashpoints",
        "a producer, a worker and a watcher killed at each system call of a full cycle",
        rows: "W2 E1 R2 W1",
        minutes: 2
    ) { run in
        guard let strace = try await Tracer.find() else {
            return run.notice("skipped: there is no strace here, or it may not trace (ptrace is not permitted)")
        }
        let server = try await RedisServer.start()
        let lanes = 6
        var findings: [String] = []
        var (tried, killed) = (0, 0)
        for cycle in CrashCycle.all {
            let counted = try await cycle.count(LocalSystem(server: server, database: 0), strace)
            let all = counted.sorted { $0.key < $1.key }.flatMap { call, count in
                // No two runs are quite the same.
                (1...(count + 2)).map { CrashPoint(call: call, number: $0) }
            }
            // A dozen of each at least.
            let step = max(1, min(Int((1 / run.share).rounded()), all.count / 12))
            let points = stride(from: run.random(in: 0...(step - 1)), to: all.count, by: step).map { all[$0] }
            let outcomes = try await concurrently(points, lanes: lanes) { lane, point in
                await cycle.crash(LocalSystem(server: server, database: 1 + lane), strace, at: point)
            }
            run.figure("\(cycle.name): points", points.count)
            run.figure("\(cycle.name): killed there", outcomes.count { $0.wasKilled })
            tried += points.count
            killed += outcomes.count { $0.wasKilled }
            findings += outcomes.flatMap(\.findings).map { "\(cycle.name), \($0)" }
        }
        // No two runs are quite the same: so many show that kills hit.
        run.figure("killed", killed, atLeast: tried * 3 / 10)
        run.none("lost, stuck, or half there", findings)
    }
}

/// A place in the life of a process: when a thread of it makes a system call for the n-th time.
struct CrashPoint: Sendable, CustomStringConvertible {
    let call: String
    let number: Int

    var description: String { "\(call) \(number)" }
}

/// What a process does from its start to its end, to be killed somewhere on the way.
struct CrashCycle: Sendable {
    struct Outcome: Sendable {
        var wasKilled: Bool
        var findings: [String]
    }

    let name: String
    let program: String
    let arguments: [String]
    /// What is there before.
    var prepare: @Sendable (Records) async throws -> Void = { _ in }
    /// Whether it has done all and is to be stopped; nil: it ends by itself.
    var isDone: (@Sendable (Records) async throws -> Bool)?
    /// Which jobs have to complete, and what is not as it must be, given what it said.
    let look: @Sendable (Records, _ said: String) async throws -> (jobs: [String], wrong: [String])

    static let all = [enqueuing("producer"), enqueuing("producer, unique", "--unique", "60s"), worker, watcher]

    /// How often a thread makes each system call at most, in a cycle that nobody ends.
    func count(_ system: LocalSystem, _ strace: Tracer) async throws -> [String: Int] {
        let (trace, exit, wrong) = try await goThrough(system, strace, at: nil)
        guard exit == .status(0) else { throw DrillFailure(description: "\(name), not killed: \(exit)") }
        guard wrong.isEmpty else { throw DrillFailure(description: "\(name): \(wrong.joined(separator: "; "))") }
        return trace.counts
    }

    func crash(_ system: LocalSystem, _ strace: Tracer, at point: CrashPoint) async -> Outcome {
        do {
            let (_, exit, wrong) = try await goThrough(system, strace, at: point)
            return Outcome(wasKilled: exit == .signal(SIGKILL), findings: wrong.map { "\(point): \($0)" })
        } catch {
            // What is to be found in the next one would be found in this one too.
            try? await system.empty()
            return Outcome(wasKilled: true, findings: ["\(point): \(error)"])
        }
    }

    private func goThrough(
        _ system: LocalSystem,
        _ strace: Tracer,
        at point: CrashPoint?
    ) async throws -> (Tracer.Trace, Program.Exit, wrong: [String]) {
        try await system.withRecords { records in
            try await prepare(records)
            let redis = ["--redis", "\(system.server.url)?db=\(system.database)"]
            let traced = try strace.start(program, arguments + redis, killedAt: point)
            if let isDone {
                try await eventually("\(name) has done all", within: .seconds(60)) {
                    if !traced.program.isRunning { return true }
                    return try await isDone(records)
                }
                traced.trace.signal(SIGTERM)
            }
            let exit = try await traced.program.exit()
            var (jobs, wrong) = try await look(records, traced.program.log)
            wrong += try await recover(jobs, system, records)
            try await system.empty()
            return (traced.trace, exit, wrong)
        }
    }

    /// A fresh worker and a fresh watcher, for as long as there is something to do.
    private func recover(_ jobs: [String], _ system: LocalSystem, _ records: Records) async throws -> [String] {
        let (worker, watcher) = (try system.worker(), try system.watcher())
        try await watcher.withRunning {
            try await worker.withRunning {
                try await eventually("all jobs complete", within: .seconds(60)) {
                    for job in jobs {
                        let last = try await records.attempts(of: job).last
                        guard last?["fin"] != nil, last?["err"] == nil else { return false }
                    }
                    return try await records.isSettled()
                }
            }
        }
        return try await system.violations()
    }
}

extension CrashCycle {
    /// A job is there whole or not at all, and whole if its ID was printed.
    private static func enqueuing(_ name: String, _ options: String...) -> CrashCycle {
        let job = "chosen"
        return CrashCycle(
            name: name,
            program: "bg-cli",
            arguments: ["enqueue", LocalSystem.jobClass, #"{"n":1}"#, "--id", job] + options
        ) { records, said in
            let isThere = try await records("EXISTS", records.keys.job(job)).int == 1
            // A worker that has just gone may have been handed the ID, for a watcher to find.
            let lists = [records.keys.ready("default"), records.keys.handoff("default")]
            let waiting = try await records.send(lists.map { ["LRANGE", $0, "0", "-1"] }).flatMap(\.texts)
            var wrong: [String] = []
            if waiting != (isThere ? [job] : []) { wrong.append("hash there: \(isThere), waiting: \(waiting)") }
            if said.contains(job), !isThere { wrong.append("acknowledged, and not there") }
            return (waiting, wrong)
        }
    }

    private static let worker = CrashCycle(
        name: "worker",
        program: "test-worker",
        arguments: ["--drain", "--fibers", "2"],
        prepare: { records in for job in ["first", "second", "third"] { try await records.enqueue(job) } },
        look: { _, _ in (["first", "second", "third"], []) }
    )

    private static let watcher = CrashCycle(
        name: "watcher",
        program: "bg-watcher",
        arguments: ["--interval", "0.05", "--second-look", "0.05", "--grace", "0.1"],
        prepare: { try await Debris.leave($0) },
        isDone: { try await Debris.isGone($0) },
        look: { _, _ in (Debris.jobs, []) }
    )
}
