import BackgroundJobs
import Foundation
import TestSupport

extension Drill {
    static let bytes = Drill(
        "bytes",
        "the conversations of a producer, a worker and a watcher with Redis cut at each byte, both ways",
        rows: "N6 N1 E2 W15 W16 W20 C1 C4",
        minutes: 3
    ) { run in
        // A database for each of those that go on at once.
        let server = try await RedisServer.start(options: ["--databases 64"])
        let lanes = 16
        var findings: [String] = []
        var (all, hits) = (0, 0)
        let failures = Counter()
        for conversation in Conversation.all {
            // One for what is not cut, and one for each of those that go on at once.
            let systems = (0...lanes).map { LocalSystem(server: server, database: $0) }
            let workers = try conversation.isServed ? systems.map { try $0.worker() } : []
            try await withRunning(workers) {
                let lengths = try await conversation.lengths(systems[0])
                for direction in FaultProxy.Direction.allCases {
                    let place = "\(conversation.name), \(direction)"
                    let length = lengths[direction] ?? 0
                    // Every third one, and another seed has others.
                    let step = max(3, Int((2 / run.share).rounded()))
                    let cuts = Array(stride(from: run.random(in: 0...(step - 1)), through: length, by: step))
                    let outcomes = try await concurrently(cuts, lanes: lanes) { lane, place in
                        // Each may have waited for long: a few are enough.
                        guard failures.value < 5 else { return Conversation.Outcome(wasCut: false, findings: []) }
                        let outcome = await conversation.cut(systems[1 + lane], direction, after: place)
                        if !outcome.findings.isEmpty { failures.next() }
                        return outcome
                    }
                    all += cuts.count
                    hits += outcomes.count { $0.wasCut }
                    run.figure("\(place): bytes", length)
                    findings += outcomes.flatMap(\.findings).map { "\(place), \($0)" }
                }
            }
        }
        run.figure("conversations cut", hits, atLeast: all * 8 / 10)
        run.none("stuck, not there once, or not run once", findings)
    }
}

/// What one part of the system says to Redis, from its first connection to its end.
struct Conversation: Sendable {
    struct Outcome: Sendable {
        var wasCut: Bool
        var findings: [String]
    }

    let name: String
    /// Whether a worker that nothing happens to runs meanwhile.
    var isServed = false
    /// Goes through it by way of a proxy; returns what is not as it must be, a sentence each.
    let goThrough: @Sendable (LocalSystem, _ url: String) async throws -> [String]

    static let all = [
        enqueuing("producer"), enqueuing("producer, own ID", hasOwnID: true),
        enqueuing("producer, unique", JobOptions(unique: .unique(for: .seconds(60)))), worker, watcher,
    ]

    /// How many bytes it has in each direction, as the proxy counts them: the least of three times, since heartbeats and looks
    /// come when they come.
    func lengths(_ system: LocalSystem) async throws -> [FaultProxy.Direction: Int] {
        var least: [FaultProxy.Direction: Int] = [:]
        for _ in 0..<3 {
            let proxy = try await FaultProxy.start(before: system.server.port)
            let wrong = try await goThrough(system, proxy.url)
            try await system.empty()
            guard wrong.isEmpty else {
                throw DrillFailure(description: "\(name), uncut: \(wrong.joined(separator: "; "))")
            }
            for direction in FaultProxy.Direction.allCases {
                least[direction] = min(least[direction] ?? .max, proxy.count(direction))
            }
        }
        return least
    }

    /// Goes through it with a cut.
    func cut(_ system: LocalSystem, _ direction: FaultProxy.Direction, after bytes: Int) async -> Outcome {
        do {
            let proxy = try await FaultProxy.start(before: system.server.port)
            proxy.cut(direction, after: bytes)
            let wrong = try await goThrough(system, proxy.url) + system.violations()
            try await system.empty()
            return Outcome(wasCut: proxy.cuts > 0, findings: wrong.map { "after \(bytes) bytes: \($0)" })
        } catch {
            // What is to be found in the next one would be found in this one too.
            try? await system.empty()
            return Outcome(wasCut: true, findings: ["after \(bytes) bytes: \(error)"])
        }
    }
}

// MARK: The conversations

extension Conversation {
    /// Connect, enqueue one job, close. Then the job is there once, whole, and runs.
    private static func enqueuing(
        _ name: String,
        hasOwnID: Bool = false,
        _ options: JobOptions = JobOptions()
    ) -> Conversation {
        Conversation(name: name, isServed: true) { system, url in
            let id = hasOwnID ? UUID().uuidString.lowercased() : nil
            let manager = try system.manager(url)
            let job = try await manager.enqueue(LocalSystem.jobClass, arguments: #"{"n":1}"#, id: id, options: options)
                .id
            await manager.close()
            return try await system.withRecords { records in
                try await completed(1, records)
                return try await hasRunOnce([job], system, records)
            }
        }
    }

    /// Connect, claim two jobs, run and finish them, wait for a third one, be woken, run it, stop.
    private static let worker = Conversation(name: "worker") { system, url in
        try await system.withRecords { records in
            for job in ["first", "second"] { try await records.enqueue(job) }
            let worker = try system.worker(url)
            try await worker.withRunning {
                try await completed(2, records)
                try await records.enqueue("third")
                try await completed(3, records)
            }
            return try await hasRunOnce(["first", "second", "third"], system, records)
        }
    }

    /// Connect, look, promote a job, recover an ID, end the attempt of a worker that is gone, stop.
    private static let watcher = Conversation(name: "watcher") { system, url in
        try await system.withRecords { records in
            try await Debris.leave(records)
            let watcher = try system.watcher(url)
            try await watcher.withRunning {
                try await eventually("all is put right", within: patience) { try await Debris.isGone(records) }
            }
            return try await Debris.faults(records)
        }
    }

    /// Long beside what a reconnect takes.
    static let patience = Duration.seconds(60)

    private static func completed(_ count: Int, _ records: Records) async throws {
        try await eventually("\(count) jobs complete", within: patience) { try await records.completed() == count }
    }

    private static func hasRunOnce(
        _ jobs: [String],
        _ system: LocalSystem,
        _ records: Records
    ) async throws -> [String] {
        var wrong: [String] = []
        for job in jobs {
            let attempts = try await records.attempts(of: job)
            if attempts.count != 1 { wrong.append("\(job) has \(attempts.count) attempts") }
            if attempts.last?["fin"] == nil || attempts.last?["err"] != nil { wrong.append("\(job) has not completed") }
            if system.runs[job] != 1 { wrong.append("\(job) began \(system.runs[job]) times") }
        }
        if try await !records.isSettled() { wrong.append("something waits or runs") }
        if try await records.completed() != jobs.count {
            wrong.append("\(try await records.completed()) have completed")
        }
        return wrong
    }
}
