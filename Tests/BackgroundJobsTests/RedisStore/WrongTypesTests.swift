import BackgroundJobs
import BackgroundJobsTesting
import BackgroundRedis
import TestSupport
import Testing

@Suite("Keys of a wrong type", .serialized, .timeLimit(.minutes(5)))
struct WrongTypesTests {
    static let types: [String: [String]] = [
        "string": ["SET", "", "x"], "list": ["RPUSH", "", "x"], "set": ["SADD", "", "x"],
        "zset": ["ZADD", "", "1", "x"],
        "hash": ["HSET", "", "x", "y"], "stream": ["XADD", "", "*", "x", "y"],
    ]

    /// Each key that the scripts touch, with its right type, and the verbs that have to tell of it.
    struct Key: Sendable, CustomTestStringConvertible {
        var name: String
        var type: String
        var reporters: Set<DamageScenario.Verb> = []
        var testDescription: String { name }
    }

    static let keys = [
        Key(name: "queues", type: "set"),
        Key(name: "paused", type: "set", reporters: [.exchange]),
        Key(name: "processing:q", type: "set", reporters: [.exchange, .adopt, .reap]),
        Key(name: "ready:q", type: "list", reporters: [.exchange, .reap, .promote, .recover, .dequeue]),
        Key(name: "handoff:q", type: "list", reporters: [.exchange, .recover, .dequeue]),
        Key(name: "suspects:q", type: "list", reporters: [.exchange, .reap, .dequeue]),
        Key(name: "places", type: "set", reporters: [.exchange]),
        Key(name: "placed:q:on:elsewhere", type: "list", reporters: [.exchange]),
        Key(name: "wake:q:on:elsewhere", type: "list", reporters: [.exchange]),
        Key(name: "scheduled:q", type: "zset", reporters: [.exchange, .reap, .promote, .dequeue]),
        Key(name: "completed:q", type: "zset", reporters: [.exchange, .trimCompleted]),
        Key(name: "failed:q", type: "zset", reporters: [.exchange, .reap, .trimFailed]),
        Key(name: "ended:q", type: "zset", reporters: [.exchange, .reap, .trimEnded]),
        Key(name: "dead:q", type: "zset", reporters: [.exchange, .reap, .trimDead]),
        Key(name: "stats:q", type: "hash", reporters: [.exchange]),
        Key(name: "attempts:q-run0-attempt", type: "hash", reporters: [.exchange, .adopt, .reap]),
        Key(name: "attempts:q-run1-attempt", type: "hash", reporters: [.exchange, .adopt, .reap]),
        Key(name: "attempts:q-run4-attempt", type: "hash", reporters: [.adopt, .reap]),
        Key(name: "attempts:q-over0-attempt", type: "hash"),
        Key(name: "attempts:q-over3-attempt", type: "hash"),
        Key(name: "attempts:offered-1", type: "hash", reporters: [.exchange]),
        Key(name: "jobs:q-run1", type: "hash", reporters: [.exchange, .reap]),
        Key(name: "jobs:q-run5", type: "hash", reporters: [.reap]),
        Key(name: "jobs:q-wait", type: "hash", reporters: [.exchange, .dequeue]),
        Key(name: "jobs:q-over3", type: "hash"),
    ]

    @Test(
        "what needs it is reported and nothing of it is half done; all else goes on",
        arguments: keys,
        DamageScenario.Verb.allCases
    )
    func eachVerb(_ key: Key, _ verb: DamageScenario.Verb) async throws {
        for (type, command) in Self.wrongTypes(key, verb) {
            try await DamageScenario.with { scenario in
                let name = "\(scenario.redis.keys.namespace):\(key.name)"
                _ = try await scenario.redis.send("DEL", name)
                try await scenario.redis.send(command: command.map { $0.isEmpty ? name : $0 })
                let before = try await scenario.image()
                let violations = try await scenario.violations()
                let isReported = try await scenario.run(verb)
                let after = try await scenario.image()
                let context: Comment = "\(verb) with \(key.name) as a \(type)"
                if key.reporters.contains(verb) { #expect(isReported, context) }
                if !Self.mayGo(key, verb) { #expect(after[name] == before[name], context) }
                #expect(try await scenario.violations().subtracting(violations) == [], context)
                if verb.mayThrow, key.reporters.contains(verb) {
                    let own = { (image: [String: RESPValue]) in
                        image.filter { $0.key.contains("q") && !$0.key.contains(":p") }
                    }
                    let changed = own(after).filter { own(before)[$0.key] != $0.value }.keys
                    #expect(changed.isEmpty && own(after).count == own(before).count, context)
                }
            }
        }
    }

    @Test(
        "a claim leaves a queue out where any of its keys is of a wrong type, and names the key",
        arguments: [
            "completed", "failed", "ended", "dead", "scheduled", "ready", "suspects", "handoff", "processing",
        ],
        [true, false]
    )
    func leftOut(_ kind: String, _ mayTakeSuspect: Bool) async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            let store = StoreUnderTest(redis: redis)
            if kind != "ready" { try await store.enqueue("a") }
            try await store.enqueue("b", queue: "p")
            try await redis.send(command: ["SET", "ns:\(kind):q", "x"])
            let claim = Claim(wanted: 3, mayTakeSuspect: mayTakeSuspect, queues: ["q", "p"], offered: ["x", "y", "z"])
            let claimed = try await redis.exchange([], claim, as: StoreUnderTest.voucher)
            #expect(claimed.jobs.map(\.id) == ["b"])
            #expect(claimed.notices.map(\.queue) == ["q"])
            #expect(claimed.notices.first?.sentence.contains("ns:\(kind):q") == true)
        }
    }

    /// All wrong types in a full run, else one, in turn.
    private static func wrongTypes(_ key: Key, _ verb: DamageScenario.Verb) -> [(String, [String])] {
        let types = types.filter { $0.key != key.type }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        guard !DamageScenario.isFull else { return types }
        let index =
            (keys.firstIndex { $0.name == key.name } ?? 0) + (DamageScenario.Verb.allCases.firstIndex(of: verb) ?? 0)
        return [types[index % types.count]]
    }

    /// A trimmed attempt's key goes, whatever it holds.
    private static func mayGo(_ key: Key, _ verb: DamageScenario.Verb) -> Bool {
        key.name.hasPrefix("attempts:q-over") && verb.rawValue.hasPrefix("trim")
    }
}

extension RedisStore {
    /// Sends one command, whatever is in it.
    @discardableResult
    func send(command parts: [String]) async throws -> RESPValue {
        var pipeline = Pipeline()
        pipeline.command(parts)
        return try await send(pipeline)[0].orThrow()
    }
}
