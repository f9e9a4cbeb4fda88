import BackgroundJobs
import BackgroundJobsTesting
import BackgroundRedis
import Testing

@Suite("A dead job that is deleted", .timeLimit(.minutes(20)))
struct DeadDamageTests {
    @Test("stays whole where one of its attempts can't be taken out, and the others go")
    func whole() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            let store = StoreUnderTest(redis: redis)
            try await store.enqueue("a", "b", "c", "d")
            for job in try await store.claim(4, offered: ["xa", "xb", "xc", "xd"]).jobs {
                try await store.finish(job, .dead(error: "E", message: ""))
            }
            try await redis.send(command: ["DEL", "ns:attempts:xa"])
            for key in ["attempts:xa", "failed:r"] {
                try await redis.send(command: ["XADD", "ns:\(key)", "*", "x", "y"])
            }
            try await redis.send(command: ["HSET", "ns:attempts:xb", "que", "r"])
            try await redis.send(command: ["HDEL", "ns:attempts:xc", "que"])
            let deleted = try await redis.delete(["a", "b", "c", "d"], from: .dead, of: "q")
            #expect(deleted.gone == ["c", "d"])
            let sentences = [
                "a": "job a stays as it is: ns:attempts:xa: WRONGTYPE ns:attempts:xa holds a stream",
                "b": "job b stays as it is: ns:failed:r holds a stream, not a zset",
            ]
            #expect(deleted.problems == sentences)
            #expect(try await store.ranked("dead:q") == ["a", "b"])
            #expect(try await redis.send(command: ["EXISTS", "ns:attempts:xb", "ns:attempts:xc"]).int == 1)
        }
    }
}
