import BackgroundJobs
import BackgroundJobsTesting
import BackgroundRedis
import Synchronization
import TestSupport
import Testing

/// The stores that the conformance suite runs against.
enum StoreKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case memory, redis

    var testDescription: String { "the store \(rawValue)" }
}

/// One server for all tests that need no server of their own; each has a database.
enum SharedRedis {
    private static let starting = Task { try await RedisServer.start(options: ["--databases 20000"], tcp: false) }
    private static let databases = Counter()

    /// Runs `body` with a store on a database of its own, empty at first.
    static func withStore(
        namespace: String = "{t}:b-g",
        scripts: Scripts = .underTest,
        _ body: (RedisStore) async throws -> Void
    ) async throws {
        try await withRedisStore(
            try await starting.value,
            namespace: namespace,
            database: databases.next(),
            scripts: scripts
        ) { store in
            try await body(store)
            try await store.send("FLUSHDB")
        }
    }
}

/// A store with what tests need to set up states in it and to look at them.
struct StoreUnderTest: Sendable {
    let store: any Store
    private let memory: MemoryStore?
    private let redis: RedisStore?
    private let attempts = Counter()

    private init(memory: MemoryStore) {
        self.memory = memory
        redis = nil
        store = memory
    }

    init(redis: RedisStore) {
        self.redis = redis
        memory = nil
        store = redis
    }

    /// Runs `body` with an empty store, and checks the invariants afterwards.
    ///
    /// - Parameter damaged: what of the invariants the test breaks by hand, such as `["I8"]`.
    static func with(
        _ kind: StoreKind,
        damaged: [String] = [],
        sourceLocation: SourceLocation = #_sourceLocation,
        _ body: (StoreUnderTest) async throws -> Void
    ) async throws {
        switch kind {
        case .memory:
            let store = StoreUnderTest(memory: MemoryStore(now: 1_700_000_000_000))
            try await body(store)
            try await store.expectSound(damaged, sourceLocation)
        case .redis:
            try await SharedRedis.withStore { redis in
                let store = StoreUnderTest(redis: redis)
                try await body(store)
                try await store.expectSound(damaged, sourceLocation)
            }
        }
    }

    private func expectSound(_ damaged: [String], _ sourceLocation: SourceLocation) async throws {
        let violations = try await snapshot().invariantViolations()
            .filter { violation in !damaged.contains { violation.hasPrefix($0) } }
        #expect(violations == [], sourceLocation: sourceLocation)
    }

    // MARK: Looking

    /// What is there: all of it, or these keys alone.
    func snapshot(_ keys: [String]? = nil) async throws -> StoreSnapshot {
        if let memory { return memory.snapshot }
        let (snapshot, faults) = try await RedisSnapshot(try #require(redis)).read(keys)
        #expect(faults == [])
        return snapshot
    }

    func job(_ id: String) async throws -> StoreSnapshot.Record? { try await snapshot(["jobs:\(id)"]).jobs[id] }
    func attempt(_ id: String) async throws -> StoreSnapshot.Record? {
        try await snapshot(["attempts:\(id)"]).attempts[id]
    }
    func list(_ key: String) async throws -> [String] { try await snapshot([key]).lists[key] ?? [] }
    func set(_ key: String) async throws -> Set<String> { try await snapshot([key]).sets[key] ?? [] }
    func ranked(_ key: String) async throws -> [String] { try await snapshot([key]).ranked(key) }
    func batch(_ id: String) async throws -> BatchCounts {
        try #require(try await store.batch(id)).counts
    }
    func counters(_ queue: String = "q") async throws -> [String: Int64] {
        try await snapshot(["stats:\(queue)"]).counters["stats:\(queue)"] ?? [:]
    }

    /// The store's time.
    func now() async throws -> Int64 {
        if let memory { return memory.now }
        let time = try await #require(redis).send("TIME").array ?? []
        return (time[0].int ?? 0) * 1000 + (time[1].int ?? 0) / 1000
    }

    /// How long a job's hash still lives, ms; nil if for ever.
    func timeToLive(ofJob id: String) async throws -> Int64? {
        if let memory {
            guard memory.snapshot.expiring.contains("jobs:\(id)") else { return nil }
            let before = memory.now
            defer { memory.now = before }
            memory.advance(by: .milliseconds(299_999))
            return memory.snapshot.jobs[id] == nil ? 0 : 300_000
        }
        let redis = try #require(redis)
        let left = try await redis.send("PTTL", redis.keys.job(id)).int ?? -1
        return left < 0 ? nil : left
    }

    // MARK: Setting up

    /// Changes what is there by hand.
    func edit(_ change: (inout StoreSnapshot) -> Void) async throws {
        if let memory { return memory.edit(change) }
        let snapshot = RedisSnapshot(try #require(redis))
        let before = try await snapshot.read().snapshot
        var after = before
        change(&after)
        try await snapshot.write(after, over: before)
    }

    /// Enqueues jobs of the class `C` with these IDs.
    func enqueue(_ ids: String..., queue: String = "q", due: NewJob.Due? = nil, arguments: String = "{}") async throws {
        try await store.enqueue(
            ids.map {
                NewJob(
                    id: $0,
                    queue: queue,
                    className: "C",
                    arguments: Array(arguments.utf8),
                    due: due,
                    isIDChosen: false
                )
            }
        )
    }

    // MARK: Verbs in short

    static let voucher = Voucher(node: "node-1", client: 7)

    /// Attempt IDs `a1`, `a2`, … that no test has used before in this store.
    func offers(_ count: Int) -> [String] { (0..<count).map { _ in "a\(attempts.next())" } }

    @discardableResult
    func claim(
        _ wanted: Int = 1,
        _ queues: [String] = ["q"],
        bytes: Int = 4 << 20,
        mayTakeSuspect: Bool = true,
        reoffered: [String] = [],
        offered: [String]? = nil,
        as voucher: Voucher = Self.voucher
    ) async throws -> Exchange {
        let claim = Claim(
            wanted: wanted,
            bytes: bytes,
            mayTakeSuspect: mayTakeSuspect,
            queues: queues,
            reoffered: reoffered,
            offered: offered ?? offers(wanted)
        )
        return try await store.exchange([], claim, as: voucher)
    }

    /// Claims the one job that is there.
    func claimOne(_ queue: String = "q", mayTakeSuspect: Bool = true) async throws -> ClaimedJob {
        try #require(try await claim(1, [queue], mayTakeSuspect: mayTakeSuspect).jobs.first)
    }

    /// Reports the end of an attempt; nil: it was written.
    @discardableResult
    func finish(
        _ job: ClaimedJob,
        _ ending: Ending = .completed,
        after milliseconds: Double = 1.5,
        with fields: [String: String] = [:],
        hasTies: Bool? = nil
    ) async throws -> Verdict? {
        let finish = Finish(
            attempt: job.attempt,
            queue: job.queue,
            job: job.id,
            milliseconds: milliseconds,
            ending: ending,
            hasTies: hasTies ?? job.hasTies,
            fields: fields
        )
        return try await store.exchange([finish], .none, as: Self.voucher).exceptions[0]
    }

    /// The worker of this job is gone.
    @discardableResult
    func reap(_ job: ClaimedJob, adoptions: String = "") async throws -> Reaped.Outcome? {
        let condemned = Condemned(
            queue: job.queue,
            attempt: job.attempt,
            judgement: .gone(client: "7", node: "node-1", adoptions: adoptions)
        )
        return try await store.reap([condemned]).first?.outcome
    }
}

final class Counter: Sendable {
    private let value = Mutex(0)
    func next() -> Int {
        value.withLock {
            $0 += 1
            return $0
        }
    }
}
