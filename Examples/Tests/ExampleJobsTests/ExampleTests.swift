import BackgroundJobs
import BackgroundJobsTesting
import ExampleJobs
import Foundation
import Logging
import Testing

@Suite("The examples", .timeLimit(.minutes(20)))
struct ExampleTests {
    private func queue(_ jobs: JobRegistry = exampleJobs(), mode: TestQueue.Mode = .manual) -> TestQueue {
        TestQueue(jobs, mode: mode, middleware: producerMiddleware)
    }

    @Test("a job has a result")
    func result() async throws {
        let counts = try await wordCount(of: "To be or not to be", queue(mode: .inline).manager)
        #expect(counts == ["to": 2, "be": 2, "or": 1, "not": 1])
    }

    @Test("an order is charged when its stock is reserved")
    func chain() async throws {
        let queue = queue()
        let order = try await place(order: 7, items: ["pen", "ink"], cents: 500, queue.manager)
        #expect(try await queue.drain().map(\.className) == ["ReserveStock", "ChargeCard"])
        #expect(try await order.last.value.hasPrefix("charged 500 for 2 items"))
    }

    @Test("an order that can't be charged is released")
    func failure() async throws {
        let queue = queue()
        let order = try await place(order: 8, items: ["piano"], cents: 500_000, queue.manager)
        #expect(try await queue.drain().map(\.className) == ["ReserveStock", "ChargeCard", "ReleaseStock"])
        let failed = await #expect(throws: JobFailed.self) { _ = try await order.last.value }
        #expect(failed?.end.end == "Dead")
    }

    @Test("an import is published once, when all rows have ended")
    func batch() async throws {
        let queue = queue()
        _ = try await importRows(["a", "b;c", ""], queue.manager)
        let runs = try await queue.drain()
        #expect(runs.filter { $0.className == "PublishImport" }.map { $0.record.output?.text } == [#""3 of 4 rows""#])
    }

    @Test("a job runs for the tenant who enqueued it")
    func middleware() async throws {
        let queue = queue(mode: .inline)
        let job = try await Tenant.$current.withValue("acme") { try await queue.manager.enqueue(WhoAmI()) }
        #expect(try await job.value == "acme")
    }

    @Test("the nightly job runs at three in Berlin")
    func periodic() async throws {
        var jobs = exampleJobs()
        jobs.declarePeriodicJobs()
        let start = try Date("2027-01-15T12:00:00Z", strategy: .iso8601)
        let queue = TestQueue(jobs, startingAt: start)
        let runs = try await queue.run(for: .seconds(86_400))
        #expect(runs.filter { (try? $0.job(CleanUp.self)?.days) == 30 }.map(\.startedAt) == [start + 14 * 3600])
        #expect(runs.count == 1 + 144)
    }

    @Test("a program runs its jobs without a server")
    func development() async throws {
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let options = WorkerOptions(queues: try .strict(["default"]), fibers: 4)
        let worker = try MemoryWorker(options, jobs: exampleJobs(), logger: logger)
        let counts = try await worker.withRunning { try await wordCount(of: "ink ink", worker.manager) }
        #expect(counts == ["ink": 2])
    }
}
