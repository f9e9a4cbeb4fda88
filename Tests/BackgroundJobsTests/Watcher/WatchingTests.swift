import BackgroundRedis
import Logging
import NIOPosix
import TestSupport
import Testing

@testable import BackgroundJobs

/// A watcher on a real Redis.
@Suite("Watching", .timeLimit(.minutes(20)))
struct WatchingTests {
    private static let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

    /// A connection with a name of a worker's, which says nothing more.
    private static func connection(_ server: RedisServer, _ name: String) throws -> RedisClient {
        RedisClient(
            RedisConfiguration(
                url: try RedisURL(server.url),
                clientName: name,
                commandTimeout: .seconds(30),
                heartbeatInterval: .seconds(600)
            ),
            eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
            logger: quiet
        )
    }

    private static func ping(_ client: RedisClient) async throws {
        var pipeline = Pipeline()
        pipeline.command("PING")
        _ = try await client.send(pipeline)
    }

    /// Runs a watcher that looks twenty times a second while something is done.
    private static func watching(
        _ server: RedisServer,
        keepFailed: Retention = Retention(age: nil, count: nil),
        _ body: (Records) async throws -> Void
    ) async throws {
        let watcher = try Watcher(
            WatcherOptions(
                interval: .milliseconds(50),
                deadAfter: .seconds(3),
                heartbeat: .seconds(1),
                grace: .milliseconds(200),
                secondLook: .milliseconds(100),
                keepFailed: keepFailed
            ),
            redis: RedisOptions(url: server.url, connectTimeout: .seconds(30)),
            logger: quiet
        )
        let records = try Records(url: server.url)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await watcher.run() }
            do {
                try await body(records)
            } catch {
                watcher.stop()
                throw error
            }
            watcher.stop()
            try await group.waitForAll()
        }
        await records.close()
    }

    /// A running attempt of a worker that is gone, and a job that is due.
    private static func leaveBehind(_ records: Records, queue: String) async throws {
        let keys = records.keys
        try await records.send([
            ["HSET", keys.job("run"), "que", queue, "cls", "X", "arg", "{}", "qat", "1", "att", "1", "las", "a"],
            [
                "HSET", keys.attempt("a"), "sta", "1", "job", "run", "wrk", "999999", "que", queue, "nod",
                "gone-1-00000000", "num", "1",
            ],
            ["SADD", keys.processing(queue), "a"],
            ["HSET", keys.job("due"), "que", queue, "cls", "X", "arg", "{}", "qat", "1"],
            ["ZADD", keys.scheduled(queue), "1", "due"],
        ])
    }

    enum Loss: CaseIterable { case wrongType, missing }

    @Test("goes on with the queues of connected workers where `queues` is damaged or lost", arguments: Loss.allCases)
    func queuesLost(_ loss: Loss) async throws {
        let server = try await RedisServer.start()
        let worker = try Self.connection(server, "bg-worker:here-1-00000000:10:q")
        try await Self.ping(worker)
        if loss == .wrongType { _ = try await server.command("SET", "bg:queues", "x") }
        try await Self.watching(server) { records in
            try await Self.leaveBehind(records, queue: "q")
            try await eventually("both are moved") {
                Set(try await records("LRANGE", records.keys.ready("q"), "0", "-1").texts) == ["run", "due"]
            }
            let expected = loss == .wrongType ? "string" : "set"
            #expect(try await records("TYPE", records.keys.queues).text == expected)
        }
        await worker.close()
        await server.stop()
    }

    @Test("goes on with the queues it knows when `queues` becomes damaged")
    func queuesDamagedLater() async throws {
        let server = try await RedisServer.start()
        _ = try await server.command("SADD", "bg:queues", "q")
        _ = try await server.command("ZADD", "bg:scheduled:q", "1", "first")
        _ = try await server.command("HSET", "bg:jobs:first", "que", "q", "cls", "X", "arg", "{}", "qat", "1")
        try await Self.watching(server) { records in
            try await eventually("it knows the queue") { try await records("LLEN", records.keys.ready("q")).int == 1 }
            try await records("DEL", records.keys.queues)
            try await records("SET", records.keys.queues, "x")
            try await Self.leaveBehind(records, queue: "q")
            try await eventually("both are moved") { try await records("LLEN", records.keys.ready("q")).int == 3 }
        }
        await server.stop()
    }

    @Test("ends a silent connection of a worker that vouches for nothing")
    func silentConnections() async throws {
        let server = try await RedisServer.start()
        let silent = try Self.connection(server, "bg-worker:here-1-00000000:10:q")
        let waiting = try Self.connection(server, "bg-worker-wait:here-1-00000000")
        let other = try Self.connection(server, "other-worker:here-1-00000000:10:q")
        for client in [silent, waiting, other] { try await Self.ping(client) }
        let before = [silent, waiting, other].map { $0.session?.number }
        try await Self.watching(server) { _ in
            try await eventually("both are ended") {
                zip([silent, waiting], before).allSatisfy { $0.session?.number != $1 }
            }
            #expect(other.session?.number == before[2])
        }
        for client in [silent, waiting, other] { await client.close() }
        await server.stop()
    }

    @Test("looks through the attempts that dead jobs keep once, not at every look")
    func deadJobsAreTrimmedCheaply() async throws {
        let server = try await RedisServer.start()
        let keep = Retention(age: .seconds(60), count: nil)
        try await Self.watching(server, keepFailed: keep) { records in
            let keys = records.keys
            let dead = (0..<1000).map { "d\($0)" }
            try await records.send(
                dead.flatMap { job in
                    [
                        ["HSET", keys.job(job), "que", "q", "cls", "X", "las", "a-\(job)", "end", "Dead"],
                        ["HSET", keys.attempt("a-\(job)"), "job", job, "que", "q"],
                    ]
                } + [["ZADD", keys.failed("q")] + dead.flatMap { ["1", "a-\($0)"] }]
            )
            try await records("SADD", keys.queues, "q")
            try await eventually("they were looked at") { try await Self.calls(records, "hmget") >= dead.count }
            let looks = try await Self.calls(records, "evalsha")
            let looked = try await Self.calls(records, "hmget")
            try await eventually("many more looks") { try await Self.calls(records, "evalsha") >= looks + 200 }
            #expect(try await Self.calls(records, "hmget") - looked < dead.count)
            #expect(try await records("ZCARD", keys.failed("q")).int == dead.count)

            // What may go behind them goes at once.
            try await records.send([
                ["HSET", keys.job("x"), "que", "q", "cls", "X", "las", "second", "end", "Completed"],
                ["HSET", keys.attempt("first"), "job", "x", "que", "q"],
                ["ZADD", keys.failed("q"), "2", "first"],
            ])
            try await eventually("it is removed", within: .seconds(20)) {
                try await records("EXISTS", keys.attempt("first")).int == 0
            }
            #expect(try await records("ZCARD", keys.failed("q")).int == dead.count)
        }
        await server.stop()
    }

    /// How often the server has carried out a command.
    private static func calls(_ records: Records, _ command: String) async throws -> Int {
        let info = try await records("INFO", "commandstats").text ?? ""
        guard let match = info.firstRange(of: "cmdstat_\(command):calls=") else { return 0 }
        return Int(info[match.upperBound...].prefix { $0.isNumber }) ?? 0
    }
}
