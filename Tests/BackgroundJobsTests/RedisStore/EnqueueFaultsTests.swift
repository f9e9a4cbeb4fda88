import BackgroundJobs
import BackgroundJobsTesting
import BackgroundRedis
import TestSupport
import Testing

@Suite("Enqueuing that goes wrong", .timeLimit(.minutes(20)))
struct EnqueueFaultsTests {
    @Test("a push to a key of a wrong type leaves no hash behind", arguments: ["ready:bad", "scheduled:bad"])
    func wrongType(_ key: String) async throws {
        try await SharedRedis.withStore { redis in
            let name = "\(redis.keys.namespace):\(key)"
            try await redis.send("SET", name, "x")
            let due: NewJob.Due? = key.hasPrefix("ready") ? nil : .after(milliseconds: 60_000)
            let jobs = (0..<10).map {
                NewJob(id: "j\($0)", queue: $0 % 2 == 0 ? "bad" : "good", className: "C", arguments: [], due: due)
            }
            await #expect { try await redis.enqueue(jobs) } throws: { ($0 as? BackgroundError)?.code == .refused }
            let (snapshot, faults) = try await RedisSnapshot(redis).read()
            #expect(faults == ["\(name) is a string"])
            #expect(snapshot.jobs.keys.sorted() == ["j1", "j3", "j5", "j7", "j9"])
            #expect(snapshot.invariantViolations() == [])
        }
    }

    @Test("a key `queues` of a wrong type keeps no job from being queued")
    func wrongQueues() async throws {
        try await SharedRedis.withStore { redis in
            try await redis.send("SET", redis.keys.queues, "x")
            try await redis.enqueue([NewJob(id: "j", queue: "q", className: "C", arguments: [])])
            #expect(
                try await redis.send("LRANGE", redis.keys.ready("q"), "0", "-1") == .array([.string(Array("j".utf8))])
            )
        }
    }

    @Test("a thousand jobs are one transaction")
    func bulk() async throws {
        let server = try await RedisServer.start(tcp: false)
        try await withRedisStore(server) { redis in
            let jobs = (0..<1000).map { NewJob(id: "j\($0)", queue: "q", className: "C", arguments: []) }
            try await redis.enqueue(jobs)
            let info = try await redis.send("INFO", "commandstats").text ?? ""
            #expect(info.contains("cmdstat_exec:calls=1,"))
            #expect(info.contains("cmdstat_rpush:calls=1,"))
            #expect(try await redis.send("LLEN", redis.keys.ready("q")).int == 1000)
        }
        await server.stop()
    }

    @Test("a connection that breaks before Redis has done it: it is asked, and the job sent once more")
    func connectionKilled() async throws {
        let server = try await RedisServer.start(tcp: false)
        try await withRedisStore(server) { redis in
            _ = try await redis.serverTime()
            let id = try #require(redis.client.session?.clientID)
            _ = try await server.command("CLIENT", "PAUSE", "60000", "WRITE")
            async let enqueued = redis.enqueue([NewJob(id: "j", queue: "q", className: "C", arguments: [])])
            // In a transaction (x) that is held up (b).
            while try await server.command("CLIENT", "LIST", "ID", "\(id)").text?.contains(" flags=xb") != true {}
            _ = try await server.command("CLIENT", "KILL", "ID", "\(id)")
            _ = try await server.command("CLIENT", "UNPAUSE")
            _ = try await enqueued
            #expect(redis.client.session?.clientID != id)
            #expect(
                try await redis.send("LRANGE", redis.keys.ready("q"), "0", "-1") == .array([.string(Array("j".utf8))])
            )
        }
        await server.stop()
    }
}
