import BackgroundJobs
import BackgroundRedis
import Foundation
import Logging
import Synchronization
import TestSupport
import Testing

struct Greet: Job {
    static let name = "Jobs::Greet"
    var greeting = "hello"
    func perform(_ context: JobContext) async throws {}
}

struct Refuse: Job {
    struct NotToday: Error {}
    func perform(_ context: JobContext) async throws { throw NotToday() }
}

@Suite("A worker", .timeLimit(.minutes(1)))
struct WorkerTests {
    @Test("runs a job and writes down the attempt")
    func runsAJob() async throws {
        let server = try await RedisServer.start()
        let redis = RedisOptions(url: server.url)
        let (events, sink) = AsyncStream.makeStream(of: String.self)
        var jobs = JobRegistry()
        jobs.register("Jobs::Greet") { (greet: Greet, context: JobContext) in
            sink.yield("\(greet.greeting) \(context.jobID)")
        }
        jobs.register(Refuse.self)
        var logger = Logger(label: "test")
        logger.logLevel = .debug
        let worker = try Worker(
            WorkerOptions(queues: .strict(["default"]), fibers: 10),
            redis: redis,
            jobs: jobs,
            logger: logger
        )
        try await worker.withRunning {
            try await withManager(redis: redis) { manager in
                let id = try await manager.enqueue(Greet(greeting: "hi")).id
                var iterator = events.makeAsyncIterator()
                #expect(await iterator.next() == "hi \(id)")
                try await manager.enqueue(Refuse())
                for _ in 0..<1000 { try await manager.enqueue(Greet()) }
                for _ in 0..<1000 { _ = await iterator.next() }
            }
        }
        print(try await server.command("KEYS", "bg:*:*").array?.count ?? 0)
        print(try await server.command("HGETALL", "bg:stats:default"))
        print(try await server.command("ZCARD", "bg:completed:default"))
        await server.stop()
    }
}
