import BackgroundJobs
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// Point 6, row R1.
    @Suite("Many watchers", .serialized)
    struct ManyWatchers {
        @Test("move each of 10,000 due jobs and each of 1,000 dead attempts exactly once")
        func exactlyOnce() async throws {
            let stage = try await Stage()
            let (records, keys) = (stage.records, stage.records.keys)
            try await records("SADD", keys.queues, "default")
            var watchers: [Program] = []
            for _ in 0..<8 { watchers.append(try await stage.watcher()) }

            let due = (0..<10_000).map { "due-\($0)" }
            let running = (0..<1000).map { "run-\($0)" }
            let now = try await records("TIME").texts.first.flatMap(Int.init) ?? 0
            for start in stride(from: 0, to: due.count, by: 1000) {
                let page = due[start..<(start + 1000)]
                try await records.send(
                    page.map { ["HSET", keys.job($0), "que", "default", "cls", "Instant", "arg", "{}", "qat", "1"] }
                        + [["ZADD", keys.scheduled("default")] + page.flatMap { ["\(now * 1000)", $0] }]
                )
            }
            try await records.send(
                running.flatMap { job in
                    [
                        [
                            "HSET", keys.job(job), "que", "default", "cls", "Instant", "qat", "1", "att", "1", "las",
                            "a-\(job)",
                        ],
                        [
                            "HSET", keys.attempt("a-\(job)"), "sta", "1", "job", job, "wrk", "999999", "que", "default",
                            "nod", "gone-1-00000000", "num", "1",
                        ],
                    ]
                } + [["SADD", keys.processing("default")] + running.map { "a-\($0)" }]
            )
            try await eventually("all are moved") { try await records.ready() >= due.count + running.count }
            try await stage.records("SET", "settled", "1")
            // Two more looks of everybody: nobody moves anything again.
            try await Task.sleep(for: .seconds(1))

            let ready = try await records("LRANGE", keys.ready("default"), "0", "-1").texts
            #expect(ready.count == due.count + running.count)
            #expect(Set(ready) == Set(due + running))
            #expect(Set(try await records.failed()) == Set(running.map { "a-\($0)" }))
            #expect(try await records.stats()["crashed"] == running.count)
            for job in running { #expect(try await records("HGET", keys.job(job), "crs").text == "1") }
            let ended = watchers.reduce(0) { $0 + $1.count(of: "Ended an attempt that nobody answers for") }
            #expect(ended == running.count, "each was ended by one watcher")
            let promoted = watchers.flatMap { promotions(in: $0.log) }
            #expect(promoted.count == due.count, "each was promoted once")
            #expect(Set(promoted) == Set(due), "each was promoted by one watcher")
        }

        /// The IDs of the jobs that a watcher says it promoted.
        private func promotions(in log: String) -> [String] {
            log.split(separator: "\n").filter { $0.contains("Promoted a job") }.compactMap { line in
                line.split(separator: " ").first { $0.hasPrefix("job=") }.map { String($0.dropFirst(4)) }
            }
        }
    }
}
