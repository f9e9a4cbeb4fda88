import BackgroundJobs
import Foundation
import TestSupport
import Testing

private struct Sum: Job {
    var of: [Int]
    static var options: JobOptions { JobOptions(retries: 1, backoff: .fixed(.zero)) }

    func perform(_ context: JobContext) async throws -> Int {
        if of.isEmpty, context.attempt == 1 { throw Broken() }
        return of.reduce(0, +)
    }
}

private struct Doomed: Job {
    static var options: JobOptions { JobOptions(retries: 0) }
    func perform(_ context: JobContext) async throws -> String { throw Broken() }
}

private struct Silent: Job {
    func perform(_ context: JobContext) async throws {}
}

private struct Endless: Job {
    func perform(_ context: JobContext) async throws {
        context.progress(0.25, "a quarter\u{7}")
        context.note("rows", 120)
        try await Task.sleep(for: .milliseconds(400))
        context.progress(0.3)
        try await Task.sleep(for: .seconds(3600))
    }
}

private struct Large: Job {
    var size: Int
    func perform(_ context: JobContext) async throws -> String { String(repeating: "x", count: size) }
}

private struct Reporting: Job {
    static var options: JobOptions { JobOptions(retries: 2, backoff: .fixed(.zero)) }
    func perform(_ context: JobContext) async throws -> [String] {
        context.note("attempt", context.attempt)
        if context.attempt < 3 { throw Broken(description: "attempt \(context.attempt)") }
        let history = try await context.history()
        return history.map { "\($0.number ?? 0) \($0.error ?? "-") \($0.notes?.description ?? "-")" }
    }
}

@Suite("A job's result", .timeLimit(.minutes(20)))
struct Results {
    private static func jobs() -> JobRegistry {
        var jobs = JobRegistry()
        jobs.register(Sum.self)
        jobs.register(Doomed.self)
        jobs.register(Silent.self)
        jobs.register(Endless.self)
        jobs.register(Large.self)
        jobs.register(Reporting.self)
        return jobs
    }

    @Test("is what a handle's value is, after its retries")
    func values() async throws {
        try await OptionStage.with(Self.jobs()) { stage in
            #expect(try await stage.manager.enqueue(Sum(of: [1, 2, 3])).value == 6)
            let retried = try await stage.manager.enqueue(Sum(of: []))
            #expect(try await retried.value == 0)
            #expect(try await retried.value == 0, "asked again, when it has ended")
            try await stage.manager.enqueue(Silent()).value
            let elsewhere = try Manager(redis: stage.redis)
            #expect(try await elsewhere.handle(for: retried.id, of: Int.self).value == 0, "from elsewhere, by the ID")
            await #expect(throws: BackgroundError.self) {
                _ = try await elsewhere.handle(for: retried.id, of: [String].self).value
            }
            await elsewhere.close()
            #expect(try await stage.records.attempts(of: retried.id).last?["out"] == "0")
        }
    }

    @Test("of one that did not succeed is an error that says why")
    func failures() async throws {
        try await OptionStage.with(Self.jobs()) { stage in
            let failed = await #expect(throws: JobFailed.self) {
                _ = try await stage.manager.enqueue(Doomed()).value
            }
            #expect(failed?.end.end == "Dead")
            #expect(failed?.end.error == "Broken")
            #expect(failed?.end.message == "it is broken")
            let missing = await #expect(throws: JobFailed.self) {
                try await stage.manager.handle(for: "nobody").value
            }
            #expect(missing?.end.end == "Missing")
        }
    }

    @Test("has a limit, and one that is too large makes the job dead, since its work was done")
    func limits() async throws {
        try await OptionStage.with(Self.jobs()) { stage in
            let fits = try await stage.manager.enqueue(Large(size: 65_534))
            #expect(try await fits.value.count == 65_534)
            let failed = await #expect(throws: JobFailed.self) {
                _ = try await stage.manager.enqueue(Large(size: 65_535)).value
            }
            #expect(failed?.end.end == "Dead" && failed?.end.error == "Bad Result")
        }
    }

    @Test("is awaited no longer than one wants; cancelling the task that waits cancels the job if asked to")
    func patience() async throws {
        try await OptionStage.with(Self.jobs()) { stage in
            let handle = try await stage.manager.enqueue(Endless())
            let late = await #expect(throws: BackgroundError.self) { try await handle.value(within: .milliseconds(50)) }
            #expect(late?.code == .timedOut)
            let kept = Task { try await handle.value }
            kept.cancel()
            await #expect(throws: CancellationError.self) { try await kept.value }
            #expect(try await stage.records.job(handle.id)["cnl"] == nil)
            try await eventually("it runs") { try await stage.records.job(handle.id)["las"] != nil }
            let waiting = Task { try await handle.value(cancelsJob: true) }
            try await eventually("it is awaited") {
                try await !stage.records("SMEMBERS", "bg:awaited:\(handle.id)").texts.isEmpty
            }
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
            try await stage.ended(handle.id, as: "Cancelled")
        }
    }

    @Test("what a job says of itself is on record while it runs")
    func progress() async throws {
        try await OptionStage.with(Self.jobs()) { stage in
            let handle = try await stage.manager.enqueue(Endless())
            let attempt = try await eventually("it is on record") {
                let attempt = try await stage.records.attempts(of: handle.id).last
                return attempt?["prg"] == nil ? nil : attempt
            }
            #expect(["0.25", "0.3"].contains(attempt["prg"]))
            #expect(attempt["prm"] == #"a quarter\u{07}"# || attempt["prm"] == #"a quarter\u{7}"#)
            #expect(attempt["nte"] == #"{"rows":"120"}"#)
            // A worker finds out that its script is gone, and loads it.
            try await stage.records("SCRIPT", "FLUSH")
            let second = try await stage.manager.enqueue(Endless())
            try await eventually("it is on record, too") {
                try await stage.records.attempts(of: second.id).last?["prg"] == "0.3"
            }
            #expect(try await stage.records.attempts(of: second.id).last?["prm"]?.hasPrefix("a quarter") == true)
            try await stage.manager.cancel(second.id)
            try await stage.manager.cancel(handle.id)
            try await stage.ended(handle.id, as: "Cancelled")
        }
    }

    @Test("a job knows its earlier attempts")
    func history() async throws {
        try await OptionStage.with(Self.jobs()) { stage in
            let lines = try await stage.manager.enqueue(Reporting()).value
            #expect(lines[0] == "3 - -" || lines[0] == #"3 - {"attempt":"3"}"#)
            #expect(lines.dropFirst() == [#"2 Broken {"attempt":"2"}"#, #"1 Broken {"attempt":"1"}"#])
        }
    }

    @Test("ten thousand are awaited at once on one connection, with Redis restarted in the middle")
    func many() async throws {
        let server = try await RedisServer.start(options: ["--appendonly yes", "--appendfsync always"], tcp: false)
        let stage = try OptionStage(server: server)
        try await stage.working(Self.jobs(), options: WorkerOptions(queues: .strict(["default"]), fibers: 100)) {
            let count = 10_000
            let handles = try await stage.manager.enqueue(
                contentsOf: (0..<count).map { Sum(of: [$0]) },
                in: .milliseconds(1500)
            )
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for (number, handle) in handles.enumerated() {
                    group.addTask { try await handle.value == number }
                }
                var right = 0
                var hasRestarted = false
                while let isRight = try await group.next() {
                    if isRight { right += 1 }
                    if right >= 1000, !hasRestarted {
                        hasRestarted = true
                        #expect(try await stage.records.clients(named: "bg-manager-wait").count == 1)
                        try await server.restart()
                    }
                }
                #expect(right == count)
            }
        }
        await stage.manager.close()
        await stage.records.close()
        await server.stop()
    }
}
