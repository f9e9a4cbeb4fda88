import BackgroundJobs
import BackgroundJobsTesting
import BackgroundRedis
import Foundation
import TestSupport
import Testing

/// Two queues in the same state, `q` and `p`, with something in each of their keys. `q` is then damaged; `p` and all of `q`
/// that does not need the damaged key have to go on.
struct DamageScenario: Sendable {
    let redis: RedisStore
    let store: StoreUnderTest
    /// What was claimed of each queue: to be completed, failed, given back, reaped, cleared, and left alone.
    private(set) var running: [String: [ClaimedJob]] = [:]
    /// Whether what is damaged is of both queues: then what needs it may be refused for `p` too.
    var isShared = false

    /// The verbs, each called so that it has something to do in both queues.
    enum Verb: String, CaseIterable, Sendable {
        case exchange, adopt, reap, promote, recover, dequeue, trimCompleted, trimFailed, trimEnded, trimDead
        case enqueue, cancelWaiting, cancelRunning, retry, deleteFailed, deleteDead, fallBack, ends, note
        case together, open, add, close, due, fire, declare, pausePeriodic, runPeriodic, pause, clear, move

        /// Whether what is reported is wholly undone: these verbs deal with one queue or one job, or have a verdict for each.
        /// (Of several jobs of `q`, ends, clear and move do what is sound.)
        var isWhole: Bool { ![.exchange, .adopt, .reap, .ends, .clear, .move].contains(self) }

        var script: KeyPath<Scripts, Script> {
            switch self {
            case .exchange: \.exchange
            case .adopt: \.adopt
            case .reap: \.reap
            case .promote: \.promote
            case .recover: \.recover
            case .dequeue: \.dequeue
            case .trimCompleted, .trimFailed, .trimEnded, .trimDead: \.trim
            case .enqueue: \.enqueue
            case .cancelWaiting, .cancelRunning: \.cancel
            case .retry: \.retry
            case .deleteFailed, .deleteDead: \.delete
            case .fallBack: \.fallback
            case .ends: \.await
            case .note: \.note
            case .together, .open, .add, .close: \.together
            case .due: \.due
            case .fire: \.fire
            case .declare: \.declare
            case .pausePeriodic, .runPeriodic: \.steer
            case .pause: \.pause
            case .clear: \.clear
            case .move: \.move
            }
        }

        /// Those that are tried: where a mutant is to be noticed, those that it concerns.
        static let tried = allCases.filter {
            !Scripts.areMutated || Scripts.underTest[keyPath: $0.script].source != Scripts()[keyPath: $0.script].source
        }

        /// Those that were added to the first ten.
        var isOfOne: Bool { Self.allCases.firstIndex(of: self)! >= 10 }
    }

    /// Whether everything is tried out (`./cli/test --full`), and not a part of it.
    static let isFull = ProcessInfo.processInfo.environment["BG_TEST_FULL"] != nil

    /// Of the combinations that need not all be tried each how manieth is.
    ///
    /// - Parameter usual: where no mutant is to be noticed.
    static func share(_ usual: Int) -> Int {
        if isFull { return 1 }
        guard Scripts.areMutated else { return usual }
        return Verb.tried.count <= 4 ? 1 : usual * 3
    }

    /// Runs `body` with the scenario in a namespace of its own.
    static func with(_ body: (DamageScenario) async throws -> Void) async throws {
        try await SharedRedis.withStore(namespace: "ns") { redis in
            var scenario = DamageScenario(redis: redis, store: StoreUnderTest(redis: redis))
            for queue in ["q", "p"] { try await scenario.fill(queue) }
            try await body(scenario)
        }
    }

    private mutating func fill(_ queue: String) async throws {
        func ids(_ count: Int, _ name: String) -> [String] { (0..<count).map { "\(queue)-\(name)\($0)" } }
        let begun = ids(6, "run")
        let over = ids(4, "over")
        for id in over { try await store.enqueue(id, queue: queue) }
        let ended = try await store.claim(4, [queue], offered: over.map { "\($0)-attempt" }).jobs
        try await store.finish(ended[0])
        try await store.finish(ended[1], .discarded(error: "E", message: ""))
        try await store.finish(ended[2], .cancelled(message: ""))
        try await store.finish(ended[3], .dead(error: "E", message: ""))
        try await openBatches(queue)
        for id in begun { try await enqueueTied(id, queue) }
        running[queue] = try await store.claim(6, [queue], offered: begun.map { "\($0)-attempt" }).jobs
        for id in ["wait", "hand", "suspect"] { try await store.enqueue("\(queue)-\(id)", queue: queue) }
        try await store.enqueue("\(queue)-later", queue: queue, due: .after(milliseconds: 60_000))
        try await store.enqueue("\(queue)-elsewhere", "\(queue)-absent", queue: queue)
        try await addTies(queue)
        try await store.edit { data in
            data.jobs["\(queue)-elsewhere"]?["on"] = "elsewhere"
            data.jobs["\(queue)-absent"]?["pla"] = "on:absent"
            data.jobs["\(queue)-absent"]?["plt"] = "1"
            data.lists["placed:\(queue):on:absent"] = ["\(queue)-absent"]
            data.sets["places", default: []].insert("\(queue):on:absent")
            data.lists["ready:\(queue)"] = ["\(queue)-elsewhere", "\(queue)-wait"]
            data.lists["handoff:\(queue)"] = ["\(queue)-hand"]
            data.lists["suspects:\(queue)"] = ["\(queue)-suspect"]
            data.sortedSets["scheduled:\(queue)"]?["\(queue)-later"] = 1
        }
    }

    // MARK: The verbs

    /// Runs a verb on both queues, `q` first.
    ///
    /// - Returns: whether something was reported, by an error or in the reply.
    func run(_ verb: Verb) async throws -> Bool {
        let jobs = ["q", "p"].flatMap { running[$0] ?? [] }
        switch verb {
        case .exchange: return try await exchange()
        case .adopt:
            let adoption = Adoption(
                queues: ["q", "p"],
                attempts: jobs.prefix(3).map { ($0.attempt, $0.queue) } + jobs.suffix(3).map { ($0.attempt, $0.queue) },
                offered: [jobs[4].attempt, jobs[5].attempt, jobs[6].attempt, "fresh"]
            )
            let adopted = try await redis.adopt(adoption, as: Voucher(node: "node-1", client: 8))
            #expect(adopted.granted.map(\.id).contains("p-run0"))
            #expect(adopted.verdicts["p-run5-attempt"] == .yours)
            return adopted.verdicts.values.contains { $0 != .yours && $0 != .never } || adopted.granted.count != 3
        case .reap:
            let condemned = jobs.map {
                Condemned(
                    queue: $0.queue,
                    attempt: $0.attempt,
                    judgement: .gone(client: "7", node: "node-1", adoptions: "")
                )
            }
            return try await redis.reap(condemned).contains { $0.outcome != .ready }
        case .promote: return try await each { try await redis.promote($0, limit: 10).moved.isEmpty }
        case .recover: return try await each { try await redis.recover(["\($0)-hand"], in: $0).isEmpty }
        case .dequeue: return try await each { try await redis.dequeue("\($0)-wait") != .dequeued }
        case .trimCompleted: return try await trim(.completed)
        case .trimFailed: return try await trim(.failed)
        case .trimEnded: return try await trim(.ended)
        case .trimDead: return try await trim(.dead)
        default: return try await runOnOne(verb)
        }
    }

    private func exchange() async throws -> Bool {
        let endings: [Ending] = [.completed, .dead(error: "E", message: "m"), .shutdown]
        let finishes = ["q", "p"].flatMap { queue in
            zip(running[queue] ?? [], endings).map { job, ending in
                Finish(
                    attempt: job.attempt,
                    queue: queue,
                    job: job.id,
                    milliseconds: 1,
                    ending: ending,
                    hasTies: job.hasTies
                )
            }
        }
        let claim = Claim(
            wanted: 20,
            queues: ["q", "p"],
            reoffered: ["q-run5-attempt"],
            offered: (0..<20).map { "offered-\($0)" }
        )
        let before = try await images(finishes.map { redis.keys.attempt($0.attempt) })
        let exchange = try await redis.exchange(finishes, claim, as: StoreUnderTest.voucher)
        let after = try await images(finishes.map { redis.keys.attempt($0.attempt) })
        for index in finishes.indices {
            let isRefused = exchange.exceptions[index] != nil
            #expect((before[index] == after[index]) == isRefused, "\(finishes[index])")
        }
        #expect(isShared || exchange.exceptions.keys.allSatisfy { $0 < 3 })
        #expect(Set(exchange.jobs.map(\.id)).isSuperset(of: ["p-wait", "p-hand", "p-run2"]))
        return !exchange.exceptions.isEmpty || !exchange.notices.isEmpty
    }

    private func trim(_ set: TrimmedSet) async throws -> Bool {
        try await each { queue in
            let keep = Retention(age: nil, count: 0)
            return try await redis.trim(set, of: queue, keep: keep, limit: 10, from: 0).removed == 0
        }
    }

    /// Does it for `q`, which may be refused, and for `p`, which has to work.
    func each(_ body: (String) async throws -> Bool) async throws -> Bool {
        func isReported(_ queue: String) async throws -> Bool {
            do {
                return try await body(queue)
            } catch let error as BackgroundError where [.refused, .damaged].contains(error.code) {
                return true
            }
        }
        let ofQ = try await isReported("q")
        let ofP = try await isReported("p")
        #expect(isShared || !ofP, "the other queue goes on")
        return ofQ
    }

    // MARK: Looking

    /// What the keys hold, as DUMP gives it.
    func images(_ keys: [String]) async throws -> [RESPValue] {
        var pipeline = Pipeline()
        for key in keys { pipeline.command("DUMP", key) }
        return try await redis.send(pipeline)
    }

    /// All keys of the namespace with their images.
    func image() async throws -> [String: RESPValue] {
        let keys = (try await redis.send("KEYS", redis.keys.namespace + ":*").array ?? []).compactMap(\.text)
        return Dictionary(uniqueKeysWithValues: zip(keys, try await images(keys)))
    }

    /// Which invariants are broken, and for whom.
    func violations() async throws -> Set<String> {
        let sentences = try await RedisSnapshot(redis).read().snapshot.invariantViolations()
        return Set(sentences.map { $0.split(separator: " ").prefix(3).joined(separator: " ") })
    }
}
