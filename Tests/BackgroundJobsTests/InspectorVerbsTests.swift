import BackgroundRedis
import Foundation
import Logging
import TestSupport
import Testing

@testable import BackgroundJobs

/// What the inspector does to jobs on a real Redis.
@Suite struct InspectorVerbsTests {
    private static let starting = Task { try await RedisServer.start(tcp: false) }

    /// A namespace of its own, with an inspector and a manager.
    private struct Bench {
        let inspector: Inspector
        let manager: Manager
        let records: Records

        func key(_ name: String) -> String { "\(inspector.namespace):\(name)" }

        /// Dead jobs, each with a failed attempt `a-` and its ID; the n-th died at the time n / `ties`.
        func dead(_ ids: [String], _ className: String = "C", error: String = "E", ties: Int = 1) async throws {
            try await records.send(
                ids.enumerated().flatMap { index, id in
                    let time = "\(index / ties)"
                    return [
                        [
                            "HSET", key("jobs:\(id)"), "que", "q", "cls", className, "arg", "{}", "las", "a-\(id)",
                            "end", "Dead",
                        ],
                        ["HSET", key("attempts:a-\(id)"), "job", id, "que", "q", "fin", "1", "err", error],
                        ["ZADD", key("dead:q"), time, id], ["ZADD", key("failed:q"), time, "a-\(id)"],
                    ]
                }
            )
        }

        func ready() async throws -> [String] { try await records("LRANGE", key("ready:q"), "0", "-1").texts }
    }

    private func with(_ body: (Bench) async throws -> Void) async throws {
        let server = try await Self.starting.value
        let redis = RedisOptions(
            url: server.url,
            namespace: "t\(UInt32.random(in: 0 ... .max))",
            connectTimeout: .seconds(30)
        )
        let bench = try Bench(
            inspector: Inspector(redis: redis),
            manager: Manager(redis: redis),
            records: Records(url: server.url, namespace: redis.namespace)
        )
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(bench))
        } catch {
            result = .failure(error)
        }
        await bench.inspector.close()
        await bench.manager.close()
        await bench.records.close()
        try result.get()
    }

    // MARK: Walking through a set

    @Test func aWalkSeesEveryMemberOnceInOrder() async throws {
        try await with { bench in
            for ties in [1, 7, 400] {
                let members = (0..<400).map { "m\(1000 + $0)" }
                try await bench.records.send([["DEL", bench.key("z")]])
                try await bench.records.send(
                    members.enumerated().map { ["ZADD", bench.key("z"), "\($0.offset / ties)", $0.element] }
                )
                var walk = try await SortedSetWalk(bench.key("z"), pageSize: 10, in: bench.inspector)
                var seen: [String] = []
                while case let page = try await walk.next(in: bench.inspector), !page.isEmpty { seen += page }
                #expect(seen == members, "\(ties) of a score")
            }
        }
    }

    /// Others take members out, before and behind the place where the walk is, and add some.
    @Test func aWalkMissesNothingThatStays() async throws {
        try await with { bench in
            var generator = SystemRandomNumberGenerator()
            for round in 0..<12 {
                let ties = [1, 3, 50, 1000][round % 4]
                let members = (0..<300).map { "m\(1000 + $0)" }
                try await bench.records.send([["DEL", bench.key("z")]])
                try await bench.records.send(
                    members.enumerated().map { ["ZADD", bench.key("z"), "\($0.offset / ties)", $0.element] }
                )
                var walk = try await SortedSetWalk(
                    bench.key("z"),
                    pageSize: Int.random(in: 2...20),
                    in: bench.inspector
                )
                var (seen, staying): ([String], Set<String>) = ([], Set(members))
                while case let page = try await walk.next(in: bench.inspector), !page.isEmpty {
                    seen += page
                    let own = Bool.random(using: &generator) ? page : []
                    let others = (0..<Int.random(in: 0...15)).compactMap { _ in members.randomElement(using: &generator)
                    }
                    staying.subtract(own + others)
                    try await bench.records.send([
                        ["ZREM", bench.key("z"), "-"] + own + others,
                        ["ZADD", bench.key("z"), "99999", "late\(seen.count)"],
                    ])
                }
                #expect(Set(seen).count == seen.count)
                #expect(staying.isSubset(of: seen), "\(ties) of a score")
                // What came to the end after the start is left alone.
                #expect(!seen.contains { $0.hasPrefix("late") })
            }
        }
    }

    // MARK: All of a list

    @Test func retriesAllInStepsAndTellsHowFarItIs() async throws {
        try await with { bench in
            let ids = (0..<1200).map { "j\(10000 + $0)" }
            try await bench.dead(ids, ties: 5)
            var steps: [BulkProgress] = []
            let result = try await bench.inspector.retryAll(queue: "q") { steps.append($0) }
            #expect(steps.map(\.seen) == [500, 1000, 1200])
            #expect(steps.map(\.done) == [500, 1000, 1200])
            #expect(steps.allSatisfy { $0.total == 1200 })
            #expect(result == steps.last)
            #expect(try await bench.ready() == ids)
            #expect(try await bench.records.dead("q") == [])
            let again = try await bench.inspector.retryAll(queue: "q")
            #expect(again == BulkProgress())
        }
    }

    @Test func retriesTheJobsOfAttemptsOnceEach() async throws {
        try await with { bench in
            try await bench.dead(["j1", "j2"])
            let more = (0..<600).map { "b\($0)" }
            try await bench.records.send(
                more.flatMap { id in
                    [
                        ["HSET", bench.key("attempts:\(id)"), "job", "j1", "err", "E"],
                        ["ZADD", bench.key("failed:q"), "9", id],
                    ]
                } + [["ZADD", bench.key("failed:q"), "10", "gone"]]
            )
            let result = try await bench.inspector.retryAll(in: .failed, queue: "q")
            #expect(result.total == 603 && result.matched == 603 && result.done == 2 && result.left == 1)
            #expect(try await bench.ready() == ["j1", "j2"])
        }
    }

    @Test(
        arguments: [
            (JobFilter(), 6), (JobFilter(className: "Mail"), 2), (JobFilter(className: "Mail*"), 4),
            (JobFilter(error: "E1"), 3),
            (JobFilter(error: "E*"), 6), (JobFilter(className: "*", error: "E2"), 3),
            (JobFilter(className: "Mail", error: "E2"), 1),
            (JobFilter(className: "mail"), 0), (JobFilter(error: "E"), 0),
        ]
    )
    func filtersByClassAndError(filter: JobFilter, count: Int) async throws {
        try await with { bench in
            for className in ["Mail", "Mail.Send", "Nap"] {
                for error in ["E1", "E2"] { try await bench.dead(["\(className)-\(error)"], className, error: error) }
            }
            for list in [JobList.dead, .failed] {
                let page = try await bench.inspector.jobs(in: list, queue: "q", matching: filter)
                #expect(page.entries.count == count && page.next == nil)
            }
            let result = try await bench.inspector.deleteAll(queue: "q", matching: filter)
            #expect(result.total == 6 && result.seen == 6 && result.matched == count && result.done == count)
            #expect(try await bench.records.dead("q").count == 6 - count)
            let rest = try await bench.inspector.retryAll(in: .failed, queue: "q", matching: filter)
            #expect(rest.done == 0)
        }
    }

    @Test func pagesOfFilteredListsGoOnWhereTheyStopped() async throws {
        try await with { bench in
            try await bench.dead((0..<450).map { "a\(1000 + $0)" }, "A")
            try await bench.dead((0..<450).map { "b\(1000 + $0)" }, "B")
            var (seen, offset): ([String], Int?) = ([], 0)
            while let at = offset {
                let page = try await bench.inspector.jobs(
                    in: .dead,
                    queue: "q",
                    limit: 7,
                    offset: at,
                    matching: JobFilter(className: "B")
                )
                #expect(page.entries.count <= 7)
                seen += page.entries.compactMap(\.id)
                offset = page.next
            }
            #expect(seen == (0..<450).reversed().map { "b\(1000 + $0)" })
        }
    }

    @Test func deletesAttemptsButNotTheLastOnesOfDeadJobs() async throws {
        try await with { bench in
            try await bench.dead((0..<700).map { "d\($0)" })
            let ids = (0..<700).map { "x\($0)" }
            try await bench.records.send(ids.map { ["ZADD", bench.key("failed:q"), "5", $0] })
            let result = try await bench.inspector.deleteAll(in: .failed, queue: "q")
            #expect(result.total == 1400 && result.seen == 1400 && result.done == 700 && result.left == 700)
            #expect(try await bench.records.failed("q").count == 700)
        }
    }

    @Test func refusesListsThatCannotBeMeant() async throws {
        try await with { bench in
            for list in JobList.allCases where list != .dead && list != .failed {
                await #expect(throws: BackgroundError.self) { try await bench.inspector.retryAll(in: list, queue: "q") }
            }
            for list in [JobList.ready, .scheduled, .processing, .suspects] {
                await #expect(throws: BackgroundError.self) {
                    try await bench.inspector.deleteAll(in: list, queue: "q")
                }
                await #expect(throws: BackgroundError.self) { try await bench.inspector.delete(["a"], from: list) }
            }
            await #expect(throws: BackgroundError.self) { try await bench.inspector.retryAll(queue: "a:b") }
            await #expect(throws: BackgroundError.self) {
                try await bench.inspector.delete(["a"], from: .dead, queue: "a:b")
            }
            for ids in [["a b"], ["ok", ""]] {
                await #expect(throws: BackgroundError.self) { try await bench.inspector.retry(ids) }
                await #expect(throws: BackgroundError.self) { try await bench.inspector.retry(attempts: ids) }
                await #expect(throws: BackgroundError.self) { try await bench.inspector.delete(ids, from: .dead) }
                await #expect(throws: BackgroundError.self) { try await bench.inspector.cancel(ids[ids.count - 1]) }
                await #expect(throws: BackgroundError.self) {
                    try await bench.inspector.copy(ids[ids.count - 1], arguments: "{}")
                }
            }
        }
    }

    @Test func tellsWhatIsDamagedAndGoesOn() async throws {
        try await with { bench in
            let ids = (0..<30).map { "j\(100 + $0)" }
            try await bench.dead(ids)
            try await bench.records.send(
                ids.prefix(15).flatMap { [["DEL", bench.key("jobs:\($0)")], ["SET", bench.key("jobs:\($0)"), "x"]] }
            )
            let result = try await bench.inspector.retryAll(queue: "q")
            #expect(result.done == 15 && result.left == 15 && result.problems.count == 10)
            #expect(result.problems[0].contains(bench.key("jobs:j100")))
            #expect(try await bench.ready() == Array(ids.suffix(15)))
        }
    }

    @Test func hasDoneWhatItToldWhenRedisGoes() async throws {
        let server = try await RedisServer.start(options: ["--appendonly yes", "--appendfsync always"], tcp: false)
        let redis = RedisOptions(url: server.url, namespace: "t", connectTimeout: .milliseconds(100))
        let bench = try Bench(
            inspector: Inspector(
                redis: redis,
                logger: Logger(label: "quiet", factory: { _ in SwiftLogNoOpLogHandler() })
            ),
            manager: Manager(redis: redis),
            records: Records(url: server.url, namespace: "t")
        )
        try await bench.dead((0..<1200).map { "j\($0)" })
        var told: [Int] = []
        await #expect(throws: BackgroundError.self) {
            try await bench.inspector.retryAll(queue: "q") { progress in
                told.append(progress.done)
                server.kill()
            }
        }
        #expect(told == [500])
        try await server.restart()
        let patient = try Inspector(redis: RedisOptions(url: server.url, namespace: "t", connectTimeout: .seconds(30)))
        #expect(try await patient.retryAll(queue: "q").done == 700)
        #expect(try await bench.ready().count == 1200)
        await patient.close()
        await bench.inspector.close()
        await bench.manager.close()
        await bench.records.close()
        await server.stop()
    }

    // MARK: Single jobs

    @Test func cancelsLikeTheManager() async throws {
        try await with { bench in
            let waiting = try await bench.manager.enqueue("C", queue: "q").id
            try await bench.dead(["d"])
            #expect(try await bench.inspector.cancel(waiting) == .cancelled)
            #expect(try await bench.inspector.cancel(waiting) == .ended)
            #expect(try await bench.inspector.cancel("d") == .ended)
            await #expect { try await bench.inspector.cancel("nobody") } throws: {
                ($0 as? BackgroundError)?.code == .jobNotFound
            }
            let history = try #require(try await bench.inspector.job(waiting))
            #expect(history.job.state == .ended(how: "Cancelled") && history.attempts.map(\.number) == [0])
        }
    }

    @Test func retriesManyByID() async throws {
        try await with { bench in
            let ids = (0..<1100).map { "j\($0)" }
            try await bench.dead(ids)
            let verdicts = try await bench.inspector.retry(ids + ["nobody", "j0"])
            #expect(verdicts == ids.map { _ in .queued } + [.missing, .waiting])
            #expect(try await bench.inspector.retry([]) == [])
            #expect(try await bench.inspector.retry(attempts: ["a-j1", "none"]) == [.waiting, .missing])
        }
    }

    @Test func deletesManyByID() async throws {
        try await with { bench in
            let ids = (0..<600).map { "j\($0)" }
            try await bench.dead(ids)
            #expect(try await bench.inspector.delete(["a-j0", "none"], from: .failed) == [.kept, .missing])
            #expect(
                try await bench.inspector.delete(ids + ["nobody"], from: .dead) == ids.map { _ in .deleted } + [
                    .missing
                ]
            )
            #expect(try await bench.records.dead("q") == [])
            #expect(try await bench.records.failed("q") == [])
        }
    }

    @Test func aCopyHasTheOptionsAndNoHistory() async throws {
        try await with { bench in
            let options = JobOptions(
                retries: 2,
                backoff: .fixed(.seconds(1)),
                timeout: .seconds(5),
                expires: .seconds(60),
                unique: .unique(for: .seconds(60))
            )
            let id = try await bench.manager.enqueue("C", arguments: "[1]", queue: "q", options: options).id
            try await bench.records.send([["HSET", bench.key("jobs:\(id)"), "ers", "1", "crm", "garbage"]])
            let copy = try await bench.inspector.copy(id, arguments: "[2]")
            let job = try #require(try await bench.inspector.job(copy)?.job)
            #expect(job.state == .ready && job.arguments?.text == "[2]" && job.origin == id && job.className == "C")
            #expect(job.retries == 2 && job.backoff == "fixed:1000" && job.timeLimit == .seconds(5))
            #expect(job.uniqueDigest == nil && job.expiresAt == nil && job.errors == 0 && job.crashRetries == nil)
            let origin = try #require(try await bench.inspector.job(id)?.job)
            #expect(origin.uniqueDigest != nil && origin.expiresAt != nil && origin.origin == nil)

            await #expect { try await bench.inspector.copy("nobody", arguments: "{}") } throws: {
                ($0 as? BackgroundError)?.code == .jobNotFound
            }
            await #expect {
                try await bench.inspector.copy(id, arguments: String(repeating: "1", count: 1 << 20 + 1))
            } throws: {
                ($0 as? BackgroundError)?.code == .invalidArgument
            }
            try await bench.records.send([["HSET", bench.key("jobs:half"), "que", "q"]])
            await #expect { try await bench.inspector.copy("half", arguments: "{}") } throws: {
                ($0 as? BackgroundError)?.code == .damaged
            }
        }
    }

    @Test func readsTheFieldsOfTheOptions() async throws {
        try await with { bench in
            try await bench.records.send([
                [
                    "HSET", bench.key("jobs:j"), "que", "q", "cls", "C", "ret", "0", "bck", "list:1,2", "rfr",
                    "3600000", "rqu",
                    "r", "tmo", "1", "exp", "253402300799999", "dlv", "amo", "crm", "all", "crw", "0", "unq", "d",
                    "unu",
                    "started", "ori", "o", "cnl", "1",
                ], ["RPUSH", bench.key("ready:q"), "j"],
            ])
            let single = try #require(try await bench.inspector.job("j")?.job)
            let listed = try #require(try await bench.inspector.jobs(in: .ready, queue: "q").entries[0].job)
            for job in [single, listed] {
                #expect(job.retries == 0 && job.backoff == "list:1,2" && job.retryFor == .seconds(3600))
                #expect(job.retryQueue == "r" && job.timeLimit == .milliseconds(1) && job.delivery == "amo")
                #expect(job.expiresAt?.milliseconds == 253_402_300_799_999)
                #expect(job.crashRetries == "all" && job.crashWindow == .zero && job.isCancelRequested)
                #expect(job.uniqueDigest == "d" && job.uniqueUntil == "started" && job.origin == "o")
                #expect(job.otherFields.isEmpty)
            }
            let json = String(decoding: try JSONEncoder().encode(single), as: UTF8.self)
            for name in [
                "retries", "backoff", "retryForMilliseconds", "retryQueue", "timeLimitMilliseconds", "expiresAt",
                "delivery",
                "crashRetries", "crashWindowMilliseconds", "uniqueDigest", "uniqueUntil", "origin", "isCancelRequested",
            ] { #expect(json.contains("\"\(name)\":"), "\(name)") }
        }
    }

    @Test func namesTheKeyOfAWrongType() async throws {
        try await with { bench in
            // Of the places there are many.
            for list in JobList.allCases where list != .placed {
                let key = bench.key("\(list.rawValue):q")
                try await bench.records.send([["SET", key, "no list"]])
                await #expect { try await bench.inspector.jobs(in: list, queue: "q") } throws: {
                    ($0 as? BackgroundError)?.message.contains(key) == true
                }
            }
            try await bench.records.send([["SET", bench.key("jobs:j"), "no hash"]])
            await #expect { try await bench.inspector.job("j") } throws: {
                ($0 as? BackgroundError)?.message.contains(bench.key("jobs:j")) == true
            }
        }
    }

    @Test func aCopyHasTheHeaders() async throws {
        try await with { bench in
            let id = try await bench.manager.enqueue("C", queue: "q").id
            try await bench.records.send([["HSET", bench.key("jobs:\(id)"), "hdr", #"{"tenant":"acme"}"#]])
            let copy = try await bench.inspector.copy(id, arguments: "[2]")
            #expect(try await bench.records("HGET", bench.key("jobs:\(copy)"), "hdr").text == #"{"tenant":"acme"}"#)
        }
    }
}
