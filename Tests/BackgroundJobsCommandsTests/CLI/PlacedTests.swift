import BackgroundJobs
import Foundation
import Logging
import TestSupport
import Testing

@testable import BackgroundJobsCommands

extension CLI {
    @Suite("jobs for some nodes") struct Placed {
        /// One job that waits for a node, with a note for its workers, as a worker puts it aside that may not run it.
        private func place(_ id: String, _ place: String, _ bench: CLIBench, queue: String = "q") async throws {
            let parts = place.split(separator: ":")
            try await bench.records.send([
                [
                    "HSET", bench.key("jobs:\(id)"), "que", queue, "cls", "Mail", "arg", "{}", "qat", "1", "pla", place,
                    "plt", "1", parts[0] == "on" ? "on" : "avo", String(parts[1]), "fbk", "never",
                ],
                ["RPUSH", bench.key("placed:\(queue):\(place)"), id],
                ["SADD", bench.key("places"), "\(queue):\(place)"],
                ["RPUSH", bench.key("wake:\(queue):\(place)"), "1"], ["SADD", bench.key("queues"), queue],
            ])
        }

        private func keys(_ bench: CLIBench, _ pattern: String) async throws -> [String] {
            try await bench.records("KEYS", "\(bench.namespace)\(pattern)").texts.sorted()
        }

        @Test("are cleared, and counted before")
        func clear() async throws {
            try await CLIBench.with { bench in
                try await place("p1", "on:nobody", bench)
                let refused = try await bench.cli("queue", "clear", "q")
                #expect(refused.exit == .status(64) && refused.output == "")
                #expect(refused.error.hasPrefix("This deletes the jobs of q that wait: 0 ready, 1 placed."))
                try await place("p2", "avoid:w", bench)
                _ = try await bench.manager.enqueue("Mail", queue: "q")
                let cleared = try await bench.cli("queue", "clear", "q", "-y")
                #expect(cleared.error.hasPrefix("This deletes the jobs of q that wait: 1 ready, 2 placed.\n"))
                #expect(cleared.lines == ["3 deleted"])
                #expect(try await keys(bench, ":jobs:*") == [])
                #expect(try await keys(bench, ":places") == [])
            }
        }

        @Test("are moved, and counted before")
        func move() async throws {
            try await CLIBench.with { bench in
                try await place("p1", "on:nobody", bench)
                let moved = try await bench.cli("queue", "move", "q", "high", "-y")
                #expect(moved.error.hasPrefix("This moves the jobs of q that wait to high: 0 ready, 1 placed."))
                #expect(moved.lines == ["1 moved"])
                #expect(try await bench.ready("high") == ["p1"])
                #expect(try await bench.records.job("p1")["pla"] == nil)
            }
        }

        @Test("go with their queue, and nothing of them is left")
        func prune() async throws {
            try await CLIBench.with { bench in
                try await place("p1", "on:nobody", bench)
                try await place("p2", "avoid:w", bench)
                try await place("r1", "on:nobody", bench, queue: "r")
                // A place that nobody names any more.
                try await bench.records.send([
                    ["SREM", bench.key("places"), "q:avoid:w"], ["RPUSH", bench.key("wake:q"), "1"],
                ])
                let refused = try await bench.cli("prune", "-q", "q")
                #expect(refused.error.contains(": 7 keys (wake 3, jobs 2, placed 2)"))
                let ran = try await bench.cli("prune", "-q", "q", "--yes")
                #expect(ran.exit == .status(0) && ran.lines == ["7 deleted"])
                #expect(try await keys(bench, ":*:q*") == [])
                #expect(try await bench.records("SMEMBERS", bench.key("places")).texts == ["r:on:nobody"])
                #expect(
                    try await keys(bench, ":*")
                        == ["jobs:r1", "placed:r:on:nobody", "places", "queues", "wake:r:on:nobody"].map(bench.key)
                )
            }
        }

        @Test("are seen: in status, in summary and in the list of queues")
        func seen() async throws {
            try await CLIBench.with { bench in
                try await place("p1", "on:web9", bench)
                try await place("p2", "on:web9", bench)
                try await place("p3", "avoid:w", bench)
                try await place("p4", "on:w", bench)
                let list = try await bench.lines("queue", "list")
                #expect(list[0].split(separator: " ")[6] == "placed" && list[1].split(separator: " ")[6] == "4")
                let summary = try await bench.lines("summary")
                #expect(summary.contains("waiting   0 ready, 0 scheduled, 0 suspects, 4 placed"))
                #expect(try await bench.lines("summary", "--json")[0].contains(#""placed":4,"#))

                let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
                var jobs = JobRegistry()
                jobs.register("Other", raw: { _, _ in })
                let worker = try Worker(
                    WorkerOptions(queues: .strict(["other", "q"]), name: "w"),
                    redis: RedisOptions(url: bench.server.url, namespace: bench.namespace),
                    jobs: jobs,
                    logger: quiet
                )
                try await bench.records("SADD", bench.key("paused"), "q")
                let status = try await bench.cli("status", "-q", "q")
                #expect(
                    status.error.contains("1 job on q waits for a worker named w, and none that serves the queue is")
                )
                try await worker.withRunning {
                    try await eventually("the worker is there") {
                        try await bench.cli("workers", "--json").output.contains(#""w-"#)
                    }
                    let status = try await bench.cli("status", "-q", "q", "--json")
                    #expect(status.error.contains("2 jobs on q wait for a worker named web9, and none that serves"))
                    #expect(status.error.contains("1 job on q waits for a worker with another name than w, and none"))
                    #expect(!status.error.contains("named w,"))
                    #expect(status.output.contains(#""placed":4,"placedWithoutWorker":{"avoid:w":1,"on:web9":2}"#))
                }
            }
        }
    }
}
