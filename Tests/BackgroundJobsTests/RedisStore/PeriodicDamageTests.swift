import BackgroundJobs
import BackgroundJobsTesting
import BackgroundRedis
import Testing

@Suite("A periodic job that nobody has declared so", .timeLimit(.minutes(20)))
struct PeriodicDamageTests {
    private func firing(_ due: Int64) -> Firing {
        Firing(name: "p", due: due, time: due, next: .at(1 << 50), expression: "every:1000", job: "j")
    }

    private func write(_ redis: RedisStore, score: String, fields: Int = 4) async throws {
        let more = (4..<fields).flatMap { ["f\($0)", "x"] }
        try await redis.send(
            command: ["HSET", "ns:cron:p", "exp", "every:1000", "cls", "C", "que", "q", "arg", "{}"] + more
        )
        try await redis.send(command: ["ZADD", "ns:crons", score, "p"])
    }

    @Test("is not waited for beyond what times can be")
    func farAway() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            try await write(redis, score: "\(1 << 60)")
            #expect(try await redis.due(limit: 9, offset: 0).wait == nil)
            try await write(redis, score: "\(1 << 53)")
            #expect(try await redis.due(limit: 9, offset: 0).wait ?? 0 > 1 << 52)
        }
    }

    @Test("is due since the beginning where its time lies before that", arguments: ["-inf", "-1", "0.9"])
    func longAgo(_ score: String) async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            try await write(redis, score: score)
            #expect(try await redis.due(limit: 9, offset: 0).entries.map(\.due) == [0])
            #expect(try await redis.fire([firing(0)]) == [.fired])
            #expect(try await redis.send(command: ["ZSCORE", "ns:crons", "p"]).int == 1 << 50)
        }
    }

    @Test("is named among those that are due where its key is of a wrong type")
    func wrongType() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            try await redis.send(command: ["SET", "ns:cron:p", "x"])
            try await redis.send(command: ["ZADD", "ns:crons", "1", "p"])
            let sentence = "ns:cron:p: WRONGTYPE ns:cron:p holds a string"
            #expect(
                try await redis.due(limit: 9, offset: 0).entries
                    == [DuePeriodics.Entry(name: "p", due: 1, fields: .damaged(sentence))]
            )
            #expect(try await redis.fire([firing(1)]) == [.damaged(sentence)])
        }
    }

    @Test("is fired with a thousand fields, and not with more")
    func size() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            try await write(redis, score: "1", fields: 1001)
            #expect(try await redis.fire([firing(1)]) == [.damaged("ns:cron:p has 1001 fields")])
            try await redis.send(command: ["HDEL", "ns:cron:p", "f1000"])
            #expect(try await redis.fire([firing(1)]) == [.fired])
            #expect(try await redis.send(command: ["HGET", "ns:jobs:j", "f999"]).text == "x")
        }
    }
}
