import BackgroundJobs
import Foundation
import TestSupport
import Testing

extension SystemTests {
    @Suite("Periodic jobs", .serialized)
    struct Periodics {
        /// Three watchers, one of which is killed every five seconds, fire 50 jobs every second: each time of each once. Five minutes in
        /// full.
        @Test("are fired at each of their times exactly once, whichever watchers die")
        func drill() async throws {
            let seconds = isFull ? 300 : 15
            let stage = try await Stage()
            let (records, keys) = (stage.records, stage.records.keys)
            let inspector = try Inspector(redis: RedisOptions(url: stage.server.url, connectTimeout: .seconds(30)))
            var watchers: [Program] = []
            for _ in 0..<3 { watchers.append(try await stage.watcher("--interval", "1", "--log-level", "info")) }
            let worker = try await stage.worker("--log-level", "info")
            let names = (0..<50).map { "p\($0)" }
            // Half of them by the clock, half by a period.
            for (index, name) in names.enumerated() {
                let schedule: PeriodicSchedule = index < 25 ? .cron("* * * * * *") : .every(.seconds(1))
                try await inspector.declare(PeriodicJob(name, schedule, className: "Instant", count: seconds))
            }
            let supervisor = Task {
                while !Task.isCancelled {
                    try await Task.sleep(for: .seconds(5))
                    let index = Int.random(in: watchers.indices)
                    watchers[index].kill()
                    watchers[index] = try await stage.watcher("--interval", "1", "--log-level", "info")
                }
            }
            try await eventually("all have ended", within: .seconds(seconds + 120)) {
                try await inspector.periodicJobs().allSatisfy { $0.state == .ended }
            }
            supervisor.cancel()
            try await stage.drained()

            var times: [String: [Int]] = [:]
            var jobs: [String] = []
            var late: [Int] = []
            for attempt in try await records("ZRANGE", keys.completed("default"), "0", "-1").texts {
                let id = try #require(try await records("HGET", keys.attempt(attempt), "job").text)
                let job = try await records.job(id)
                jobs.append(id)
                let time = try #require(Int(job["due"] ?? ""))
                times[try #require(job["crn"]), default: []].append(time)
                late.append((Int(job["qat"] ?? "") ?? 0) - time)
            }
            #expect(jobs.count == 50 * seconds && Set(jobs).count == jobs.count)
            for name in names {
                let found = (times[name] ?? []).sorted()
                let first = found.first ?? 0
                #expect(found == (0..<seconds).map { first + 1000 * $0 }, "\(name): each second once, none left out")
            }
            late.sort()
            print(
                "\(jobs.count) firings, late by ms: p50 \(late[late.count / 2]), p99 \(late[late.count * 99 / 100]), max \(late.last ?? 0)"
            )
            #expect(late.first ?? -1 >= 0, "never early")
            try await stage.checkSettled(jobs)
            #expect(worker.isRunning)
            await inspector.close()
        }
    }
}
