import BackgroundJobs
import BackgroundJobsTesting
import BackgroundRedis
import Testing

/// What stands in a worker's log of damage that it has met: whoever is to mend it goes by these words.
@Suite("A call says what it has met, and where", .timeLimit(.minutes(20)))
struct SentencesTests {
    private func damage(_ key: String, _ redis: RedisStore) async throws {
        try await redis.send(command: ["XADD", "ns:\(key)", "*", "x", "y"])
    }

    private func finish(_ redis: RedisStore, _ jobs: [ClaimedJob], _ ending: Ending) async throws -> [String] {
        let finishes = jobs.map {
            Finish(attempt: $0.attempt, queue: $0.queue, job: $0.id, milliseconds: 1, ending: ending)
        }
        let exchange = try await redis.exchange(finishes, .none, as: StoreUnderTest.voucher)
        #expect(exchange.exceptions.isEmpty && exchange.notices.allSatisfy { $0.queue == "q" })
        return exchange.notices.map(\.sentence)
    }

    @Test("of what is dropped, recorded, or has fields that can't be read")
    func jobs() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            let store = StoreUnderTest(redis: redis)
            try await store.enqueue("runs")
            _ = try await store.claim(1, offered: ["o0"])
            try await store.enqueue("j", "over", "bad", "p", "late")
            try await store.edit { data in
                for (field, value) in [("dlv", "?"), ("crm", "many"), ("crw", "-1"), ("att", "x"), ("pat", "y")] {
                    data.jobs["j"]?[field] = value
                }
                data.jobs["over"]?["end"] = "Discarded"
                data.jobs["bad"]?["cls"] = nil
                data.jobs["p"]?["on"] = "no name:"
                data.jobs["late"]?["exp"] = "1000"
                data.lists["ready:q"] = ["j", "j", "over", "runs", "none", "bad", "p", "late"]
            }
            let claim = Claim(wanted: 9, queues: ["q"], offered: (1...9).map { "o\($0)" })
            let notices = try await redis.exchange([], claim, as: StoreUnderTest.voucher).notices
            #expect(notices.allSatisfy { $0.queue == "q" })
            #expect(
                notices.dropLast().map(\.sentence) == [
                    "job j: dlv is neither amo nor alo: ?", "job j: crm is no number: many",
                    "job j: crw is no number: -1", "job j: att is no number: x", "job j: pat is no number: y",
                    "dropped a second copy of job j", "dropped job over: it has ended as Discarded",
                    "dropped job runs: its last attempt is running or has succeeded",
                    "job none: Job Not Found, there is no hash ns:jobs:none (attempt o2)",
                    "job bad: Bad Job, the hash has no field cls (attempt o3)",
                    "job p: may run on any node: no name: is no name of a node",
                ]
            )
            let late = try #require(notices.last?.sentence)
            #expect(late.hasPrefix("job late: Expired, ") && late.hasSuffix(" ms too late (attempt o5)"), "\(late)")
        }
    }

    @Test("of keys that are of a wrong type")
    func keys() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            let store = StoreUnderTest(redis: redis)
            let elsewhere = NewJob(id: "a", queue: "q", className: "C", arguments: [], fields: [("on", "web1")])
            try await redis.enqueue([elsewhere])
            for key in ["paused", "places", "ready:r", "wake:q:on:web1", "attempts:o1"] { try await damage(key, redis) }
            func claim(_ queues: [String]) async throws -> [[String]] {
                let claim = Claim(wanted: 3, queues: queues, offered: ["o1", "o2", "o3"])
                let exchange = try await redis.exchange([], claim, as: StoreUnderTest.voucher)
                return exchange.notices.map { [$0.queue, $0.sentence] }
            }
            let common = [
                ["", "attempt o1 passed over: its ID has been used before"],
                ["", "no queue counts as paused: ns:paused: WRONGTYPE ns:paused holds a stream"],
                ["", "no job that was set aside is looked for: WRONGTYPE ns:places holds a stream"],
            ]
            let any = "job a: may run on any node: ns:places holds a stream, not a set"
            #expect(
                try await claim(["r", "q"]) == common + [
                    ["r", "left out: ns:ready:r holds a stream, not a list"], ["q", any],
                ]
            )
            try await redis.send(command: ["DEL", "ns:places"])
            try await store.enqueue("b", queue: "s")
            try await redis.send(command: ["HSET", "ns:jobs:b", "on", "web1"])
            try await damage("placed:s:on:web1", redis)
            var other = elsewhere
            other.id = "c"
            try await redis.enqueue([other])
            #expect(
                try await claim(["s", "q"]) == common.prefix(2) + [
                    ["s", "job b: may run on any node: ns:placed:s:on:web1 holds a stream, not a list"],
                    ["", "nobody is woken: WRONGTYPE ns:wake:q:on:web1 holds a stream"],
                ]
            )
        }
    }

    @Test("of an attempt that ends alone")
    func alone() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            let store = StoreUnderTest(redis: redis)
            try await store.enqueue("gone", "over", "twice", "odd", "counted")
            let jobs = try await store.claim(5, offered: ["o1", "o2", "o3", "o4", "o5"]).jobs
            try await store.edit { data in
                data.jobs["gone"] = nil
                data.jobs["over"]?["end"] = "Discarded"
                data.attempts["other"] = data.attempts["o3"]
                data.sets["processing:q"]?.insert("other")
                data.jobs["twice"]?["las"] = "other"
                data.jobs["counted"]?["ers"] = "x"
            }
            try await redis.send(command: ["DEL", "ns:jobs:odd"])
            try await damage("jobs:odd", redis)
            #expect(
                try await finish(redis, jobs, .dead(error: "", message: "")) == [
                    "job gone: only its attempt o1 ended: there is no such hash",
                    "job over: only its attempt o2 ended: it had ended before",
                    "job twice: only its attempt o3 ended: another attempt of it is in force",
                    "job odd: only its attempt o4 ended: WRONGTYPE ns:jobs:odd holds a stream",
                    "job counted: ers of the job was no number: x",
                ]
            )
            #expect(try await redis.send(command: ["HGET", "ns:attempts:o5", "err"]).text == "Error", "some error")
        }
    }
}
