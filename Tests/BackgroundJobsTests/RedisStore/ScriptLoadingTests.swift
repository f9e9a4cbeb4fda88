import BackgroundJobs
import BackgroundJobsTesting
import BackgroundRedis
import TestSupport
import Testing

@Suite("Scripts that Redis forgets", .timeLimit(.minutes(20)))
struct ScriptLoadingTests {
    @Test("a flush between calls goes unnoticed, by each verb")
    func between() async throws {
        for verb in DamageScenario.Verb.allCases {
            try await DamageScenario.with { scenario in
                try await scenario.redis.send("SCRIPT", "FLUSH")
                _ = try await scenario.run(verb)
                #expect(try await scenario.violations() == [])
            }
        }
    }

    @Test("flushes during calls go unnoticed")
    func during() async throws {
        let server = try await RedisServer.start(tcp: false)
        let flushing = Task {
            try await withRedisStore(server) { redis in
                var flushes = 0
                while !Task.isCancelled, (try? await redis.send("SCRIPT", "FLUSH", "ASYNC")) != nil { flushes += 1 }
                return flushes
            }
        }
        try await withRedisStore(server) { redis in
            let store = StoreUnderTest(redis: redis)
            for index in 0..<300 {
                try await store.enqueue("j\(index)")
                let job = try await store.claimOne()
                #expect(job.id == "j\(index)")
                #expect(try await store.finish(job) == nil)
            }
            #expect(try await store.counters() == ["completed": 300])
        }
        flushing.cancel()
        #expect(try await flushing.value > 100)
        await server.stop()
    }
}
