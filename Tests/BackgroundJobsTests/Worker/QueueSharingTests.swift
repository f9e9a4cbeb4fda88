import BackgroundJobs
import Foundation
import Logging
import TestSupport
import Testing

/// A worker of several queues on a real Redis.
@Suite("Queues that share a worker", .timeLimit(.minutes(20)))
struct QueueSharingTests {
    private static func worker(_ shop: Workshop, _ options: WorkerOptions) throws -> Worker {
        var jobs = JobRegistry()
        jobs.register("Noted") { (_: Workshop.None, context: JobContext) in shop.notes.add(context.queue) }
        jobs.register("Held") { (_: Workshop.None, context: JobContext) in
            shop.notes.add("begun \(context.jobID)")
            await shop.gate.wait()
        }
        return try Worker(
            options,
            redis: RedisOptions(url: shop.server.url, connectTimeout: .seconds(30)),
            jobs: jobs,
            logger: Workshop.quiet
        )
    }

    @Test("in turns are served one after the other, while both hold jobs")
    func roundRobin() async throws {
        try await withWorkshop { shop in
            for queue in ["a", "b"] {
                for _ in 0..<4 { try await shop.manager.enqueue("Noted", queue: queue) }
            }
            try await shop.manager.enqueue("Noted", queue: "a")
            let options = WorkerOptions(
                queues: try .roundRobin(["a", "empty", "b"]),
                fibers: 1,
                endsWhenEmpty: true
            )
            try await Self.worker(shop, options).run()
            #expect(shop.notes.all == ["a", "b", "a", "b", "a", "b", "a", "b", "a"])
        }
    }

    @Test("leave each other the fibers that are reserved, and use the rest")
    func reserved() async throws {
        try await withWorkshop { shop in
            let options = WorkerOptions(
                queues: try .strict(["high", "low"]),
                fibers: 3,
                gracePeriod: .zero,
                reserve: ["high": 1]
            )
            try await Self.worker(shop, options).withRunning {
                var held: [String] = []
                for _ in 0..<3 { held.append(try await shop.manager.enqueue("Held", queue: "low").id) }
                for job in held.prefix(2) { try await shop.begun(job) }
                // More than once, so that the worker has waited in between.
                for count in 1...3 {
                    try await shop.manager.enqueue("Noted", queue: "high")
                    try await eventually("high goes on") { shop.notes.count("high") == count }
                }
                #expect(shop.notes.count("begun \(held[2])") == 0)
                #expect(try await shop.records("LRANGE", "bg:ready:low", "0", "-1").texts == [held[2]])
                shop.gate.open()
                try await shop.begun(held[2])
            }
        }
    }

    @Test("and a worker whose reserves make no sense is none")
    func refused() async throws {
        let options = WorkerOptions(queues: try .strict(["high", "low"]), fibers: 3, reserve: ["high": 3])
        #expect(throws: BackgroundError.self) { try Worker(options, jobs: JobRegistry(), logger: Workshop.quiet) }
    }
}
