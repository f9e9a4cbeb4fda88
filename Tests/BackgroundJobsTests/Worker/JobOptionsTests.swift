import BackgroundJobs
import BackgroundRedis
import Foundation
import TestSupport
import Testing

@Suite("Options", .timeLimit(.minutes(20)))
struct JobOptionsTests {
    private static let tooLong = Duration.seconds(36_500 * 86_400 + 1)

    @Test("at their limits are taken, and travel in the hash")
    func limits() async throws {
        try await OptionStage.withServer { stage in
            let century = "\(36_500 * 86_400_000)"
            let rows: [(JobOptions, [String: String])] = [
                (JobOptions(), [:]),
                (JobOptions(retries: 0), ["ret": "0"]),
                (JobOptions(retries: 1_000_000), ["ret": "1000000"]),
                (JobOptions(backoff: .exponential), ["bck": "exponential"]),
                (JobOptions(backoff: .fixed(.zero)), ["bck": "fixed:0"]),
                (
                    JobOptions(backoff: .list([.microseconds(1), .seconds(365 * 86_400)])),
                    ["bck": "list:1,31536000000"]
                ),
                (JobOptions(retryFor: .zero), ["rfr": "0"]),
                (JobOptions(retryFor: .seconds(36_500 * 86_400)), ["rfr": century]),
                (JobOptions(retryQueue: "slow"), ["rqu": "slow"]),
                (JobOptions(timeout: .milliseconds(1)), ["tmo": "1"]),
                (JobOptions(timeout: .seconds(36_500 * 86_400)), ["tmo": century]),
                (JobOptions(delivery: .atMostOnce), ["dlv": "amo"]),
                (JobOptions(delivery: .atLeastOnce), ["dlv": "alo"]),
                (JobOptions(crashRetries: 0), ["crm": "0"]),
                (JobOptions(crashRetries: .all), ["crm": "all"]),
                (JobOptions(crashWindow: .zero), ["crw": "0"]),
            ]
            for (options, fields) in rows {
                let job = try await stage.manager.enqueue("C", options: options).id
                var hash = try await stage.records.job(job)
                for field in ["que", "cls", "arg", "qat"] { #expect(hash.removeValue(forKey: field) != nil) }
                #expect(hash == fields)
            }
            let expiring = try await stage.manager.enqueue(
                "C",
                in: .seconds(100),
                options: JobOptions(expires: .milliseconds(1))
            ).id
            let hash = try await stage.records.job(expiring)
            #expect(hash["exp"].flatMap { Int($0) } == hash["pat"].flatMap { Int($0) }.map { $0 + 1 })
        }
    }

    @Test("beyond their limits are refused by name, and nothing is written")
    func beyond() async throws {
        try await OptionStage.withServer { stage in
            let rows: [(JobOptions, String)] = [
                (JobOptions(retries: -1), "retries"), (JobOptions(retries: 1_000_001), "retries"),
                (JobOptions(retries: .max), "retries"), (JobOptions(backoff: .fixed(.seconds(-1))), "delay"),
                (JobOptions(backoff: .linear(.seconds(366 * 86_400))), "delay"),
                (JobOptions(backoff: .list([])), "list"),
                (JobOptions(backoff: .list(Array(repeating: .zero, count: 101))), "list"),
                (JobOptions(retryFor: .seconds(-1)), "retryFor"), (JobOptions(retryFor: Self.tooLong), "retryFor"),
                (JobOptions(retryQueue: ""), "queue"), (JobOptions(retryQueue: "a b"), "queue"),
                (JobOptions(timeout: .zero), "timeout"), (JobOptions(timeout: .seconds(-5)), "timeout"),
                (JobOptions(timeout: Self.tooLong), "timeout"), (JobOptions(expires: .zero), "expires"),
                (JobOptions(expires: Self.tooLong), "expires"), (JobOptions(crashRetries: -1), "crashRetries"),
                (JobOptions(crashWindow: .seconds(-1)), "crashWindow"),
                (JobOptions(unique: .unique(for: .zero)), "unique"),
                (JobOptions(unique: .unique(for: Self.tooLong)), "unique"),
                (JobOptions(unique: .unique(for: .seconds(1), by: .key(""))), "unique"),
            ]
            for (options, word) in rows {
                do {
                    try await stage.manager.enqueue("C", options: options)
                    Issue.record("\(options) was taken")
                } catch let error as BackgroundError {
                    #expect(error.code == .invalidArgument && error.message.contains(word), "\(error.message)")
                }
            }
            #expect(try await stage.records("DBSIZE").int == 0)
        }
    }

    @Test("that somebody wrote wrongly into a hash count as absent")
    func garbage() async throws {
        var jobs = JobRegistry()
        jobs.register("Fails", options: JobOptions(retries: 1, backoff: .fixed(.zero)), raw: { _, _ in throw Broken() })
        try await OptionStage.with(jobs) { stage in
            let keys = stage.records.keys
            for (index, value) in [
                "", "x", "-1", "1e400", "9999999999999999999999", "9223372036854775807", "NaN", "0x10", "1.5",
            ].enumerated() {
                let id = "j\(index)"
                let fields = ["ret", "bck", "rfr", "rqu", "tmo", "exp", "dlv", "crm", "crw", "unq", "ers"]
                    .filter { !($0 == "rqu" && value != "") && $0 != "exp" }
                let garbage = fields.flatMap { [$0, value] }
                try await stage.records.send([
                    ["HSET", keys.job(id), "que", "default", "cls", "Fails"] + garbage,
                    ["RPUSH", keys.ready("default"), id],
                ])
                try await stage.ended(id, as: "Dead")
                #expect(try await stage.errors(of: id) == ["Broken", "Broken"], "\(value)")
            }
        }
    }

    // MARK: Expiry

    @Test("expires: a job that has not begun in time is dropped with a record")
    func expires() async throws {
        var jobs = JobRegistry()
        jobs.register("C", raw: { _, _ in })
        try await OptionStage.withServer { stage in
            let late = try await stage.manager.enqueue("C", options: JobOptions(expires: .milliseconds(1))).id
            let early = try await stage.manager.enqueue("C", options: JobOptions(expires: .seconds(3600))).id
            let due = try await stage.manager.enqueue(
                "C",
                in: .milliseconds(50),
                options: JobOptions(expires: .seconds(60))
            )
            let before = try await stage.records.job(late)["exp"].flatMap { Int64($0) } ?? .max
            try await eventually("it is too late") { try await stage.records("TIME").texts[0] + "000" > "\(before)" }
            try await stage.working(jobs) {
                try await stage.ended(late, as: "Expired")
                try await stage.completed(early)
                try await stage.completed(due.id)
            }
            let attempt = try #require(try await stage.records.attempts(of: late).first)
            #expect(attempt["err"] == "Expired" && attempt["num"] == "0")
            #expect(try await stage.records.stats()["expired"] == 1)
        }
    }

    // MARK: Delivery

    @Test("delivery: an attempt whose worker vanished is repeated or not, as the job, its class or the worker says")
    func delivery() async throws {
        let stuck = Told()
        var jobs = JobRegistry()
        jobs.register("Plain", raw: { _, context in stuck.tell(context.jobID) })
        jobs.register(
            "Once",
            options: JobOptions(delivery: .atMostOnce),
            raw: { _, context in stuck.tell(context.jobID) }
        )
        let options = try WorkerOptions(queues: .strict(["default"]), fibers: 10, delivery: .atMostOnce)
        try await OptionStage.with(jobs, options: options) { stage in
            let own = try await stage.manager.enqueue("Once", options: JobOptions(delivery: .atLeastOnce)).id
            let ofClass = try await stage.manager.enqueue("Once").id
            let ofWorker = try await stage.manager.enqueue("Plain").id
            for job in [own, ofClass, ofWorker] { try await stage.completed(job) }
            #expect(try await stage.records.attempts(of: own)[0]["dlv"] == nil)
            #expect(try await stage.records.attempts(of: ofClass)[0]["dlv"] == "amo")
            #expect(try await stage.records.attempts(of: ofWorker)[0]["dlv"] == "amo")
        }
    }

    // MARK: Uniqueness

    private struct Report: Job {
        static let options = JobOptions(unique: .unique(for: .seconds(60)))
        var day: Int
        func perform(_ context: JobContext) async throws {}
    }

    @Test("unique: a second one returns the first one's ID and is marked as a duplicate")
    func unique() async throws {
        try await OptionStage.withServer { stage in
            let first = try await stage.manager.enqueue(Report(day: 1))
            let second = try await stage.manager.enqueue(Report(day: 1))
            #expect(!first.isDuplicate && second.isDuplicate && second.id == first.id)
            #expect(try await !stage.manager.enqueue(Report(day: 2)).isDuplicate)
            #expect(try await !stage.manager.enqueue(Report(day: 1), queue: "other").isDuplicate)
            let keyed = JobOptions(unique: .unique(for: .seconds(60), by: .key("daily")))
            #expect(try await !stage.manager.enqueue(Report(day: 1), options: keyed).isDuplicate)
            #expect(try await stage.manager.enqueue(Report(day: 3), options: keyed).isDuplicate)
            let many = try await stage.manager.enqueue(contentsOf: [1, 4, 4, 5].map(Report.init(day:)))
            #expect(many.map(\.isDuplicate) == [true, false, true, false] && many[1].id == many[2].id)
            var jobs = JobRegistry()
            jobs.register(Report.self)
            try await stage.working(jobs) { try await stage.completed(first.id) }
            #expect(try await !stage.manager.enqueue(Report(day: 1)).isDuplicate, "the outcome has released it")
        }
    }

    @Test("unique: the lock has a time to live, from when the job is due")
    func lockExpires() async throws {
        try await OptionStage.withServer { stage in
            let short = JobOptions(unique: .unique(for: .seconds(3)))
            let first = try await stage.manager.enqueue("C", options: short)
            #expect(try await stage.manager.enqueue("C", options: short).id == first.id)
            try await eventually("the lock is gone") {
                try await !stage.manager.enqueue("C", options: short).isDuplicate
            }
            let later = try await stage.manager.enqueue("D", in: .seconds(3600), options: short).id
            let digest = try #require(try await stage.records.job(later)["unq"])
            let left = try await stage.records("PTTL", stage.records.keys.lock(digest)).int
            #expect((3_590_000...3_603_000).contains(left))
        }
    }

    @Test("unique: many producers at once queue one job")
    func racing() async throws {
        try await OptionStage.withServer { stage in
            let options = JobOptions(unique: .unique(for: .seconds(60)))
            let handles = try await withThrowingTaskGroup(of: JobHandle<Void>.self) { group in
                for _ in 0..<100 { group.addTask { try await stage.manager.enqueue("C", options: options) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(handles.map(\.id)).count == 1 && handles.count { !$0.isDuplicate } == 1)
            #expect(try await stage.records.ready() == 1)
        }
    }
}
