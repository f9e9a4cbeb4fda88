import Foundation
import Logging
import TestSupport
import Testing

@testable import BackgroundJobs

/// What worker programs declare, and jobs that end their periodic jobs.
@Suite("Periodic jobs of a worker program", .timeLimit(.minutes(20)))
struct PeriodicWorkerTests {
    private struct Quiet: Job {
        var n = 1
        func perform(_ context: JobContext) async throws {}
    }

    private static func jobs(_ program: String, _ names: [String: PeriodicSchedule]) -> JobRegistry {
        var jobs = JobRegistry()
        jobs.program = program
        jobs.register(Quiet.self)
        for (name, schedule) in names { jobs.periodic(name, schedule, Quiet()) }
        return jobs
    }

    /// Runs a worker until these are its periodic jobs.
    private static func run(_ jobs: JobRegistry, _ stage: OptionStage, until names: [String]) async throws {
        let log = Notes()
        let logger = Logger(label: "test") { _ in NotingLogHandler(notes: log) }
        let worker = try Worker(
            WorkerOptions(queues: .strict(["none"])),
            redis: stage.redis,
            jobs: jobs,
            logger: logger
        )
        try await worker.withRunning {
            try await eventually("the worker works") { log.all.contains { $0.hasPrefix("Working on") } }
            // Declared before it works.
            #expect(try await Self.names(stage) == names)
        }
    }

    private static func names(_ stage: OptionStage) async throws -> [String] {
        try await stage.records("ZRANGE", stage.records.keys.periodics, "0", "-1").texts.sorted()
    }

    private static func next(_ name: String, _ stage: OptionStage) async throws -> String? {
        try await stage.records("ZSCORE", stage.records.keys.periodics, name).text
    }

    @Test("replace those it declared before, and leave those of others alone")
    func declarations() async throws {
        try await OptionStage.withServer { stage in
            let inspector = try Inspector(redis: stage.redis)
            try await inspector.declare(PeriodicJob("hand", .cron("@daily"), className: "C"))
            let hour = PeriodicSchedule.every(.seconds(3600))
            try await Self.run(Self.jobs("one", ["a": hour, "b": hour]), stage, until: ["a", "b", "hand"])
            try await Self.run(Self.jobs("two", ["c": hour, "a": hour]), stage, until: ["a", "b", "c", "hand"])
            let before = try await Self.next("a", stage)
            try await Self.run(Self.jobs("one", ["a": hour, "d": hour]), stage, until: ["a", "c", "d", "hand"])
            #expect(try await Self.next("a", stage) == before, "a restart keeps the next time")
            #expect(try await inspector.periodicJob("a")?.owner == "one")
            try await Self.run(Self.jobs("one", ["a": .cron("0 3 * * *")]), stage, until: ["a", "c", "hand"])
            #expect(try await Self.next("a", stage) != before)
            try await Self.run(Self.jobs("one", [:]), stage, until: ["c", "hand"])
            await #expect(throws: BackgroundError.self) {
                try await inspector.declare(PeriodicJob("c", hour, className: "C"))
            }
            await inspector.close()
        }
    }

    @Test("don't keep it from working where Redis does not take them")
    func refused() async throws {
        try await OptionStage.withServer { stage in
            try await stage.records("SET", stage.records.keys.periodics, "x")
            let jobs = Self.jobs("one", ["a": .every(.seconds(3600))])
            let job = try await stage.manager.enqueue(Quiet())
            try await stage.working(jobs) {
                try await eventually("it works") { try await stage.records.job(job.id)["att"] == "1" }
            }
        }
    }

    @Test("are tried again until Redis takes them")
    func triedAgain() async throws {
        try await OptionStage.withServer { stage in
            let log = Notes()
            let logger = Logger(label: "test") { _ in NotingLogHandler(notes: log) }
            let jobs = Self.jobs("one", ["a": .every(.seconds(3600))]).periodics
            let periodics = Periodics(redis: stage.redis, logger: logger)
            try await stage.records("CONFIG", "SET", "min-replicas-to-write", "1")
            #expect(await periodics.declare(jobs, by: "one") == false)
            async let declaring: Void = periodics.keepDeclaring(jobs, by: "one")
            try await eventually("it is tried again") {
                log.all.count { $0.contains("Could not declare periodic jobs, trying again") } >= 2
            }
            #expect(try await Self.names(stage) == [])
            try await stage.records("CONFIG", "SET", "min-replicas-to-write", "0")
            await declaring
            #expect(try await Self.names(stage) == ["a"])
        }
    }

    private struct Ending: Job {
        static let notes = Notes()

        func perform(_ context: JobContext) async throws {
            Self.notes.add("\(context.periodic?.name ?? "none") \(context.periodic?.time == nil ? "by hand" : "fired")")
            throw JobOutcome.endPeriodic("all done")
        }
    }

    /// Ends its periodic job by a rule.
    private struct Ruled: Job {
        struct Done: Error {}

        static func outcome(of error: any Error) -> JobOutcome? { error is Done ? .endPeriodic("by a rule") : nil }
        func perform(_ context: JobContext) async throws { throw Done() }
    }

    @Test("are ended by a job that says so, which has completed")
    func ended() async throws {
        var jobs = JobRegistry()
        jobs.register(Ending.self)
        jobs.register(Ruled.self)
        jobs.periodic("ending", .every(.milliseconds(300)), Ending(), overlap: .skip)
        jobs.periodic("ruled", .every(.milliseconds(300)), Ruled(), overlap: .skip)
        try await OptionStage.with(jobs) { stage in
            let inspector = try Inspector(redis: stage.redis)
            try await eventually("both have ended") {
                let ends = try await inspector.periodicJobs().map(\.end)
                return Set(ends) == ["all done", "by a rule"]
            }
            for name in ["ending", "ruled"] {
                let record = try #require(try await inspector.periodicJob(name))
                #expect(record.fired == 1 && record.state == .ended)
                let last = try #require(record.lastJob)
                try await eventually("its job has completed") {
                    try await inspector.job(last)?.job.state == .completed
                }
            }
            // By hand, and by nobody's periodic job: it completes and nothing else.
            let plain = try await stage.manager.enqueue(Ending())
            let byHand = try await inspector.runPeriodic("ending")
            for job in [plain.id, byHand] {
                try await eventually("it completes") { try await inspector.job(job)?.job.state == .completed }
            }
            #expect(Ending.notes.all.sorted() == ["ending by hand", "ending fired", "none by hand"])
            await inspector.close()
        }
    }

    @Test("are refused with a sentence that says what to do")
    func refusals() throws {
        func make(
            _ name: String = "p",
            _ schedule: PeriodicSchedule = .cron("@daily"),
            className: String = "C",
            options: JobOptions = JobOptions(),
            count: Int? = nil,
            until: Date? = nil
        ) throws -> PeriodicJob {
            try PeriodicJob(name, schedule, className: className, options: options, count: count, until: until)
        }
        let cases: [(String, () throws -> PeriodicJob)] = [
            ("name of the periodic job", { try make("a:b") }), ("name of the periodic job", { try make("") }),
            ("class name", { try make(className: "a b") }), ("five belong", { try make("p", .cron("x")) }),
            ("Europe/Berlin", { try make("p", .cron("@daily", timeZone: "Berlin")) }),
            ("100 ms", { try make("p", .every(.zero)) }), ("at least 1", { try make(count: 0) }),
            ("overlap: .skip", { try make(options: JobOptions(unique: .unique(for: .seconds(1)))) }),
            ("retries", { try make(options: JobOptions(retries: -1)) }),
            (
                "never run",
                {
                    let job = try make(until: Date(timeIntervalSince1970: 5))
                    _ = try job.declaration(by: nil, now: 10_000)
                    return job
                }
            ),
        ]
        for (words, make) in cases {
            #expect {
                _ = try make()
            } throws: { error in
                ((error as? BackgroundError)?.message ?? "").contains(words)
            }
        }
    }
}
