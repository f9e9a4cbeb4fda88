import BackgroundJobs
import Foundation
import Logging
import TestSupport
import Testing

private let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

private struct Sum: Job {
    var of: [Int]
    func perform(_ context: JobContext) async throws -> [String: Int] { ["sum": of.reduce(0, +)] }
}

private struct Silent: Job {
    func perform(_ context: JobContext) async throws {}
}

private struct Doomed: Job {
    func perform(_ context: JobContext) async throws { throw JobOutcome.dead("there is no \u{1B}way") }
}

private struct Telling: Job {
    func perform(_ context: JobContext) async throws -> Int {
        context.progress(0.425, "on the\u{7}way")
        context.note("rows", 120)
        try context.share("etag", "abc")
        return 7
    }
}

extension CLIBench {
    /// Runs `body` while a worker runs these jobs.
    fileprivate func working(_ body: @escaping @Sendable () async throws -> Void) async throws {
        var jobs = JobRegistry()
        jobs.register(Sum.self)
        jobs.register(Silent.self)
        jobs.register(Doomed.self)
        jobs.register(Telling.self)
        let redis = RedisOptions(url: server.url, namespace: namespace, connectTimeout: .seconds(30))
        let worker = try Worker(
            WorkerOptions(queues: .strict(["default"]), fibers: 4),
            redis: redis,
            jobs: jobs,
            logger: quiet
        )
        try await worker.withRunning(body)
    }
}

extension CLI {
    @Suite("enqueue --wait") struct Waiting {
        @Test("prints the result, and exits as the job ended")
        func results() async throws {
            try await CLIBench.with { bench in
                try await bench.working {
                    let sum = try await bench.cli("enqueue", "Sum", #"{"of":[1,2]}"#, "--wait")
                    #expect(sum.exit == .status(0) && sum.output == "{\"sum\":3}\n")
                    #expect(UUID(uuidString: sum.error.trimmingCharacters(in: .whitespacesAndNewlines)) != nil)
                    let silent = try await bench.cli("enqueue", "Silent", "--wait", "--within", "30s", "--id", "s1")
                    #expect(silent.exit == .status(0) && silent.output == "" && silent.error == "s1\n")
                    let again = try await bench.cli("enqueue", "Silent", "--wait", "--id", "s1")
                    #expect(again.exit == .status(0) && again.error.contains("nothing was queued"))
                    let doomed = try await bench.cli("enqueue", "Doomed", "--wait", "--id", "d1")
                    #expect(doomed.exit == .status(1) && doomed.output == "")
                    #expect(doomed.error.hasPrefix("d1\n"))
                    #expect(doomed.error.contains("job d1 ended as Dead") && doomed.error.contains("there is no"))
                    #expect(!doomed.error.contains("\u{1B}"))
                }
            }
        }

        @Test("waits no longer than it is told, and the job goes on")
        func limit() async throws {
            try await CLIBench.with { bench in
                let late = try await bench.cli("enqueue", "Sum", "--wait", "--within", "50ms", "--id", "late")
                #expect(late.exit == .status(1) && late.output == "")
                #expect(late.error.contains("Job late has not ended within") && late.error.contains("It goes on."))
                #expect(late.error.contains("It has not begun: no worker that serves default is connected."))
                _ = try await bench.cli("queue", "pause", "default")
                let paused = try await bench.cli("enqueue", "Sum", "--wait", "--within", "50ms")
                #expect(paused.error.contains("It has not begun: default is paused."))
                #expect(try await bench.ready("default").first == "late")
            }
        }

        @Test(
            "says what goes with it",
            arguments: [
                ["--within", "1s"], ["--wait", "--count", "2"], ["--wait", "--file", "-"],
                ["--wait", "--within", "soon"],
                ["--wait", "--id", "not an ID"],
            ]
        )
        func usage(arguments: [String]) async throws {
            try await CLIBench.with { bench in
                let ran = try await bench.cli(["enqueue", "Sum"] + arguments)
                #expect(ran.exit == .status(64) && ran.output == "" && ran.error.hasPrefix("Error: "))
                #expect(try await bench.records("KEYS", bench.key("*")).texts == [])
            }
        }
    }

    @Suite("batch") struct Batches {
        @Test("shows how far it is, as text and as JSON, and closes one that was left open")
        func shown() async throws {
            try await CLIBench.with { bench in
                struct Died: Error {}
                var made: Batch?
                await #expect(throws: Died.self) {
                    try await bench.manager.batch("im\u{7}port", onComplete: Silent(), onDeath: Silent()) { batch in
                        try await batch.enqueue(contentsOf: [Sum(of: [1]), Sum(of: [2])])
                        made = batch
                        throw Died()
                    }
                }
                let batch = try #require(made)
                let open = try await bench.lines("batch", batch.id)
                #expect(open[0] == "batch \(batch.id)")
                #expect(open.contains("  state         open: jobs are being added"))
                #expect(open.contains("  ended         0 of 2 (0 %)"))
                #expect(open.contains { $0.hasPrefix("  description   im") && !$0.contains("\u{7}") })
                #expect(open.count { $0.hasPrefix("  on ") } == 2)
                let id = batch.id
                try await bench.working {
                    try await eventually("its jobs have ended") {
                        try await bench.manager.batch(id: id).status()?.counts.pending == 0
                    }
                    #expect(try await bench.lines("batch", id).contains("  state         open: jobs are being added"))
                    let closed = try await bench.lines("batch", id, "--close")
                    #expect(closed.contains { $0.hasPrefix("  state         complete since 2") })
                    #expect(closed.contains("  ended         2 of 2 (100 %)") && closed.contains("  completed     2"))
                    #expect(try await bench.lines("batch", id, "--close") == closed)
                }
                let json = try await bench.lines("batch", batch.id, "--json").joined()
                let status = try #require(
                    try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
                )
                #expect((status["counts"] as? [String: Any])?["completed"] as? Int == 2)
                #expect(status["isOpen"] as? Bool == false && status["onComplete"] is String)
            }
        }

        @Test("one that is not there is told of, and an ID that is none", arguments: [[], ["--close"], ["--json"]])
        func missing(flags: [String]) async throws {
            try await CLIBench.with { bench in
                let missing = try await bench.cli(["batch", "nobody"] + flags)
                #expect(missing.exit == .status(1) && missing.output == "")
                #expect(missing.error.contains("There is no batch") && missing.error.contains("nobody"))
                let bad = try await bench.cli(["batch", "no body"] + flags)
                #expect(bad.exit == .status(64) && bad.output == "" && bad.error.contains("no body"))
                let none = try await bench.cli(["batch"] + flags)
                #expect(none.exit == .status(64))
            }
        }
    }

    @Suite("job: what it says of itself") struct Saying {
        @Test("shows progress, notes, what is shared, and the result")
        func shown() async throws {
            try await CLIBench.with { bench in
                try await bench.working {
                    let handle = try await bench.manager.enqueue(Telling())
                    #expect(try await handle.value == 7)
                    let lines = try await bench.lines("job", handle.id)
                    #expect(lines.contains { $0.hasPrefix("  progress      42.5 %, on the") && !$0.contains("\u{7}") })
                    #expect(lines.contains(#"  notes         {"rows":"120"}"#))
                    #expect(lines.contains(#"  shared        {"etag":"abc"}"#))
                    #expect(lines.contains("  output        7") && lines.contains("  result        completed"))
                    let json = try await bench.lines("job", handle.id, "--json").joined()
                    let history = try #require(
                        try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
                    )
                    let attempt = try #require((history["attempts"] as? [[String: Any]])?.first)
                    #expect(attempt["progress"] as? Double == 0.425)
                    #expect("\(attempt["notes"] ?? "")".contains("120") && "\(attempt["output"] ?? "")".contains("7"))
                }
            }
        }

        @Test("shows for which job it waits, and what depends on it")
        func chains() async throws {
            try await CLIBench.with { bench in
                let chain = try await bench.manager.enqueue(Silent().then(Silent()).onFailure(Silent()))
                let callback = try #require(chain.onFailure)
                let first = try await bench.lines("job", chain.steps[0])
                #expect(first.contains("  state         ready") && first.contains("  then          \(chain.steps[1])"))
                let second = try await bench.lines("job", chain.steps[1])
                #expect(
                    second.contains("  state         blocked") && second.contains("  after         \(chain.steps[0])")
                )
                #expect(second.contains("  on failure    \(callback)"))
                let json = try await bench.lines("job", callback, "--json").joined()
                #expect(json.contains(#""state":"blocked""#))
                var id = ""
                _ = try await bench.manager.batch { id = try await $0.enqueue(Silent()).id }
                #expect(try await bench.lines("job", id).contains { $0.hasPrefix("  batch         ") })
            }
        }

        @Test("one that is not there is told of, and an ID that is none")
        func missing() async throws {
            try await CLIBench.with { bench in
                let missing = try await bench.cli("job", "nobody")
                #expect(missing.exit == .status(1) && missing.output == "" && missing.error.contains("nobody"))
                let bad = try await bench.cli("job", "no body")
                #expect(bad.exit == .status(64) && bad.output == "" && bad.error.contains("no body"))
            }
        }
    }
}
