import BackgroundJobs
import Synchronization
import TestSupport
import Testing

@Suite("A worker", .timeLimit(.minutes(20)))
struct WorkerTests {
    private struct Greet: Job {
        static let name = "Jobs::Greet"
        var greeting = "hello"
        func perform(_ context: JobContext) async throws {}
    }

    private struct Refuse: Job {
        struct NotToday: Error {}
        static let options = JobOptions(retries: 0)
        func perform(_ context: JobContext) async throws { throw NotToday() }
    }

    @Test("runs jobs and writes down each attempt")
    func runsJobs() async throws {
        let heard = Mutex<[String: String]>([:])
        var jobs = JobRegistry()
        jobs.register("Jobs::Greet") { (greet: Greet, context: JobContext) in
            heard.withLock { $0[context.jobID] = greet.greeting }
        }
        jobs.register(Refuse.self)
        try await OptionStage.with(jobs) { stage in
            let polite = try await stage.manager.enqueue(Greet(greeting: "hi"))
            let refused = try await stage.manager.enqueue(Refuse())
            let many = try await stage.manager.enqueue(contentsOf: (0..<1000).map { Greet(greeting: "\($0)") })
            try await stage.ended(refused.id, as: "Dead")
            for handle in [polite] + many { try await stage.completed(handle.id) }
            let expected = [(polite.id, "hi")] + zip(many, 0...).map { ($0.id, "\($1)") }
            #expect(heard.withLock { $0 } == Dictionary(uniqueKeysWithValues: expected))
            #expect(try await stage.records.stats() == ["completed": 1001, "failed": 1, "dead": 1])
            let attempt = try #require(try await stage.records.attempts(of: polite.id).first)
            #expect(Set(attempt.keys) == ["sta", "job", "wrk", "que", "nod", "num", "fin", "time"])
            #expect(try await stage.errors(of: refused.id) == ["NotToday"])
        }
    }
}
