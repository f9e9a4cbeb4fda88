import BackgroundJobs
import BackgroundJobsBenchmarking
import Foundation
import Logging

private let quiet = Logger(label: "bench", factory: { _ in SwiftLogNoOpLogHandler() })

extension Bench {
    /// An idle worker, one job every 20 ms: from the call to enqueue to the first line of the job.
    func latency(_ redis: RedisOptions) async throws {
        let (begins, sink) = AsyncStream.makeStream(of: ContinuousClock.Instant.self)
        var registry = JobRegistry()
        registry.register("Noop", raw: { _, _ in sink.yield(.now) })
        let worker = try Worker(
            WorkerOptions(queues: .strict(["default"]), fibers: fibers),
            redis: redis,
            jobs: registry,
            logger: quiet
        )
        let times = try await worker.withRunning {
            let manager = try Manager(redis: redis)
            var begins = begins.makeAsyncIterator()
            var times: [Double] = []
            for round in 0..<550 {
                try await Task.sleep(for: .milliseconds(20))
                let called = ContinuousClock.now
                try await manager.enqueue("Noop", arguments: "{}")
                guard let begun = await begins.next() else { break }
                // The first ones find connections that are still being made.
                if round >= 50 { times.append(called.duration(to: begun).seconds * 1000) }
            }
            await manager.close()
            return times
        }
        print("pick-up latency, 500 jobs, one every 20 ms: \(times.quantiles)")
    }

    /// 10,000 jobs due at random ms of the next 10 s: how late they begin.
    func schedule(_ redis: RedisOptions, _ yardstick: Yardstick) async throws {
        var registry = JobRegistry()
        registry.register(Noop.self)
        let worker = try Worker(
            WorkerOptions(queues: .strict(["default"]), fibers: fibers),
            redis: redis,
            jobs: registry,
            logger: quiet
        )
        let watcher = try Watcher(redis: redis, logger: quiet)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await watcher.run() }
            let ids = try await worker.withRunning {
                let manager = try Manager(redis: redis)
                var ids: [String] = []
                for n in 0..<10_000 {
                    let delay = Duration.milliseconds(Int.random(in: 1500...11_500))
                    ids.append(try await manager.enqueue(Noop(n: n), in: delay).id)
                }
                while try await yardstick.completed("default") < ids.count {
                    try await Task.sleep(for: .milliseconds(100))
                }
                await manager.close()
                return ids
            }
            print("schedule, 10,000 jobs due within 10 s, late by: \(try await yardstick.lateness(of: ids).quantiles)")
            watcher.stop()
            try await group.waitForAll()
        }
    }

    /// How fast a watcher trims attempts that completed.
    func trim(_ redis: RedisOptions, _ yardstick: Yardstick) async throws {
        try await yardstick.fill("default", jobs: jobs)
        _ = try await yardstick.ceiling("default", jobs: jobs)
        let options = WatcherOptions(keepCompleted: Retention(age: nil, count: 0))
        let watcher = try Watcher(options, redis: redis, logger: quiet)
        try await withThrowingTaskGroup(of: Void.self) { group in
            let begun = ContinuousClock.now
            group.addTask { try await watcher.run() }
            while try await yardstick.completed("default") > 0 { try await Task.sleep(for: .milliseconds(5)) }
            let rate = Double(jobs) / begun.duration(to: .now).seconds
            print(String(format: "trim, %d attempts: %.0f a second", jobs, rate))
            watcher.stop()
            try await group.waitForAll()
        }
    }
}

extension [Double] {
    /// Half, 99 of 100, and the worst.
    var quantiles: String {
        guard !isEmpty else { return "none" }
        let sorted = sorted()
        return String(
            format: "p50 %.2f ms, p99 %.2f ms, least %.2f ms, most %.2f ms",
            sorted[count / 2],
            sorted[count * 99 / 100],
            sorted[0],
            sorted[count - 1]
        )
    }
}
