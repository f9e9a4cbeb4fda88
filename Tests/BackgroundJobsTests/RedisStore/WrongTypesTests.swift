import BackgroundJobs
import BackgroundJobsTesting
import BackgroundRedis
import TestSupport
import Testing

@Suite("Keys of a wrong type", .serialized, .timeLimit(.minutes(20)))
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
        var reporters: Set<DamageScenario.Verb>
        var testDescription: String { name }

        init(_ name: String, _ type: String, _ reporters: Set<DamageScenario.Verb> = []) {
            self.name = name
            self.type = type
            self.reporters = reporters
        }
    }

    static let keys = [
        Key("queues", "set", [.enqueue, .retry, .together, .open, .add, .close, .fire, .runPeriodic, .move]),
        Key("paused", "set", [.exchange, .pause]),
        Key("processing:q", "set", [.exchange, .adopt, .reap, .cancelRunning, .retry, .note, .clear, .move]),
        Key(
            "ready:q",
            "list",
            [
                .exchange, .reap, .promote, .recover, .dequeue, .enqueue, .cancelWaiting, .retry, .fallBack, .together,
                .open, .add, .close, .fire, .runPeriodic, .clear, .move,
            ]
        ),
        Key("handoff:q", "list", [.exchange, .recover, .dequeue, .enqueue, .cancelWaiting, .retry, .clear, .move]),
        Key("suspects:q", "list", [.exchange, .reap, .dequeue, .enqueue, .cancelWaiting, .retry, .clear, .move]),
        Key("places", "set", [.exchange, .fallBack]),
        Key("placed:q:on:elsewhere", "list", [.exchange]),
        Key("placed:q:on:absent", "list", [.fallBack]),
        Key("wake:q:on:elsewhere", "list", [.exchange]),
        Key(
            "scheduled:q",
            "zset",
            [
                .exchange, .reap, .promote, .dequeue, .enqueue, .cancelWaiting, .retry, .together, .open, .add, .close,
                .clear, .move,
            ]
        ),
        Key("completed:q", "zset", [.exchange, .trimCompleted]),
        Key("failed:q", "zset", [.exchange, .reap, .trimFailed, .trimDead, .deleteFailed, .deleteDead]),
        Key(
            "ended:q",
            "zset",
            [.exchange, .reap, .trimEnded, .trimDead, .deleteDead, .enqueue, .cancelWaiting, .clear, .move]
        ),
        Key(
            "dead:q",
            "zset",
            [.exchange, .reap, .trimDead, .deleteDead, .enqueue, .cancelWaiting, .retry, .clear, .move]
        ),
        Key("stats:q", "hash", [.exchange]),
        Key("attempts:q-run0-attempt", "hash", [.exchange, .adopt, .reap]),
        Key("attempts:q-run1-attempt", "hash", [.exchange, .adopt, .reap]),
        Key("attempts:q-run4-attempt", "hash", [.adopt, .reap, .note]),
        Key("attempts:q-over0-attempt", "hash"),
        Key("attempts:q-over3-attempt", "hash", [.trimDead, .deleteDead]),
        Key("attempts:offered-1", "hash", [.exchange]),
        Key("attempts:q-record", "hash", [.cancelWaiting]),
        Key("jobs:q-run1", "hash", [.exchange, .reap]),
        Key("jobs:q-run4", "hash", [.reap, .cancelRunning, .ends]),
        Key("jobs:q-run5", "hash", [.reap]),
        Key("jobs:q-wait", "hash", [.exchange, .dequeue, .cancelWaiting, .ends, .clear, .move]),
        Key("jobs:q-over3", "hash", [.retry, .trimDead, .deleteDead]),
        Key("jobs:q-locked", "hash", [.enqueue]),
        Key("jobs:q-new", "hash", [.enqueue]),
        Key("jobs:q-absent", "hash"),
        Key("jobs:q-next", "hash", [.exchange, .reap]),
        Key("jobs:q-failure", "hash", [.exchange, .reap]),
        Key("jobs:q-called", "hash", [.exchange, .reap]),
        Key("jobs:q-called-too", "hash", [.close]),
        Key("jobs:q-one", "hash", [.together]),
        Key("jobs:q-told", "hash", [.open]),
        Key("jobs:q-member", "hash", [.add]),
        Key("jobs:q-fired", "hash", [.fire]),
        Key("jobs:q-ran", "hash", [.runPeriodic]),
        Key("unique:q-digest", "string", [.enqueue]),
        Key("batch:q-batch", "hash", [.exchange, .reap]),
        Key("batch:q-open", "hash", [.open, .add, .close]),
        Key("batch:q-inner", "hash", [.open]),
        Key("awaited", "string", [.ends]),
        Key("awaited:q-run0", "set"),
        Key("awaited:q-run4", "set", [.ends]),
        Key("notes:l", "list"),
        Key("cancel:node-1", "list", [.cancelRunning]),
        Key("crons", "zset", [.due, .fire, .declare, .pausePeriodic, .runPeriodic]),
        Key("cron:q-cron", "hash", [.due, .fire, .declare, .pausePeriodic, .runPeriodic]),
    ]
    private static let shared: Set = [
        "queues", "paused", "places", "awaited", "notes:l", "cancel:node-1", "crons",
    ]

    /// In a full run each verb with each key; else each that has to tell, and a third of the others.
    static let cases: [(Key, DamageScenario.Verb)] = keys.enumerated().flatMap { number, key in
        DamageScenario.Verb.allCases.enumerated().compactMap { index, verb in
            let isTried = key.reporters.contains(verb) || (number + index).isMultiple(of: DamageScenario.share(3))
            return isTried && DamageScenario.Verb.tried.contains(verb) ? (key, verb) : nil
        }
    }

    @Test(
        "what needs it is reported and nothing of it is half done; all else goes on",
        arguments: cases
    )
    func eachVerb(_ key: Key, _ verb: DamageScenario.Verb) async throws {
        for (type, command) in Self.wrongTypes(key, verb) {
            try await DamageScenario.with { scenario in
                var scenario = scenario
                scenario.isShared = Self.shared.contains(key.name)
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
                if verb.isWhole, key.reporters.contains(verb) {
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

    @Test("an offered attempt is not lost where the queue that it may run in can't be read")
    func offered() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            let store = StoreUnderTest(redis: redis)
            try await store.enqueue("a")
            let job = try await store.claimOne()
            try await redis.send(command: ["SET", "ns:processing:q", "x"])
            for queues in [["q", "p"], ["p", "q"]] {
                let adoption = Adoption(queues: queues, attempts: [], offered: [job.attempt, "new"])
                let adopted = try await redis.adopt(adoption, as: StoreUnderTest.voucher)
                guard case .damaged(let sentence) = adopted.verdicts[job.attempt] else {
                    Issue.record("the verdict is \(adopted.verdicts)")
                    continue
                }
                #expect(sentence.contains("WRONGTYPE"))
                #expect(adopted.verdicts["new"] == .never)
            }
        }
    }

    /// Redis itself does not say which key it was.
    @Test("what keeps an end from being recorded is named", arguments: ["processing:q", "attempts:x"])
    func namedInTheWay(_ key: String) async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            let store = StoreUnderTest(redis: redis)
            try await store.enqueue("a")
            let claim = Claim(wanted: 1, mayTakeSuspect: true, queues: ["q"], offered: ["x"])
            #expect(try await redis.exchange([], claim, as: StoreUnderTest.voucher).jobs.map(\.id) == ["a"])
            try await redis.send(command: ["SET", "ns:\(key)", "x"])
            let finish = Finish(attempt: "x", queue: "q", job: "a", milliseconds: 1, ending: .completed)
            let none = Claim(wanted: 0, mayTakeSuspect: true, queues: [], offered: [])
            let answer = try await redis.exchange([finish], none, as: StoreUnderTest.voucher)
            #expect(answer.exceptions[0] == .damaged("WRONGTYPE ns:\(key) holds a string"))
        }
    }

    @Test("nothing is cleared of a place that could not be taken off the list of places")
    func places() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            let store = StoreUnderTest(redis: redis)
            try await store.enqueue("a")
            try await redis.send(command: ["RENAME", "ns:ready:q", "ns:placed:q:on:web1"])
            try await redis.send(command: ["HSET", "ns:jobs:a", "pla", "on:web1"])
            try await redis.send(command: ["SET", "ns:places", "x"])
            await #expect(throws: BackgroundError.self) {
                try await redis.clear(.placed, of: "q:on:web1", limit: 3)
            }
            #expect(try await redis.send(command: ["LLEN", "ns:placed:q:on:web1"]).int == 1)
            #expect(try await redis.send(command: ["EXISTS", "ns:jobs:a"]).int == 1)
        }
    }

    @Test("nothing is moved where the queue could not be named to watchers")
    func moving() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            let store = StoreUnderTest(redis: redis)
            try await store.enqueue("a", "b")
            try await redis.send(command: ["SET", "ns:queues", "x"])
            await #expect(throws: BackgroundError.self) { try await redis.move(.ready, from: "q", to: "r", limit: 3) }
            #expect(try await redis.send(command: ["LLEN", "ns:ready:q"]).int == 2)
            #expect(try await redis.send(command: ["EXISTS", "ns:ready:r"]).int == 0)
        }
    }

    @Test("nothing is written of a job under a lock that can't be scheduled")
    func scheduling() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            try await redis.send(command: ["SET", "ns:scheduled:q", "x"])
            var job = NewJob(id: "a", queue: "q", className: "C", arguments: [], due: .after(milliseconds: 60_000))
            job.lock = NewJob.Lock(digest: "d", duration: 60_000)
            await #expect(throws: BackgroundError.self) { try await redis.enqueue([job]) }
            #expect(try await redis.send(command: ["EXISTS", "ns:jobs:a", "ns:unique:d"]).int == 0)
        }
    }

    @Test("a periodic job is not fired where nobody can tell whether its last job has ended")
    func underWay() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            let now = try await StoreUnderTest(redis: redis).now()
            let fields = ["exp": "every:1000", "cls": "C", "que": "q", "arg": "{}", "ovl": "skip"]
            let declaration = Declaration(name: "p", first: now - 9, fields: fields.mapValues { Array($0.utf8) })
            _ = try await redis.declare([declaration], by: nil, areAll: false, revives: false)
            func fire(_ due: Int64, _ job: String) async throws -> Fired? {
                let firing = Firing(
                    name: "p",
                    due: due,
                    time: due,
                    next: .at(now - 5),
                    expression: "every:1000",
                    job: job
                )
                return try await redis.fire([firing]).first
            }
            #expect(try await fire(now - 9, "j") == .fired)
            try await redis.send(command: ["DEL", "ns:jobs:j"])
            try await redis.send(command: ["SET", "ns:jobs:j", "x"])
            guard case .damaged(let sentence) = try await fire(now - 5, "k") else {
                Issue.record("it was fired, or passed over")
                return
            }
            #expect(sentence.contains("ns:jobs:j"))
            #expect(try await redis.send(command: ["ZSCORE", "ns:crons", "p"]).text == "\(now - 5)")
            #expect(try await redis.send(command: ["EXISTS", "ns:jobs:k"]).int == 0)
        }
    }

    @Test(
        "an attempt without a readable hash stays where its end can't be recorded",
        arguments: ["failed", "dead", "ready"]
    )
    func unreadable(_ kind: String) async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            let store = StoreUnderTest(redis: redis)
            try await store.enqueue("a")
            let job = try await store.claimOne()
            try await redis.send(command: ["HDEL", "ns:attempts:\(job.attempt)", "wrk"])
            try await redis.send(command: ["SET", "ns:\(kind):q", "x"])
            let condemned = Condemned(queue: "q", attempt: job.attempt, judgement: .unreadable)
            guard case .damaged(let sentence) = try await redis.reap([condemned]).first?.outcome else {
                Issue.record("it was ended, or spared")
                return
            }
            #expect(sentence.contains("ns:\(kind):q"))
            #expect(try await redis.send(command: ["SCARD", "ns:processing:q"]).int == 1)
        }
    }

    @Test("what can't be counted for this minute is told of")
    func counting() async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            let store = StoreUnderTest(redis: redis)
            try await store.enqueue("a")
            let job = try await store.claimOne()
            let minute = try await store.now() / 60_000
            for key in [minute, minute + 1] { try await redis.send(command: ["SET", "ns:stats:q:\(key)", "x"]) }
            let finish = Finish(attempt: job.attempt, queue: "q", job: "a", milliseconds: 1, ending: .completed)
            let exchange = try await redis.exchange([finish], .none, as: StoreUnderTest.voucher)
            #expect(exchange.exceptions.isEmpty)
            #expect(exchange.notices.contains { $0.queue == "q" && $0.sentence.contains("not counted in ns:stats:q:") })
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
