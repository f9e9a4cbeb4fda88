import BackgroundJobs
import BackgroundJobsTesting
import BackgroundRedis
import Testing

@Suite("A job that is taken out, where a key that it takes is damaged", .timeLimit(.minutes(20)))
struct WaitingDamageTests {
    /// `a`, which waits for workers of a name.
    private func putAside(_ redis: RedisStore) async throws {
        try await StoreUnderTest(redis: redis).enqueue("a")
        try await redis.send(command: ["RENAME", "ns:ready:q", "ns:placed:q:on:web1"])
        try await redis.send(command: ["HSET", "ns:jobs:a", "pla", "on:web1"])
        try await redis.send(command: ["SADD", "ns:places", "q:on:web1"])
    }

    private func damage(_ key: String, _ redis: RedisStore) async throws {
        try await redis.send(command: ["DEL", "ns:\(key)"])
        try await redis.send(command: ["XADD", "ns:\(key)", "*", "x", "y"])
    }

    private func expectRefusals(_ redis: RedisStore, _ key: String) async throws {
        let before = try await redis.send(command: ["HGETALL", "ns:jobs:a"])
        let size = try await redis.send(command: ["DBSIZE"])
        let dequeuing = await #expect(throws: BackgroundError.self) { try await redis.dequeue("a") }
        let cancelling = await #expect(throws: BackgroundError.self) { try await redis.cancel("a", recordedAs: "x") }
        for error in [dequeuing, cancelling] {
            #expect(error?.message.contains("ns:\(key) holds a stream") == true)
        }
        #expect(try await redis.send(command: ["HGETALL", "ns:jobs:a"]) == before)
        #expect(try await redis.send(command: ["DBSIZE"]) == size)
    }

    @Test("stays where it is put aside, if that can't be searched", arguments: ["placed:q:on:web1", "places"])
    func place(_ key: String) async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            try await putAside(redis)
            try await damage(key, redis)
            try await expectRefusals(redis, key)
        }
    }

    @Test("stays where what waits for it could not be let go", arguments: ["ready:r", "scheduled:r", "jobs:b"])
    func ties(_ key: String) async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            try await redis.enqueueTogether([
                NewJob(id: "a", queue: "q", className: "C", arguments: [], fields: [("nxt", "b")]),
                NewJob(id: "b", queue: "r", className: "C", arguments: [], fields: [("aft", "a")], isWaiting: true),
            ])
            try await damage(key, redis)
            try await expectRefusals(redis, key)
            #expect(try await redis.send(command: ["LLEN", "ns:ready:q"]).int == 1)
        }
    }

    @Test("stays at the tail of its list when that is cleared, and is told of")
    func cleared() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            let store = StoreUnderTest(redis: redis)
            try await redis.enqueueTogether([
                NewJob(id: "a", queue: "q", className: "C", arguments: [], fields: [("nxt", "b")]),
                NewJob(id: "b", queue: "r", className: "C", arguments: [], fields: [("aft", "a")], isWaiting: true),
            ])
            try await store.enqueue("x")
            try await damage("ready:r", redis)
            let step = try await redis.clear(.ready, of: "q", limit: 1)
            #expect(step.taken == 0 && step.done == 0 && step.problems.count == 1)
            #expect(try await store.list("ready:q") == ["x", "a"])
            #expect(try await redis.clear(.ready, of: "q", limit: 1) == WaitingStep(taken: 1, done: 1))
            try await redis.send(command: ["DEL", "ns:ready:q"])
            try await redis.send(command: ["ZADD", "ns:scheduled:q", "1", "a"])
            #expect(try await redis.clear(.scheduled, of: "q", limit: 9).problems.count == 1)
            #expect(try await store.ranked("scheduled:q") == ["a"])
            #expect(try await redis.send(command: ["HGET", "ns:jobs:a", "nxt"]).text == "b")
        }
    }

    @Test("goes where it does not need that key")
    func unneeded() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            try await StoreUnderTest(redis: redis).enqueue("a", "b", "c")
            try await damage("places", redis)
            #expect(try await redis.clear(.ready, of: "q", limit: 1) == WaitingStep(taken: 1, done: 1))
            #expect(try await redis.move(.ready, from: "q", to: "r", limit: 1) == WaitingStep(taken: 1, done: 1))
            #expect(try await redis.dequeue("c") == .dequeued)
        }
    }

    @Test("is dead still where the batch that would wait for it again is damaged, and another one is run")
    func retriedInBatch() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            let store = StoreUnderTest(redis: redis)
            _ = try await redis.open(NewBatch(id: "g"))
            let members = ["a", "b"].map { NewJob(id: $0, queue: "q", className: "C", arguments: []) }
            _ = try await redis.add([members[0]], to: "g")
            try await redis.enqueue([members[1]])
            for job in try await store.claim(2).jobs { try await store.finish(job, .dead(error: "E", message: "")) }
            try await damage("batch:g", redis)
            try await redis.send(command: ["XADD", "ns:jobs:c", "*", "x", "y"])
            let verdicts = try await redis.retry(["a", "b", "c"], onlyDead: true)
            #expect(
                verdicts == [
                    .damaged("ns:batch:g: WRONGTYPE ns:batch:g holds a stream"), .queued,
                    .damaged("WRONGTYPE ns:jobs:c holds a stream"),
                ]
            )
            #expect(try await store.job("a")?["end"] == "Dead")
            #expect(try await store.list("ready:q") == ["b"])
        }
    }

    @Test("and was cancelled is not run again, and another one is", arguments: ["placed:q:on:web1", "places"])
    func retried(_ key: String) async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            try await putAside(redis)
            // As one that was cancelled in a list too long to be searched.
            try await redis.send(command: ["HSET", "ns:jobs:a", "end", "Cancelled"])
            try await StoreUnderTest(redis: redis).enqueue("b")
            #expect(try await redis.cancel("b", recordedAs: "x") == .cancelled)
            try await damage(key, redis)
            let before = try await redis.send(command: ["HGETALL", "ns:jobs:a"])
            let verdicts = try await redis.retry(["a", "b"], onlyDead: false)
            guard case .damaged(let sentence) = verdicts[0] else {
                Issue.record("it was not refused: \(verdicts)")
                return
            }
            #expect(sentence.contains("ns:\(key) holds a stream") && verdicts[1] == .queued)
            #expect(try await redis.send(command: ["HGETALL", "ns:jobs:a"]) == before)
        }
    }
}
