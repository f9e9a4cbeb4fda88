import BackgroundJobsTesting
import BackgroundRedis
import TestSupport
import Testing

@testable import BackgroundJobs

/// What a watcher sees: of this there is nothing in the store in memory.
@Suite("A watcher's look", .timeLimit(.minutes(2)))
struct LookTests {
    private static let much: Int64 = 9_007_199_254_740_991

    private func kept(_ count: Int64, _ age: Int64?) -> [TrimmedSet: Look.Kept] {
        Dictionary(uniqueKeysWithValues: TrimmedSet.allCases.map { ($0, Look.Kept(count: count, age: age)) })
    }

    @Test("finds nothing where there is nothing")
    func nothing() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            let look = try await redis.look(["q"], readsQueues: true)
            #expect(try look.stored?.get() == [])
            #expect(look.places == 0 && look.firing == nil)
            #expect(look.queues == ["q": Look.Queue(due: nil, handoff: 0, processing: 0, kept: kept(0, nil))])
            let none = try await redis.look([], readsQueues: false)
            #expect(none.stored == nil && none.queues.isEmpty)
        }
    }

    @Test("tells of the server")
    func server() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            let store = StoreUnderTest(redis: redis)
            let before = try await store.now()
            let facts = try await redis.look([], readsQueues: false).facts
            #expect((before...(try await store.now())).contains(facts.time))
            let info = try await redis.send("INFO", "server").text ?? ""
            #expect(facts.runID == ServerInfo(info).runID && facts.runID.utf8.count == 40)
            #expect(facts.isMaster && facts.session == redis.client.session?.number)
        }
    }

    @Test("tells of each queue what there is to do, and when")
    func something() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            let before = try await StoreUnderTest(redis: redis).now()
            try await redis.send("SADD", "ns:queues", "p", "q")
            try await redis.send("SADD", "ns:places", "q:on:a", "q:on:b")
            try await redis.send("ZADD", "ns:crons", "+inf", "paused", "\(before + 90_000)", "p")
            try await redis.send("ZADD", "ns:scheduled:q", "\(before + 60_000)", "a", "\(before + 99_000)", "b")
            try await redis.send("ZADD", "ns:scheduled:p", "\(before - 60_000)", "a")
            try await redis.send("RPUSH", "ns:handoff:q", "a", "b")
            try await redis.send("SADD", "ns:processing:q", "a", "b", "c")
            for (index, set) in ["completed", "failed", "ended", "dead"].enumerated() {
                let age = Int64(index + 1) * 100_000
                try await redis.send("ZADD", "ns:\(set):q", "\(before - age)", "a", "\(before - 1)", "b")
            }
            try await redis.send("ZADD", "ns:dead:p", "\(before + 500_000)", "a")
            let look = try await redis.look(["q", "p", "r"], readsQueues: true)
            let passed = try await StoreUnderTest(redis: redis).now() - before
            #expect(try look.stored?.get().sorted() == ["p", "q"])
            #expect(look.places == 2)
            #expect((90_000 - passed...90_000).contains(try #require(look.firing)))
            let q = try #require(look.queues["q"])
            #expect((60_000 - passed...60_000).contains(try #require(q.due)))
            #expect(q.handoff == 2 && q.processing == 3)
            for (index, set) in [TrimmedSet.completed, .failed, .ended, .dead].enumerated() {
                let age = Int64(index + 1) * 100_000
                #expect(q.kept[set]?.count == 2)
                #expect((age...age + passed).contains(try #require(q.kept[set]?.age)))
            }
            let p = try #require(look.queues["p"])
            #expect(p.due == 0 && p.kept[.dead] == Look.Kept(count: 1, age: 0))
            #expect(look.queues["r"]?.due == nil)
            try await redis.send("ZREM", "ns:crons", "p")
            #expect(try await redis.look([], readsQueues: false).firing == nil, "one that is paused is not due")
        }
    }

    @Test("times that nobody can mean are as far away as can be told")
    func farAway() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            try await redis.send("ZADD", "ns:scheduled:q", "1e300", "a")
            try await redis.send("ZADD", "ns:scheduled:p", "-inf", "a")
            try await redis.send("ZADD", "ns:dead:q", "-inf", "a")
            try await redis.send("ZADD", "ns:dead:p", "inf", "a")
            try await redis.send("ZADD", "ns:crons", "-1e300", "a")
            let look = try await redis.look(["q", "p"], readsQueues: false)
            #expect(look.queues["q"]?.due == Self.much && look.queues["p"]?.due == 0)
            #expect(look.queues["q"]?.kept[.dead] == Look.Kept(count: 1, age: Self.much))
            #expect(look.queues["p"]?.kept[.dead] == Look.Kept(count: 1, age: nil))
            #expect(look.firing == 0)
        }
    }

    @Test("what is of a wrong type counts as much to do, now")
    func wrongTypes() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            let names = ["queues", "places", "crons"]
            let kinds = ["scheduled", "handoff", "processing", "completed", "failed", "ended", "dead"]
            for name in names + kinds.map({ "\($0):q" }) { try await redis.send("SET", "ns:\(name)", "x") }
            let look = try await redis.look(["q", "p"], readsQueues: true)
            let error = #expect(throws: BackgroundError.self) { try look.stored?.get() }
            #expect(error?.code == .damaged && error?.message.contains("ns:queues") == true)
            #expect(look.places == Self.much && look.firing == 0)
            let damaged = Look.Queue(due: 0, handoff: Self.much, processing: Self.much, kept: kept(Self.much, 0))
            #expect(look.queues["q"] == damaged)
            #expect(look.queues["p"]?.processing == 0)
        }
    }
}
