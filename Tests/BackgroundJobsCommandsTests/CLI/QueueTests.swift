import ArgumentParser
import BackgroundJobs
import Foundation
import TestSupport
import Testing

@testable import BackgroundJobsCommands

extension CLI {
    @Suite("queue") struct Queue {
        @Test("pauses and resumes, and lists what is paused")
        func pausing() async throws {
            try await CLIBench.with { bench in
                _ = try await bench.manager.enqueue("Mail", queue: "high")
                _ = try await bench.manager.enqueue("Mail", queue: "low")
                #expect(try await bench.lines("queue", "pause", "low") == ["low paused"])
                let again = try await bench.cli("queue", "pause", "low", "lwo")
                #expect(again.exit == .status(0) && again.lines == ["low unchanged", "lwo paused"])
                #expect(again.error.contains("No queue lwo is known here."))
                let list = try await bench.lines("queue")
                #expect(list[0].split(separator: " ").prefix(4) == ["queue", "state", "workers", "ready"])
                #expect(
                    list.dropFirst().map { $0.split(separator: " ").prefix(4).joined(separator: " ") }
                        == ["high open 0 1", "low paused 0 1", "lwo paused 0 0"]
                )
                let json = try await bench.lines("queue", "list", "--json")
                #expect(json[0].contains(#""isPaused":true,"jobsPerSecond":0,"name":"low""#))
                #expect(try await bench.lines("queue", "resume", "low", "lwo") == ["low resumed", "lwo resumed"])
                #expect(try await bench.lines("queue", "resume", "low") == ["low unchanged"])
            }
        }

        @Test("clears what waits, and what is scheduled where that is asked for")
        func clear() async throws {
            try await CLIBench.with { bench in
                let redis = RedisOptions(
                    url: bench.server.url,
                    namespace: bench.namespace,
                    connectTimeout: .seconds(30)
                )
                _ = try await bench.manager.enqueue("Mail", contentsOf: (0..<1234).map { "\($0)" }, queue: "low")
                _ = try await bench.manager.enqueue("Mail", in: .seconds(600), queue: "low")
                let refused = try await bench.cli("queue", "clear", "low")
                #expect(refused.exit == .status(64) && refused.output == "")
                #expect(
                    refused.error.hasPrefix(
                        "This deletes the jobs of low that wait: 1234 ready (1 scheduled ones stay without --scheduled)."
                    )
                )
                #expect(refused.error.contains("Give --yes to do it."))
                let inspector = try Inspector(redis: redis)
                #expect(try await inspector.status(queues: ["low"]).queues[0].ready == 1234)
                let cleared = try await bench.cli("queue", "clear", "low", "--yes")
                #expect(cleared.exit == .status(0) && cleared.lines == ["1234 deleted"])
                #expect(try await bench.lines("queue", "clear", "low", "-y") == ["0 deleted"])
                let all = try await bench.cli("queue", "clear", "low", "--scheduled", "-y")
                #expect(all.exit == .status(0) && all.lines == ["1 deleted"])
                #expect(try await bench.records("KEYS", bench.key("jobs:*")).texts == [])
                await inspector.close()
            }
        }

        @Test("moves what waits, in its order")
        func move() async throws {
            try await CLIBench.with { bench in
                let ids = try await bench.manager.enqueue("Mail", contentsOf: (0..<1100).map { "\($0)" }, queue: "low")
                    .map(\.id)
                let there = try await bench.manager.enqueue("Mail", queue: "high").id
                let moved = try await bench.cli("queue", "move", "low", "high", "-y")
                #expect(moved.exit == .status(0) && moved.lines == ["1100 moved"])
                #expect(moved.error == "This moves the jobs of low that wait to high: 1100 ready.\n")
                #expect(try await bench.ready("high") == [there] + ids)
                #expect(try await bench.ready("low") == [])
                #expect(try await bench.records.job(ids[700])["que"] == "high")
                let new = try await bench.cli("queue", "move", "high", "hgih", "-y")
                #expect(new.error.contains("No queue hgih is known here yet."))
            }
        }

        @Test(
            "tells what it can't be told apart from",
            arguments: [
                ["queue", "move", "a", "a", "-y"], ["queue", "clear", "a b", "-y"], ["queue", "pause"],
                ["queue", "pause", "a:b"], ["queue", "move", "a", "-y"],
            ]
        )
        func usage(arguments: [String]) async throws {
            try await CLIBench.with { bench in
                let ran = try await bench.cli(arguments)
                #expect(ran.exit == .status(64) && ran.output == "" && ran.error.hasPrefix("Error: "))
            }
        }

        @Test("says which name it does not know, since that may be misspelt", arguments: ["clear", "move", "status"])
        func unknown(verb: String) async throws {
            try await CLIBench.with { bench in
                _ = try await bench.manager.enqueue("Mail", queue: "high")
                let words =
                    switch verb {
                    case "clear": ["queue", "clear", "hgih"]
                    case "move": ["queue", "move", "hgih", "high"]
                    default: ["status", "-q", "high,hgih"]
                    }
                let ran = try await bench.cli(words)
                #expect(ran.exit == .status(0) && ran.error.contains("No queue hgih is known here."))
                #expect(!ran.error.contains("No queue high"))
            }
        }

        @Test("names a list of a wrong type, and stops")
        func wrongType() async throws {
            try await CLIBench.with { bench in
                _ = try await bench.manager.enqueue("Mail", queue: "low")
                try await bench.records("SET", bench.key("suspects:low"), "x")
                let ran = try await bench.cli("queue", "clear", "low", "-y")
                #expect(ran.exit == .status(1) && ran.error.contains(bench.key("suspects:low")))
                #expect(try await bench.ready("low").count == 1)
            }
        }
    }
}
