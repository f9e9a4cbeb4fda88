import BackgroundJobs
import BackgroundJobsTesting
import BackgroundRedis
import Testing

@Suite("An end that could not be told to all that wait for it", .timeLimit(.minutes(20)))
struct TieDamageTests {
    private func job(_ id: String, _ queue: String = "q", _ fields: [JobOptions.Field] = [], waits: Bool) -> NewJob {
        NewJob(id: id, queue: queue, className: "C", arguments: [], fields: fields, isWaiting: waits)
    }

    private func expectKept(_ store: StoreUnderTest, _ job: ClaimedJob, because sentence: String) async throws {
        guard case .damaged(let found)? = try await store.finish(job) else {
            Issue.record("it was written")
            return
        }
        #expect(found == sentence)
        #expect(try await store.set("processing:q") == [job.attempt])
    }

    /// As long as a name may be.
    private static let long = String(repeating: "r", count: 128)

    @Test("is kept where the next job names no queue, and says which job that is", arguments: ["a b", "", long + "r"])
    func noQueue(_ queue: String) async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            let store = StoreUnderTest(redis: redis)
            try await redis.enqueueTogether([
                job("a", "q", [("nxt", "b")], waits: false), job("b", "q", [("aft", "a")], waits: true),
            ])
            let a = try await store.claimOne()
            try await redis.send(command: ["HSET", "ns:jobs:b", "que", queue])
            try await expectKept(store, a, because: "ns:jobs:b: que is no name of a queue")
            try await redis.send(command: ["HSET", "ns:jobs:b", "que", Self.long])
            #expect(try await store.finish(a) == nil)
            #expect(try await store.list("ready:\(Self.long)") == ["b"])
        }
    }

    @Test("is kept where the callback of the outermost of 16 batches is damaged")
    func outermost() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            let store = StoreUnderTest(redis: redis)
            for level in 1...16 {
                let batch = NewBatch(
                    id: "b\(level)",
                    parent: level == 1 ? nil : "b\(level - 1)",
                    onComplete: job("done\(level)", "callbacks", waits: true)
                )
                #expect(try await redis.open(batch) == .done)
            }
            _ = try await redis.add([job("m", waits: false)], to: "b16")
            for level in 1...16 { _ = try await redis.close("b\(level)") }
            let member = try await store.claimOne()
            try await redis.send(command: ["HSET", "ns:jobs:done1", "que", "a b"])
            try await expectKept(store, member, because: "ns:jobs:done1: que is no name of a queue")
            #expect(try await store.batch("b16").pending == 1)
            try await redis.send(command: ["HSET", "ns:jobs:done1", "que", "callbacks"])
            #expect(try await store.finish(member) == nil)
            #expect(try await store.list("ready:callbacks").count == 16)
        }
    }

    @Test("leaves a step that could not be recorded as cancelled, and a retry by hand makes it wait again for good")
    func recalled() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            let store = StoreUnderTest(redis: redis)
            try await redis.enqueueTogether([
                job("a", "q", [("nxt", "b")], waits: false), job("b", "r", [("aft", "a")], waits: true),
            ])
            try await redis.send(command: ["SET", "ns:ended:r", "x"])
            #expect(try await store.finish(store.claimOne(), .cancelled(message: "")) == nil)
            #expect(try await store.job("b")?["end"] == "Cancelled")
            #expect(try await store.timeToLive(ofJob: "b") != nil)
            try await redis.send(command: ["DEL", "ns:ended:r"])
            #expect(try await redis.retry(["a"], onlyDead: false) == [.queued])
            let waiting = try #require(try await store.job("b"))
            #expect(waiting["blk"] == "1" && waiting["end"] == nil)
            #expect(try await store.timeToLive(ofJob: "b") == nil)
        }
    }
}
