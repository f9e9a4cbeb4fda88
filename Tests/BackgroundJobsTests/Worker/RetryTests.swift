import BackgroundJobs
import Foundation
import TestSupport
import Testing

@Suite("Retries", .timeLimit(.minutes(20)))
struct RetryTests {
    private static let soon = Backoff.fixed(.milliseconds(5))

    /// Fails always; tells its hooks.
    private struct Doomed: Job {
        static let told = Told()
        static let options = JobOptions(retries: 2, backoff: soon)
        func perform(_ context: JobContext) async throws {
            Self.told.tell("run \(context.attempt)")
            throw Broken()
        }
        static func onFailure(_ failure: JobFailure) async {
            let next = failure.retryDelay.map { "\($0)" } ?? "never"
            told.tell("failure \(failure.failures) of \(failure.context.attempt), again: \(next)")
        }
        static func onDeath(_ failure: JobFailure) async {
            told.tell("death by \(failure.error), arguments \(String(decoding: failure.arguments, as: UTF8.self))")
        }
    }

    @Test("are made as often as the type says, with its hooks, and then the job is dead")
    func usedUp() async throws {
        var jobs = JobRegistry()
        jobs.register(Doomed.self)
        try await OptionStage.with(jobs) { stage in
            let job = try await stage.manager.enqueue(Doomed()).id
            let fields = try await stage.ended(job, as: "Dead")
            #expect(fields["att"] == "3" && fields["ers"] == "3" && fields["ret"] == nil)
            let attempts = try await stage.records.attempts(of: job)
            #expect(attempts.map { $0["num"] } == ["1", "2", "3"])
            #expect(attempts.allSatisfy { $0["err"] == "Broken" && $0["msg"] == "it is broken" && $0["fin"] != nil })
            #expect(try await stage.records.failed().count == 3)
            #expect(try await stage.records.dead() == [job])
            #expect(
                Doomed.told.all == [
                    "run 1", "failure 1 of 1, again: 0.005 seconds",
                    "run 2", "failure 2 of 2, again: 0.005 seconds",
                    "run 3", "failure 3 of 3, again: never", "death by it is broken, arguments {}",
                ]
            )
        }
    }

    @Test("what a call says wins over the type")
    func overridden() async throws {
        var jobs = JobRegistry()
        jobs.register("Fails", options: JobOptions(retries: 5, backoff: Self.soon), raw: { _, _ in throw Broken() })
        try await OptionStage.with(jobs) { stage in
            for (retries, attempts) in [(0, 1), (1, 2), (nil, 6)] {
                let job = try await stage.manager.enqueue("Fails", options: JobOptions(retries: retries)).id
                try await stage.ended(job, as: "Dead")
                #expect(try await stage.records.attempts(of: job).count == attempts)
            }
        }
    }

    @Test("are 25 where nobody says, and what can't run here is retried like any failure")
    func defaults() async throws {
        struct Strict: Decodable { var count: Int }
        var jobs = JobRegistry()
        jobs.register("Strict") { (_: Strict, _: JobContext) in }
        try await OptionStage.with(jobs) { stage in
            let expected = [
                ("Strict", #"{"count":"x"}"#, "Bad Arguments", "field count: expected Int"),
                ("Strict", "{}", "Bad Arguments", "field count is missing"),
                ("Strict", String(repeating: "[", count: 65), "Bad Arguments", "deeper than 64 levels"),
                ("Nobody", "{}", "Unknown Class", "Nobody"),
            ]
            for (name, arguments, error, message) in expected {
                let job = try await stage.manager.enqueue(name, arguments: arguments).id
                try await eventually("\(name) \(arguments) waits for its retry") {
                    try await !stage.records("ZSCORE", stage.records.keys.scheduled("default"), job).isNull
                }
                let attempt = try #require(try await stage.records.attempts(of: job).first)
                #expect(attempt["err"] == error)
                #expect(attempt["msg"]?.contains(message) == true, "\(attempt["msg"] ?? "")")
                #expect(try await stage.records.job(job)["ers"] == "1")
            }
            try await stage.records(
                "HSET",
                stage.records.keys.job("last"),
                "que",
                "default",
                "cls",
                "Nobody",
                "ers",
                "25"
            )
            try await stage.records("RPUSH", stage.records.keys.ready("default"), "last")
            try await stage.ended("last", as: "Dead")
        }
    }

    @Test("run on another queue if the job wants it so")
    func retryQueue() async throws {
        var jobs = JobRegistry()
        jobs.register("Once") { (_: [String: Int], context: JobContext) in
            if context.queue == "default" { throw Broken() }
        }
        try await OptionStage.with(jobs) { stage in
            let options = JobOptions(backoff: Self.soon, retryQueue: "slow")
            let job = try await stage.manager.enqueue("Once", options: options).id
            try await stage.completed(job)
            #expect(try await stage.records.attempts(of: job).map { $0["que"] } == ["default", "slow"])
        }
    }

    @Test("end with the job's age")
    func retryFor() async throws {
        var jobs = JobRegistry()
        jobs.register("Fails", raw: { _, _ in throw Broken() })
        try await OptionStage.with(jobs) { stage in
            let none = JobOptions(backoff: Self.soon, retryFor: .zero)
            let job = try await stage.manager.enqueue("Fails", options: none).id
            try await stage.ended(job, as: "Dead")
            #expect(try await stage.records.attempts(of: job).count == 1)
            let some = JobOptions(retries: 1_000_000, backoff: .fixed(.milliseconds(500)), retryFor: .seconds(5))
            let other = try await stage.manager.enqueue("Fails", options: some).id
            let fields = try await stage.ended(other, as: "Dead")
            let queued = try #require(fields["qat"].flatMap { Int($0) })
            let attempts = try await stage.records.attempts(of: other)
            #expect(attempts.count > 1)
            let last = try #require(attempts.last?["fin"].flatMap { Int($0) })
            #expect(last + 500 > queued + 5000, "it was tried as long as it may")
            // When the worker decided: its claim, and the time it took from then on.
            let decided = attempts.compactMap { attempt -> Double? in
                guard let start = attempt["sta"].flatMap({ Double($0) }),
                    let took = attempt["time"].flatMap({ Double($0) })
                else { return nil }
                return start + took
            }
            #expect(decided.count == attempts.count)
            let limit = Double(queued) + 5000
            #expect(decided.dropLast().allSatisfy { $0 + 500 <= limit }, "and no retry was to begin later")
        }
    }

    @Test("wait as the closure of a type says")
    func closure() async throws {
        var jobs = JobRegistry()
        let backoff = Backoff.custom { attempt, error in .milliseconds(error is Broken ? attempt * 3_600_000 : 1) }
        jobs.register("Fails", options: JobOptions(backoff: backoff), raw: { _, _ in throw Broken() })
        try await OptionStage.with(jobs) { stage in
            let job = try await stage.manager.enqueue("Fails").id
            try await eventually("it waits") { try await stage.records.job(job)["ers"] == "1" }
            let due = Int(try await stage.records.job(job)["pat"] ?? "") ?? 0
            let end = Int(try await stage.records.attempts(of: job)[0]["fin"] ?? "") ?? 0
            #expect(due - end == 3_600_000)
            await #expect(throws: BackgroundError.self) {
                try await stage.manager.enqueue("Fails", options: JobOptions(backoff: backoff))
            }
        }
    }

    // MARK: Outcomes

    private struct Choosy: Job {
        struct Declined: Error {}
        static let options = JobOptions(backoff: soon)
        var what: String
        func perform(_ context: JobContext) async throws {
            switch what {
            case "discard": throw JobOutcome.discard("no use")
            case "dead": throw JobOutcome.dead("give up")
            case "declined": throw Declined()
            case "snooze" where Self.naps.all.count < 3:
                Self.naps.tell("\(context.attempt)")
                throw JobOutcome.snooze(for: .milliseconds(5))
            default: break
            }
        }
        static let naps = Told()
        static func outcome(of error: any Error) -> JobOutcome? { error is Declined ? .discard("card declined") : nil }
    }

    @Test("are not made of an error that the job declares final")
    func outcomes() async throws {
        var jobs = JobRegistry()
        jobs.register(Choosy.self)
        try await OptionStage.with(jobs) { stage in
            for (what, end, error, message) in [
                ("discard", "Discarded", "Discarded", "no use"), ("dead", "Dead", "Dead", "give up"),
                ("declined", "Discarded", "Declined", "Declined() (card declined)"),
            ] {
                let job = try await stage.manager.enqueue(Choosy(what: what)).id
                try await stage.ended(job, as: end)
                let attempts = try await stage.records.attempts(of: job)
                #expect(attempts.count == 1)
                #expect(attempts[0]["err"] == error && attempts[0]["msg"] == message, "\(attempts[0])")
            }
            let stats = try await stage.records.stats()
            #expect(stats["failed"] == 3 && stats["discarded"] == 2 && stats["dead"] == 1)
        }
    }

    @Test("don't count what was snoozed")
    func snoozed() async throws {
        var jobs = JobRegistry()
        jobs.register(Choosy.self)
        try await OptionStage.with(jobs) { stage in
            let job = try await stage.manager.enqueue(Choosy(what: "snooze"), options: JobOptions(retries: 0)).id
            try await stage.completed(job)
            #expect(Choosy.naps.all == ["1", "1", "1"])
            #expect(try await stage.errors(of: job) == ["Snoozed", "Snoozed", "Snoozed", nil])
            #expect(try await stage.records.job(job)["ers"] == nil)
        }
    }

    @Test("keep the error's cause on record, without control characters and within 4 KiB")
    func causes() async throws {
        struct Inner: Error, CustomStringConvertible { var description = "disk\u{1B}[31m full" }
        struct Outer: Error, CustomStringConvertible {
            var cause: (any Error)? = Inner()
            var description = "can't write"
        }
        var jobs = JobRegistry()
        jobs.register("Caused", raw: { _, _ in throw Outer() })
        jobs.register("Long", raw: { _, _ in throw Broken(description: String(repeating: "é", count: 4000)) })
        try await OptionStage.with(jobs) { stage in
            let job = try await stage.manager.enqueue("Caused", options: JobOptions(retries: 0)).id
            try await stage.ended(job, as: "Dead")
            #expect(
                try await stage.records.attempts(of: job)[0]["msg"]
                    == "can't write\ncaused by Inner: disk\\u{1B}[31m full"
            )
            let long = try await stage.manager.enqueue("Long", options: JobOptions(retries: 0)).id
            try await stage.ended(long, as: "Dead")
            #expect(try await stage.records.attempts(of: long)[0]["msg"]?.utf8.count == 4096)
        }
    }

    // MARK: Times

    @Test("by the default rule wait within its bounds: 10,000 of them")
    func bounds() async throws {
        var jobs = JobRegistry()
        jobs.register("Fails", raw: { _, _ in throw Broken() })
        try await OptionStage.withServer { stage in
            let keys = stage.records.keys
            let ids = (0..<10_000).map { "j\($0)" }
            for start in stride(from: 0, to: ids.count, by: 1000) {
                try await stage.records.send(
                    (start..<start + 1000).flatMap { index in
                        [
                            ["HSET", keys.job(ids[index]), "que", "default", "cls", "Fails", "ers", "\(index % 25)"],
                            ["RPUSH", keys.ready("default"), ids[index]],
                        ]
                    }
                )
            }
            let worker = try WorkerOptions(queues: .strict(["default"]), fibers: 200)
            try await stage.working(jobs, options: worker) {
                try await eventually("all have failed") { try await stage.records.stats()["failed"] == 10_000 }
            }
            let scores = try await stage.records("ZRANGE", keys.scheduled("default"), "0", "-1", "WITHSCORES").fields
            #expect(scores.count == 10_000)
            var jitters: [Int: ClosedRange<Double>] = [:]
            for (index, id) in ids.enumerated() {
                let last = try #require(try await stage.records("HGET", keys.job(id), "las").text)
                let end = try #require(
                    try await stage.records("HGET", keys.attempt(last), "fin").text.flatMap { Int($0) }
                )
                let due = try #require(scores[id].flatMap { Int($0) })
                let n = Double(index % 25)
                let jitter = (Double(due - end) / 1000 - n * n * n * n - 15) / (n + 1)
                let seen = jitters[index % 25] ?? jitter...jitter
                jitters[index % 25] = min(seen.lowerBound, jitter)...max(seen.upperBound, jitter)
            }
            for (n, range) in jitters {
                #expect(range.lowerBound >= 0 && range.upperBound <= 10.001, "after \(n) failures: \(range)")
                #expect(range.lowerBound < 1 && range.upperBound > 9, "it is spread: \(range)")
            }
        }
    }

    @Test("never begin early")
    func notEarly() async throws {
        var jobs = JobRegistry()
        let backoff = Backoff.custom { _, _ in .microseconds(Int.random(in: 0...300_000)) }
        jobs.register("Fails", options: JobOptions(retries: 3, backoff: backoff), raw: { _, _ in throw Broken() })
        try await OptionStage.with(jobs) { stage in
            let handles = try await stage.manager.enqueue("Fails", contentsOf: repeatElement("{}", count: 300))
            try await eventually("all are dead") { try await stage.records.dead().count == 300 }
            for handle in handles {
                let attempts = try await stage.records.attempts(of: handle.id)
                #expect(attempts.count == 4)
                // The last time that was due is in the job; each attempt has waited for one.
                let due = Int(try await stage.records.job(handle.id)["pat"] ?? "") ?? .max
                #expect(Int(attempts[3]["sta"] ?? "") ?? 0 >= due)
            }
        }
    }

    @Test("of each kind of backoff wait as it says")
    func kinds() {
        let error = Broken()
        func delays(_ backoff: Backoff) -> [Duration] { (1...4).map { backoff.delay(after: $0, error) } }
        #expect(delays(.fixed(.seconds(5))) == Array(repeating: .seconds(5), count: 4))
        #expect(delays(.linear(.seconds(5))) == [5, 10, 15, 20].map { .seconds($0) })
        #expect(delays(.list([.seconds(1), .seconds(9)])) == [1, 9, 9, 9].map { .seconds($0) })
        #expect(delays(.custom { n, _ in .seconds(-n) }) == Array(repeating: .zero, count: 4))
        let year = Duration.seconds(365 * 86_400)
        #expect(Backoff.exponential.delay(after: .max, error) == year)
        #expect(Backoff.linear(year).delay(after: .max, error) == year)
        for text in ["exponential", "fixed:0", "fixed:5000", "linear:1", "list:1,2,3"] {
            #expect(Backoff(text: text)?.text == text)
        }
        for text in [
            "", "fixed", "fixed:", "fixed:-1", "fixed:1,2", "fixed:1s", "list:", "list:1,,2", "cubic:3", "EXPONENTIAL",
            "fixed:99999999999999999999", "linear:31536000001", "list:" + String(repeating: "1,", count: 100) + "1",
        ] {
            #expect(Backoff(text: text) == nil, "\(text)")
        }
    }
}

/// Takes its process down.
private struct Poison: Job {
    static let told = Told()
    func perform(_ context: JobContext) async throws {}
    static func onFailure(_ failure: JobFailure) async { told.tell("failure: \(failure.error)") }
    static func onDeath(_ failure: JobFailure) async { told.tell("death") }
}

@Suite("The last try of a suspect", .timeLimit(.minutes(20)))
struct LastTries {
    @Test("calls the hooks when its process dies, since its worker lives")
    func hooks() async throws {
        var jobs = JobRegistry()
        jobs.register(Poison.self)
        jobs.isolation = { _, _ in throw ProcessDied(description: "it trapped") }
        try await OptionStage.withServer { stage in
            let now = try await stage.records("TIME").texts[0] + "000"
            try await stage.records.send([
                [
                    "HSET", "bg:jobs:p", "que", "default", "cls", "Poison", "arg", "{}", "qat", now, "crs", "3", "crt",
                    now,
                ],
                ["RPUSH", "bg:suspects:default", "p"],
            ])
            try await stage.working(jobs) { try await stage.ended("p", as: "Dead") }
        }
        #expect(Poison.told.all == ["failure: it trapped", "death"])
    }
}
