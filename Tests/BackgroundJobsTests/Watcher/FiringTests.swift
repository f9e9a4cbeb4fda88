import Foundation
import Logging
import TestSupport
import Testing

@testable import BackgroundJobs

/// Watchers that fire periodic jobs on a real Redis.
@Suite("Firing", .timeLimit(.minutes(20)))
struct FiringTests {
    private static let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

    /// A Redis, and what it takes to look at it and to run a watcher.
    struct Bench {
        let server: RedisServer
        let records: Records
        let inspector: Inspector
        let log = Notes()

        func watching(interval: Duration = .milliseconds(100), _ body: () async throws -> Void) async throws {
            let logger = Logger(label: "test") { [log] _ in NotingLogHandler(notes: log) }
            let watcher = try Watcher(
                WatcherOptions(interval: interval),
                redis: RedisOptions(url: server.url, connectTimeout: .seconds(30)),
                logger: logger
            )
            async let watching: Void = watcher.run()
            let result: Result<Void, any Error>
            do {
                result = .success(try await body())
            } catch {
                result = .failure(error)
            }
            watcher.stop()
            try await watching
            try result.get()
        }

        func ready(_ queue: String = "q") async throws -> [String] {
            try await records("LRANGE", records.keys.ready(queue), "0", "-1").texts
        }

        /// The times that jobs in a queue were fired for, ms.
        func times(_ queue: String = "q") async throws -> [Int] {
            var times: [Int] = []
            for job in try await ready(queue) { times.append(Int(try await records.job(job)["due"] ?? "") ?? -1) }
            return times
        }

        func now() async throws -> Int {
            let time = try await records("TIME").texts
            return (Int(time[0]) ?? 0) * 1000 + (Int(time[1]) ?? 0) / 1000
        }
    }

    private static func with(_ body: (Bench) async throws -> Void) async throws {
        let server = try await RedisServer.start(tcp: false)
        let bench = Bench(
            server: server,
            records: try Records(url: server.url),
            inspector: try Inspector(redis: RedisOptions(url: server.url, connectTimeout: .seconds(30)), logger: quiet)
        )
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(bench))
        } catch {
            result = .failure(error)
        }
        await bench.inspector.close()
        await bench.records.close()
        await server.stop()
        try result.get()
    }

    @Test("happens at each time, and ends with the count")
    func fires() async throws {
        try await Self.with { bench in
            let job = try PeriodicJob("p", .every(.milliseconds(200)), className: "C", queue: "q", count: 5)
            try await bench.watching {
                try await bench.inspector.declare(job)
                try await eventually("it has ended") { try await bench.inspector.periodicJob("p")?.state == .ended }
            }
            let times = try await bench.times()
            #expect(times.count == 5)
            for (time, next) in zip(times, times.dropFirst()) { #expect((next - time) % 200 == 0 && next > time) }
            let record = try #require(try await bench.inspector.periodicJob("p"))
            #expect(record.fired == 5 && record.end == "count" && record.next == nil && record.nextTimes(5).isEmpty)
        }
    }

    @Test("comes at its time, not when the interval is over")
    func punctual() async throws {
        try await Self.with { bench in
            try await bench.watching(interval: .seconds(5)) {
                for name in ["a", "b", "c"] {
                    let job = try PeriodicJob(name, .every(.milliseconds(250)), className: "C", queue: name)
                    try await bench.inspector.declare(job)
                }
                try await eventually("they are fired again and again") { try await bench.ready("c").count >= 10 }
            }
            var late: [Int] = []
            var gaps: [Int] = []
            for name in ["a", "b", "c"] {
                let times = try await bench.times(name)
                gaps += zip(times, times.dropFirst()).map { $1 - $0 }
                for (job, time) in zip(try await bench.ready(name), times) {
                    late.append((Int(try await bench.records.job(job)["qat"] ?? "") ?? 0) - time)
                }
            }
            #expect(late.allSatisfy { $0 >= 0 }, "never early")
            // A busy machine may be late now and then; whoever waits for the interval leaves out nearly all.
            #expect(gaps.count { $0 == 250 } > gaps.count / 2, "\(gaps)")
        }
    }

    @Test("after an outage is for the last missed time, or for none, and never for all")
    func outage() async throws {
        try await Self.with { bench in
            for missed in MissedTimes.allCases {
                for (name, schedule) in [
                    ("hour", PeriodicSchedule.cron("0 * * * *")), ("day", .every(.seconds(86_400))),
                ] {
                    let job = try PeriodicJob(
                        "\(name)-\(missed)",
                        schedule,
                        className: "C",
                        queue: "\(missed)",
                        missed: missed
                    )
                    try await bench.inspector.declare(job)
                }
            }
            // Nobody watched for three days and some hours.
            let now = try await bench.now()
            let hour = now / 3_600_000 * 3_600_000
            let day = now - 3 * 86_400_000 - 7_000_000
            for missed in MissedTimes.allCases {
                try await bench.records(
                    "ZADD",
                    bench.records.keys.periodics,
                    "\(hour - 72 * 3_600_000)",
                    "hour-\(missed)",
                    "\(day)",
                    "day-\(missed)"
                )
            }
            try await bench.watching {
                try await eventually("all are in the future") {
                    try await bench.inspector.periodicJobs().allSatisfy {
                        $0.next.map { $0.milliseconds > Int64(now) } ?? false
                    }
                }
            }
            let after = try await bench.now()
            guard after / 3_600_000 == now / 3_600_000, now - hour > 15_000 else { return }  // the hour has just begun
            #expect(try await bench.times("once").sorted() == [day + 3 * 86_400_000, hour].sorted())
            #expect(try await bench.ready("none") == [])
            let records = try await bench.inspector.periodicJobs()
            #expect(records.filter { $0.missed == .none }.allSatisfy { $0.fired == 0 })
            #expect(bench.log.all.contains { $0.contains("since it was missed") })
            #expect(bench.log.all.contains { $0.contains("the last one is run now") })
        }
    }

    @Test("of a damaged one is reported, holds up no other, and takes no more looks than the interval has")
    func damaged() async throws {
        try await Self.with { bench in
            let keys = bench.records.keys
            let bad: [(String, [String])] = [
                ("no-hash", []), ("no-class", ["exp", "@daily", "que", "q"]),
                ("expression", ["exp", "x", "cls", "C", "que", "q"]),
                ("zone", ["exp", "@daily", "tz", "Mars", "cls", "C", "que", "q"]),
                ("queue", ["exp", "@daily", "cls", "C", "que", "a b"]),
                ("until", ["exp", "@daily", "cls", "C", "que", "q", "unt", "soon"]),
                ("count", ["exp", "@daily", "cls", "C", "que", "q", "cnt", "few"]),
                ("ready", ["exp", "@daily", "cls", "C", "que", "broken"]), ("not a name", ["exp", "@daily"]),
            ]
            for (name, fields) in bad {
                if !fields.isEmpty { try await bench.records.send([["HSET", keys.periodic(name)] + fields]) }
                try await bench.records("ZADD", keys.periodics, "1", name)
            }
            try await bench.records("SET", keys.periodic("string"), "x")
            try await bench.records("ZADD", keys.periodics, "-inf", "string")
            try await bench.records("SET", keys.ready("broken"), "x")
            try await bench.records("CONFIG", "RESETSTAT")
            try await bench.watching {
                try await bench.inspector.declare(
                    PeriodicJob("good", .every(.milliseconds(100)), className: "C", queue: "q")
                )
                try await eventually("the good one is fired") { try await bench.ready().count >= 10 }
                let calls = try await bench.records("INFO", "commandstats").text ?? ""
                let match = try #require(calls.firstRange(of: "cmdstat_zrangebyscore:calls="))
                let looks = Int(calls[match.upperBound...].prefix { $0.isNumber }) ?? 0
                let fired = try await bench.ready().count
                #expect(looks < 40 * (fired + 20), "\(looks) looks for \(fired) firings")
                // What is repaired is fired.
                try await bench.records("DEL", keys.ready("broken"))
                try await eventually("the repaired one is fired") { try await bench.ready("broken").count == 1 }
            }
            for (name, _) in bad { #expect(bench.log.all.contains { $0.contains("“\(name)”") }, "\(name)") }
            #expect(bench.log.all.count { $0.contains("“zone”") } <= 3)
            let records = try await bench.inspector.periodicJobs()
            #expect(records.filter { $0.state == .damaged }.count >= 6)
            for (name, _) in bad where name != "not a name" && name != "ready" {
                try await bench.inspector.removePeriodic(name)
            }
            try await bench.inspector.removePeriodic("string")
        }
    }

    @Test("goes on when the key of all periodic jobs has been of another type")
    func wrongType() async throws {
        try await Self.with { bench in
            try await bench.records("SET", bench.records.keys.periodics, "x")
            try await bench.watching {
                try await eventually("it is told") {
                    bench.log.all.contains { $0.contains("Could not fire periodic jobs") }
                }
                try await bench.records("DEL", bench.records.keys.periodics)
                try await bench.inspector.declare(
                    PeriodicJob("p", .every(.milliseconds(100)), className: "C", queue: "q")
                )
                try await eventually("it is fired") { try await bench.ready().count >= 2 }
            }
        }
    }
}
