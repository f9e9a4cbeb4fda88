import BackgroundJobs
import Foundation
import Logging
import TestSupport
import Testing

/// Workers of several names on a real Redis.
@Suite("Placed jobs", .timeLimit(.minutes(20)))
struct PlacementTests {
    private static func worker(_ shop: Workshop, _ name: String, fibers: Int = 10) throws -> Worker {
        var jobs = JobRegistry()
        jobs.register("Quick") { (_: Workshop.None, _: JobContext) in }
        jobs.register("Held") { (_: Workshop.None, context: JobContext) in
            shop.notes.add("begun \(context.jobID)")
            await shop.gate.wait()
        }
        return try Worker(
            WorkerOptions(queues: try .strict(["default"]), fibers: fibers, name: name, gracePeriod: .zero),
            redis: RedisOptions(url: shop.server.url, connectTimeout: .seconds(30)),
            jobs: jobs,
            logger: Workshop.quiet
        )
    }

    private static func withWorkers(
        _ names: [String],
        _ body: @escaping @Sendable (Workshop) async throws -> Void
    ) async throws {
        try await withWorkshop { shop in
            let workers = try names.map { try worker(shop, $0) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in workers { group.addTask { try await worker.run() } }
                let result: Result<Void, any Error>
                do {
                    result = .success(try await body(shop))
                } catch {
                    result = .failure(error)
                }
                shop.gate.open()
                for worker in workers { worker.stop() }
                try await group.waitForAll()
                try result.get()
            }
        }
    }

    private static func name(_ shop: Workshop, of job: String) async throws -> String? {
        try await shop.errors(of: job).isEmpty ? nil : shop.records.attempts(of: job)[0]["nod"].map(Node.name(of:))
    }

    @Test("run on the worker that they ask for, or on another than they avoid, which is woken for them")
    func woken() async throws {
        try await Self.withWorkers(["one", "two"]) { shop in
            var waited: [Int] = []
            for index in 0..<32 {
                // Not in turns: they would come in the order in which the workers wait.
                let name = index % 4 < 2 ? "one" : "two"
                let options = index % 8 < 4 ? JobOptions(on: name) : JobOptions(avoiding: name == "one" ? "two" : "one")
                let job = try await shop.enqueue("Quick", options)
                #expect(try await Self.name(shop, of: job) == name)
                let queued = try #require(Int(try await shop.records.job(job)["qat"] ?? ""))
                let started = try #require(Int(try await shop.records.attempts(of: job)[0]["sta"] ?? ""))
                waited.append(started - queued)
            }
            // A worker that is not woken looks every five seconds, so many of them would wait for half of that and more.
            #expect(waited.count { $0 > 2500 } <= 4, "\(waited)")
            try await shop.nothingIsStuck()
        }
    }

    @Test("that nobody may run wait, keep nobody busy, and go to any node when their time is over")
    func fallback() async throws {
        try await Self.withWorkers(["one"]) { shop in
            let watcher = try Watcher(
                WatcherOptions(interval: .milliseconds(50)),
                redis: RedisOptions(url: shop.server.url, connectTimeout: .seconds(30)),
                logger: Workshop.quiet
            )
            async let watching: Void = watcher.run()
            let strict = try await shop.enqueue("Quick", JobOptions(on: "none", fallback: .never))
            let patient = try await shop.enqueue(
                "Quick",
                JobOptions(avoiding: "one", fallback: .after(.milliseconds(300)))
            )
            let queued = try #require(Int(try await shop.records.job(patient)["qat"] ?? ""))
            #expect(try await Self.name(shop, of: patient) == "one")
            let started = try #require(Int(try await shop.records.attempts(of: patient)[0]["sta"] ?? ""))
            #expect(started - queued >= 300)
            let inspector = try Inspector(redis: RedisOptions(url: shop.server.url, connectTimeout: .seconds(30)))
            #expect(try await inspector.job(strict)?.job.state == .placed)
            #expect(try await inspector.jobs(in: .placed, queue: "default").entries.map(\.id) == [strict])
            #expect(try await inspector.status(queues: ["default"]).queues[0].placed == 1)
            await inspector.close()
            // How often it has asked meanwhile: a loop would do so thousands of times a second, the watcher does a hundred.
            let before = try await Self.calls(shop)
            try await eventually("some time passes") {
                try await shop.records("TIME").texts.first.flatMap { Int($0) }.map { $0 * 1000 > started + 2500 }
                    ?? false
            }
            #expect(try await Self.calls(shop) - before < 1000)

            // Its node comes.
            let late = try Self.worker(shop, "none")
            async let working: Void = late.run()
            #expect(try await Self.name(shop, of: strict) == "none")
            late.stop()
            try await working
            watcher.stop()
            try await watching
            try await shop.nothingIsStuck()
        }
    }

    private static func calls(_ shop: Workshop) async throws -> Int {
        let info = try await shop.records("INFO", "commandstats").text ?? ""
        let line = info.split(separator: "\r\n").first { $0.hasPrefix("cmdstat_evalsha:") } ?? ""
        return line.split(separator: "=").dropFirst().first.flatMap { Int($0.prefix { $0.isNumber }) } ?? 0
    }

    @Test("that are suspects come to an idle worker though one that runs a suspect meets them first")
    func suspects() async throws {
        try await Self.withWorkers(["one", "two"]) { shop in
            let now = try await shop.records("TIME").texts.first ?? "0"
            var jobs: [String] = []
            for index in 0..<2 {
                let id = "suspect-\(index)"
                jobs.append(id)
                try await shop.records.send([
                    [
                        "HSET", "bg:jobs:\(id)", "que", "default", "cls", "Held", "qat", "\(now)000", "crs", "2", "crt",
                        "\(now)000",
                    ],
                    ["RPUSH", "bg:ready:default", id],
                ])
                try await shop.begun(id)
            }
            var nodes: Set<String> = []
            for job in jobs {
                let attempt = try await shop.records.job(job)["las"] ?? ""
                if let node = try await shop.records.attempt(attempt)["nod"] { nodes.insert(node) }
            }
            #expect(nodes.count == 2)
            // A third one is for nobody: it waits without a loop.
            try await shop.records.send([
                [
                    "HSET", "bg:jobs:third", "que", "default", "cls", "Held", "qat", "\(now)000", "crs", "2", "crt",
                    "\(now)000",
                ],
                ["RPUSH", "bg:ready:default", "third"],
            ])
            try await eventually("it is put aside") {
                try await shop.records("LRANGE", "bg:suspects:default", "0", "-1").texts == ["third"]
            }
            let before = try await Self.calls(shop)
            let quick = try await shop.enqueue("Quick")
            #expect(try await shop.errors(of: quick) == [nil])
            #expect(try await Self.calls(shop) - before < 1000)
        }
    }

    @Test("are enqueued as their type says, unless the call says otherwise; nonsense is refused")
    func options() async throws {
        struct Local: Job {
            static let options = JobOptions(on: "one", fallback: .never)
            func perform(_ context: JobContext) async throws {}
        }
        try await withWorkshop { shop in
            let typed = try await shop.records.job(try await shop.manager.enqueue(Local()).id)
            #expect(typed["on"] == "one" && typed["fbk"] == "never")
            let called = try await shop.records.job(
                try await shop.manager.enqueue(Local(), options: JobOptions(avoiding: "two")).id
            )
            #expect(called["on"] == nil && called["avo"] == "two" && called["fbk"] == nil)
            let hasty = try await shop.records.job(
                try await shop.manager.enqueue(Local(), options: JobOptions(fallback: .after(.seconds(1)))).id
            )
            #expect(hasty["on"] == "one" && hasty["fbk"] == "1000")
            let inspector = try Inspector(redis: RedisOptions(url: shop.server.url, connectTimeout: .seconds(30)))
            let id = try await shop.enqueue("Quick", JobOptions(on: "one", fallback: .never))
            let copy = try await shop.records.job(try await inspector.copy(id, arguments: "{}"))
            #expect(copy["on"] == "one" && copy["fbk"] == "never" && copy["ori"] == id)
            await inspector.close()
            for wrong in [
                JobOptions(on: "a b"), JobOptions(on: ""), JobOptions(on: "a", avoiding: "b"),
                JobOptions(fallback: .never), JobOptions(on: "a", fallback: .after(.seconds(-1))),
            ] {
                await #expect(throws: BackgroundError.self) { try await shop.enqueue("Quick", wrong) }
            }
        }
    }
}
