import BackgroundRedis
import Logging
import NIOPosix
import TestSupport
import Testing

@testable import BackgroundJobs

private let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

@Suite("Awaiting jobs", .timeLimit(.minutes(20)))
struct AwaitingTests {
    private func isAwaited(_ job: String, _ stage: OptionStage) async throws {
        try await eventually("\(job) is awaited") {
            try await !stage.records("SMEMBERS", "bg:awaited:\(job)").texts.isEmpty
        }
    }

    private func dropWaitingConnection(_ stage: OptionStage) async throws {
        let client = try #require(try await stage.records.clients(named: "bg-manager-wait").first)
        try await stage.records("CLIENT", "KILL", "ID", "\(client.id)")
    }

    @Test("a job that is damaged fails those who await it, and nobody else, when the connection is made again")
    func damaged() async throws {
        try await OptionStage.withServer { stage in
            let (good, bad) = (try await stage.manager.enqueue("A"), try await stage.manager.enqueue("B"))
            async let end = good.end(within: .seconds(60))
            async let error = #expect(throws: BackgroundError.self) { try await bad.end(within: .seconds(60)) }
            for handle in [good, bad] { try await isAwaited(handle.id, stage) }
            try await stage.records("SET", "bg:jobs:\(bad.id)", "text")
            try await dropWaitingConnection(stage)
            try await eventually("it listens again") {
                try await !stage.records.clients(named: "bg-manager-wait").isEmpty
            }
            try await stage.manager.cancel(good.id)
            #expect(try await end.end == "Cancelled")
            let failure = await error
            #expect(failure?.code == .damaged && failure?.message.contains(bad.id) == true)
        }
    }

    @Test("of a Redis that lost all data, scripts included, is told of, though no connection breaks")
    func lostData() async throws {
        try await OptionStage.withServer { stage in
            try await withRedisStore(stage.server) { store in
                let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
                let notes = try RedisNotes(
                    stage.redis,
                    store: store,
                    eventLoop: eventLoop,
                    logger: quiet,
                    time: .seconds(3)
                )
                let awaiting = Awaiting(store: store, source: notes)
                let job = try await stage.manager.enqueue("A").id
                async let end = awaiting.end(of: job, within: .seconds(60))
                try await isAwaited(job, stage)
                try await stage.records.send([["SCRIPT", "FLUSH"], ["FLUSHALL"]])
                #expect(try await end.end == "Missing")
                await awaiting.close()
            }
        }
    }

    @Test("ends when what was cleared, dequeued or trimmed is awaited")
    func gone() async throws {
        try await OptionStage.withServer { stage in
            let inspector = try Inspector(redis: stage.redis, logger: quiet)
            let cleared = try await stage.manager.enqueue("A", queue: "clear")
            let dequeued = try await stage.manager.enqueue("A", queue: "other")
            async let first = cleared.end(within: .seconds(60))
            async let second = dequeued.end(within: .seconds(60))
            for handle in [cleared, dequeued] { try await isAwaited(handle.id, stage) }
            _ = try await stage.manager.dequeue(dequeued.id)
            _ = try await inspector.clear(queue: "clear")
            #expect(try await first.end == "Missing")
            #expect(try await second.end == "Missing")
            #expect(try await cleared.end().end == "Missing")
            await inspector.close()
        }
    }

    @Test("a time limit holds while Redis is away")
    func away() async throws {
        try await OptionStage.withServer { stage in
            let handle = try await stage.manager.enqueue("A")
            let manager = try Manager(
                redis: RedisOptions(url: "redis://127.0.0.1:1", connectTimeout: .seconds(100)),
                logger: quiet
            )
            let error = await #expect(throws: BackgroundError.self) {
                try await manager.handle(for: handle.id).value(within: .milliseconds(50))
            }
            #expect(error?.code == .timedOut || error?.code == .unavailable)
            await manager.close()
        }
    }

    @Test("leaves nothing behind when the manager is closed")
    func memory() async throws {
        try await OptionStage.withServer { stage in
            weak var awaiting: Awaiting?
            do {
                let manager = try Manager(redis: stage.redis, logger: quiet)
                awaiting = manager.awaiting
                let handle = try await manager.enqueue("A")
                async let end = handle.end()
                try await isAwaited(handle.id, stage)
                try await manager.cancel(handle.id)
                #expect(try await end.end == "Cancelled")
                await manager.close()
            }
            try await eventually("it is gone") { awaiting == nil }
        }
    }

    @Test("a Redis that answers nobody yet is asked again")
    func loading() async throws {
        let asked = Counter()
        let note = #"{"job":"j","end":"Completed"}"#
        let server = try await FakeServer.start { _, command in
            if let answer = FakeServer.handshake(command) { return answer }
            switch command[0].uppercased() {
            case "SCRIPT":
                return .text("$40\r\n\(String(repeating: "a", count: 40))\r\n")
            case "EVALSHA":
                return asked.next() <= 3
                    ? .text("-LOADING Redis is loading the dataset in memory\r\n")
                    : .text("*1\r\n$\(note.utf8.count)\r\n\(note)\r\n")
            default: return .silence
            }
        }
        let manager = try Manager(redis: RedisOptions(url: server.url), logger: quiet)
        let end = try await manager.handle(for: "j").end(within: .seconds(60))
        #expect(end.isCompleted)
        await manager.close()
        await server.stop()
    }
}
