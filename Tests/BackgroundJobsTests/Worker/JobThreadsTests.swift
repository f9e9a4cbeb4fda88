import BackgroundJobs
import Foundation
import Logging
import Synchronization
import TestSupport
import Testing

/// Holds threads until it is opened.
private final class Door: Sendable {
    private let condition = NSCondition()
    private let isOpen = Atomic(false)

    func wait() {
        condition.lock()
        while !isOpen.load(ordering: .sequentiallyConsistent) { condition.wait() }
        condition.unlock()
    }

    func open() {
        condition.lock()
        isOpen.store(true, ordering: .sequentiallyConsistent)
        condition.broadcast()
        condition.unlock()
    }
}

@Suite("Jobs that block", .timeLimit(.minutes(20)))
struct JobThreadsTests {
    private func withWorker(
        threads: Int,
        fibers: Int = 20,
        killAfter: Duration = .seconds(10),
        width: Int = 1000,
        expectStall: Bool = false,
        _ body: @escaping @Sendable (Workshop, Door) async throws -> Void
    ) async throws {
        try await withWorkshop { shop in
            let door = Door()
            var jobs = JobRegistry()
            jobs.register("Blocks", execution: .thread) { (_: Workshop.None, context: JobContext) in
                shop.notes.add("begun \(context.jobID)")
                door.wait()
                shop.notes.add("over \(context.jobID)")
            }
            jobs.register("Sleeps") { (_: Workshop.None, context: JobContext) in
                shop.notes.add("begun \(context.jobID)")
                try await Task.sleep(for: .seconds(600))
            }
            jobs.register("Quick") { (_: Workshop.None, context: JobContext) in
                try await Task.sleep(for: .milliseconds(1))
                shop.notes.add("begun \(context.jobID)")
            }
            var options = WorkerOptions(
                queues: try .strict(["default"]),
                fibers: fibers,
                gracePeriod: .zero,
                killAfter: killAfter,
                threads: threads
            )
            options.poolWidth = width
            let logger = Logger(label: "test") { _ in NotingLogHandler(notes: shop.log) }
            let worker = try Worker(
                options,
                redis: RedisOptions(url: shop.server.url, connectTimeout: .seconds(30)),
                jobs: jobs,
                logger: logger
            )
            let run = Task { try await worker.run() }
            let result: Result<Void, any Error>
            do {
                result = .success(try await body(shop, door))
            } catch {
                result = .failure(error)
            }
            // A worker that leaves by itself has not waited for them.
            if !expectStall { door.open() }
            worker.stop()
            if expectStall {
                let error = await #expect(throws: BackgroundError.self) { try await run.value }
                #expect(error?.code == .stalled)
                door.open()
            } else {
                try await run.value
            }
            try result.get()
        }
    }

    @Test("hold up no other job, nor the worker, however many they are")
    func others() async throws {
        try await withWorker(threads: 8) { shop, door in
            var blocking: [String] = []
            for _ in 0..<8 { blocking.append(try await shop.enqueue("Blocks")) }
            for job in blocking { try await shop.begun(job) }
            let quick = try await shop.enqueue("Quick")
            #expect(try await shop.errors(of: quick) == [nil])
            #expect(shop.notes.all.allSatisfy { !$0.hasPrefix("over") })
            door.open()
            for job in blocking { #expect(try await shop.errors(of: job) == [nil]) }
            try await shop.nothingIsStuck()
        }
    }

    @Test("and find no thread wait unbegun: their time does not run, and they can be cancelled")
    func waiting() async throws {
        try await withWorker(threads: 1) { shop, door in
            let first = try await shop.enqueue("Blocks")
            try await shop.begun(first)
            let second = try await shop.enqueue("Blocks", JobOptions(timeout: .milliseconds(1)))
            let third = try await shop.enqueue("Blocks")
            try await eventually("all are claimed") { try await shop.records.processing().count == 3 }
            let quick = try await shop.enqueue("Quick")
            #expect(try await shop.errors(of: quick) == [nil])
            let cancelled = try await withRedisStore(shop.server) { try await $0.cancel(third, recordedAs: "unused") }
            #expect(cancelled == .told)
            #expect(try await shop.errors(of: third) == ["Cancelled"])
            #expect(try await shop.records.attempts(of: second).map { $0["fin"] } == [nil])
            #expect(shop.notes.count("begun \(second)") == 0)
            door.open()
            #expect(try await shop.errors(of: first) == [nil])
            try await shop.begun(second)
            #expect(shop.notes.count("begun \(third)") == 0)
        }
    }

    @Test("and ignore their time limit are abandoned and their threads replaced, without a stall of the pool")
    func replaced() async throws {
        try await withWorker(threads: 1, killAfter: .milliseconds(100), width: 1) { shop, door in
            let limits = JobOptions(retries: 0, timeout: .milliseconds(50))
            let first = try await shop.enqueue("Blocks", limits)
            #expect(try await shop.errors(of: first) == ["Timeout"])
            let second = try await shop.enqueue("Blocks")
            try await shop.begun(second)
            #expect(shop.notes.count("over \(first)") == 0)
            door.open()
            #expect(try await shop.errors(of: second) == [nil])
            try await eventually("its result is refused") {
                shop.log.count("A result was refused: the job ignored its cancellation for too long") == 1
            }
            let third = try await shop.enqueue("Blocks")
            #expect(try await shop.errors(of: third) == [nil])
            try await shop.nothingIsStuck()
        }
    }

    @Test("and hold all threads that there may be stall the worker, which leaves")
    func stalled() async throws {
        try await withWorker(threads: 1, killAfter: .milliseconds(100), expectStall: true) { shop, _ in
            let limits = JobOptions(retries: 0, timeout: .milliseconds(50))
            for _ in 0..<2 {
                let job = try await shop.enqueue("Blocks", limits)
                #expect(try await shop.errors(of: job) == ["Timeout"])
            }
            try await eventually("it says why") {
                shop.log.all.contains { $0.contains("2 jobs ignore their cancellation") }
            }
        }
    }

    @Test("have threads of their own, more than Dispatch gives a process, and a cancellation finds one")
    func many() async throws {
        try await withWorker(threads: 300, fibers: 302) { shop, door in
            let sleeping = try await shop.enqueue("Sleeps")
            try await shop.begun(sleeping)
            let blocking = try await shop.manager.enqueue("Blocks", contentsOf: Array(repeating: "{}", count: 300))
            try await eventually("all have begun") {
                blocking.allSatisfy { shop.notes.count("begun \($0.id)") == 1 }
            }
            _ = try await shop.manager.cancel(sleeping)
            #expect(try await shop.errors(of: sleeping) == ["Cancelled"])
            door.open()
            for job in blocking { #expect(try await shop.errors(of: job.id) == [nil]) }
            try await shop.nothingIsStuck()
        }
    }
}
