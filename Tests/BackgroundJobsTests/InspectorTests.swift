import BackgroundRedis
import Foundation
import Logging
import NIOPosix
import TestSupport
import Testing

@testable import BackgroundJobs

/// What the inspector reads from a real Redis, written there with plain commands as the protocol says.
@Suite struct InspectorTests {
    /// Runs `body` with a server of its own and an inspector.
    private func withInspector(_ body: (Inspector, RedisServer) async throws -> Void) async throws {
        let server = try await RedisServer.start(tcp: false)
        let inspector = try Inspector(
            redis: RedisOptions(url: server.url, namespace: "t", connectTimeout: .seconds(30))
        )
        do {
            try await body(inspector, server)
        } catch {
            await inspector.close()
            throw error
        }
        await inspector.close()
        await server.stop()
    }

    private func connection(_ server: RedisServer, name: String, database: Int = 0) async throws -> RedisClient {
        let client = RedisClient(
            RedisConfiguration(url: try RedisURL("\(server.url)?db=\(database)"), clientName: name),
            eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
            logger: .init(label: "test")
        )
        try await client.waitUntilReady()
        return client
    }

    // MARK: status

    @Test func countsWhatIsInAQueue() async throws {
        try await withInspector { inspector, server in
            let manager = try Manager(
                redis: RedisOptions(url: server.url, namespace: "t", connectTimeout: .seconds(30))
            )
            try await manager.enqueue("Nap", contentsOf: ["{}", "{}", "{}"], queue: "high")
            try await manager.enqueue("Nap", in: .seconds(60), queue: "high")
            await manager.close()
            let now = try await inspector.status().time.milliseconds
            _ = try await server.command("RPUSH", "t:handoff:high", "x")
            _ = try await server.command("SADD", "t:processing:high", "a", "b")
            _ = try await server.command(
                "ZADD",
                "t:completed:high",
                "\(now - 100_000)",
                "c",
                "\(now)",
                "d",
                "\(now)",
                "e"
            )
            _ = try await server.command("ZADD", "t:failed:high", "1", "f")
            _ = try await server.command("ZADD", "t:dead:high", "1", "g")
            _ = try await server.command("RPUSH", "t:suspects:high", "h")
            _ = try await server.command("SADD", "t:paused", "high")

            let status = try await inspector.status(queues: ["high", "low"])
            var expected = QueueStatus(name: "high")
            expected.ready = 4
            expected.scheduled = 1
            expected.processing = 2
            expected.completed = 3
            expected.failed = 1
            expected.dead = 1
            expected.suspects = 1
            expected.jobsPerSecond = status.queues[0].jobsPerSecond
            expected.isPaused = true
            expected.oldestReadyAge = status.queues[0].oldestReadyAge
            #expect(status.queues == [expected, QueueStatus(name: "low")])
            let age = try #require(status.queues[0].oldestReadyAge)
            #expect(age >= .zero && age < .seconds(30))
            #expect(status.watchers == 0)

            // Two within the last second; on a machine that is too slow to ask in time, asked again.
            var rates: [Int] = []
            while rates.last != 2, rates.count < 50 {
                let now = try await inspector.status().time.milliseconds
                _ = try await server.command("ZADD", "t:completed:high", "\(now)", "d", "\(now)", "e")
                rates.append(try await inspector.status(queues: ["high"]).queues[0].jobsPerSecond)
            }
            #expect(rates.last == 2)
            #expect(try await inspector.queues() == ["high"])
        }
    }

    @Test func countsWorkersAndWatchersOfItsNamespaceAndDatabase() async throws {
        try await withInspector { inspector, server in
            let names = [
                "t-worker:my-host-7-0000000a:10:high,low", "t-worker:b-8-0000000b:5:low", "t-worker:s-8-00000001:0:low",
                "t-worker-wait:b-8-0000000b",
                "t-watcher:w-9-0000000c", "other-worker:c-1-0000000d:3:high", "t-worker:broken",
            ]
            var clients: [RedisClient] = []
            for name in names { clients.append(try await connection(server, name: name)) }
            clients.append(try await connection(server, name: "t-worker:d-1-0000000e:3:high", database: 1))
            _ = try await server.command("SADD", "t:processing:high", "a1", "a2")
            _ = try await server.command("HSET", "t:attempts:a1", "nod", "my-host-7-0000000a")

            let status = try await inspector.status()
            #expect(status.queues.map(\.name) == ["high", "low"])
            #expect(status.queues.map(\.workers) == [1, 3])
            #expect(status.queues.map(\.fibers) == [10, 15])
            #expect(status.watchers == 1)
            let workers = try await inspector.workers()
            #expect(workers.map(\.node) == ["b-8-0000000b", "my-host-7-0000000a", "s-8-00000001"])
            #expect(workers.map(\.name) == ["b", "my-host", "s"])
            #expect(workers.map(\.busy) == [0, 1, 0])
            #expect(workers.map(\.isStalled) == [false, false, true])
            #expect(workers[1].queues == ["high", "low"])
            #expect(workers[1].clientID == clients[0].session?.clientID)
            for client in clients { await client.close() }
        }
    }

    @Test func oneDamagedKeyHidesNothingElse() async throws {
        try await withInspector { inspector, server in
            _ = try await server.command("SET", "t:ready:high", "no list")
            _ = try await server.command("ZADD", "t:failed:high", "1", "f")
            let status = try await inspector.status(queues: ["high"])
            #expect(status.queues[0].failed == 1)
            #expect(status.queues[0].problems == ["The key t:ready:high is of another type than it should be."])
        }
    }

    @Test func refusesNamesThatAreNone() async throws {
        try await withInspector { inspector, _ in
            await #expect(throws: BackgroundError.self) { try await inspector.status(queues: ["a:b"]) }
            await #expect(throws: BackgroundError.self) { try await inspector.job("a b") }
            await #expect(throws: BackgroundError.self) { try await inspector.jobs(in: .ready, queue: "") }
        }
    }

    // MARK: one job

    @Test func knowsWhereAJobIs() async throws {
        try await withInspector { inspector, server in
            func job(_ id: String, _ fields: String...) async throws {
                _ = try await server.command(["HSET", "t:jobs:\(id)", "que", "q", "cls", "C"] + fields)
            }
            func attempt(_ id: String, _ fields: String...) async throws {
                _ = try await server.command(["HSET", "t:attempts:\(id)", "que", "q"] + fields)
            }
            for id in ["ready", "handoff", "suspect", "later", "lost"] { try await job(id) }
            _ = try await server.command("RPUSH", "t:ready:q", "other", "ready")
            _ = try await server.command("RPUSH", "t:handoff:q", "handoff")
            _ = try await server.command("RPUSH", "t:suspects:q", "suspect")
            _ = try await server.command("ZADD", "t:scheduled:q", "1545907080109", "later")
            try await job("runs", "las", "a1")
            try await attempt("a1", "sta", "1")
            _ = try await server.command("SADD", "t:processing:q", "a1")
            try await job("done", "las", "a2")
            try await attempt("a2", "fin", "1")
            try await job("over", "las", "a3")
            try await attempt("a3", "fin", "1", "err", "E")
            try await job("dead", "end", "Dead")
            try await job("gone", "end", "Cancelled")

            let expected: [String: JobState] = [
                "ready": .ready, "handoff": .handoff, "suspect": .suspect, "lost": .unknown, "runs": .running,
                "later": .scheduled(due: Date(milliseconds: 1_545_907_080_109)), "done": .completed, "over": .failed,
                "dead": .dead, "gone": .ended(how: "Cancelled"),
            ]
            for (id, state) in expected { #expect(try await inspector.job(id)?.job.state == state, "\(id)") }
            #expect(try await inspector.job("missing") == nil)
        }
    }

    @Test func followsTheChainOfAttempts() async throws {
        try await withInspector { inspector, server in
            _ = try await server.command("HSET", "t:jobs:j", "que", "q", "las", "a3", "att", "3")
            for number in 1...3 {
                let key = "t:attempts:a\(number)"
                _ = try await server.command("HSET", key, "job", "j", "num", "\(number)", "time", "1.5", "err", "E")
                if number > 1 { _ = try await server.command("HSET", key, "prv", "a\(number - 1)") }
            }
            let all = try #require(try await inspector.job("j"))
            #expect(all.attempts.map(\.id) == ["a1", "a2", "a3"])
            #expect(all.attempts.map(\.number) == [1, 2, 3])
            #expect(all.attempts[0].processingTime == .microseconds(1500))
            #expect(!all.hasEarlierAttempts)
            let last = try #require(try await inspector.job("j", attempts: 2))
            #expect(last.attempts.map(\.id) == ["a2", "a3"])
            #expect(last.hasEarlierAttempts)
            // A chain that bites its tail ends.
            _ = try await server.command("HSET", "t:attempts:a1", "prv", "a3")
            #expect(try await inspector.job("j")?.attempts.count == 3)
        }
    }

    @Test func readsLeniently() async throws {
        try await withInspector { inspector, server in
            _ = try await server.command(
                "HSET",
                "t:jobs:j",
                "que",
                "q",
                "qat",
                "yesterday",
                "att",
                "-1",
                "ers",
                "1e400",
                "tmo",
                "1500.5",
                "mine",
                "x"
            )
            let job = try #require(try await inspector.job("j")?.job)
            #expect(job.queuedAt == nil && job.attempts == 0 && job.errors == 0 && job.arguments == nil)
            // The worker reads whole milliseconds alone.
            #expect(job.timeLimit == nil)
            #expect(job.otherFields.keys.sorted() == ["att", "ers", "mine", "qat", "tmo"])
            _ = try await server.command("SET", "t:jobs:s", "no hash")
            await #expect(throws: BackgroundError.self) { try await inspector.job("s") }
        }
    }

    // MARK: lists

    @Test func turnsPages() async throws {
        try await withInspector { inspector, server in
            let manager = try Manager(
                redis: RedisOptions(url: server.url, namespace: "t", connectTimeout: .seconds(30))
            )
            let ids = try await manager.enqueue("Nap", contentsOf: (0..<5).map { "{\"i\":\($0)}" }, queue: "q").map(
                \.id
            )
            await manager.close()
            _ = try await server.command("LMOVE", "t:ready:q", "t:handoff:q", "LEFT", "RIGHT")
            var seen: [String?] = []
            var offset: Int? = 0
            while let at = offset {
                let page = try await inspector.jobs(in: .ready, queue: "q", limit: 2, offset: at)
                seen += page.entries.map(\.id)
                offset = page.next
            }
            #expect(seen == ids)
            let first = try await inspector.jobs(in: .ready, queue: "q", limit: 2).entries
            #expect(first.map(\.job?.state) == [.handoff, .ready])
            #expect(first[0].job?.arguments?.text == "{\"i\":0}")
        }
    }

    @Test func listsAttemptsWithTheirJobs() async throws {
        try await withInspector { inspector, server in
            _ = try await server.command("HSET", "t:jobs:j", "que", "q", "cls", "C", "las", "a2", "end", "Dead")
            for id in ["a1", "a2"] { _ = try await server.command("HSET", "t:attempts:\(id)", "job", "j", "err", "E") }
            _ = try await server.command("ZADD", "t:failed:q", "1000", "a1", "2000", "a2", "3000", "trimmed")
            let page = try await inspector.jobs(in: .failed, queue: "q")
            #expect(page.entries.map(\.attempt?.id) == ["trimmed", "a2", "a1"])
            #expect(page.entries.map(\.id) == [nil, "j", "j"])
            #expect(page.entries.map(\.job?.state) == [nil, .dead, .dead])
            #expect(page.entries.map(\.time?.milliseconds) == [3000, 2000, 1000])
            _ = try await server.command("ZADD", "t:dead:q", "5000", "j")
            #expect(try await inspector.jobs(in: .dead, queue: "q").entries.map(\.job?.className) == ["C"])
        }
    }

    @Test func listsWhatRunsInFull() async throws {
        try await withInspector { inspector, server in
            let attempts = (0..<3000).map { "a\($0)" }
            _ = try await server.command(["SADD", "t:processing:q"] + attempts)
            var seen: Set<String> = []
            var offset: Int? = 0
            while let at = offset {
                let page = try await inspector.jobs(in: .processing, queue: "q", limit: 100, offset: at)
                #expect(page.entries.count < 1000)
                seen.formUnion(page.entries.compactMap(\.attempt?.id))
                offset = page.next
            }
            #expect(seen == Set(attempts))
        }
    }

    @Test func leavesLargeArgumentsOutOfLists() async throws {
        try await withInspector { inspector, server in
            let large = String(repeating: "x", count: 5000)
            _ = try await server.command("HSET", "t:jobs:j", "que", "q", "cls", "C", "arg", large)
            _ = try await server.command("RPUSH", "t:ready:q", "j")
            let job = try #require(try await inspector.jobs(in: .ready, queue: "q").entries[0].job)
            #expect(job.arguments == nil && job.argumentsSize == 5000)
            #expect(try await inspector.job("j")?.job.arguments?.bytes.count == 5000)
        }
    }
}
