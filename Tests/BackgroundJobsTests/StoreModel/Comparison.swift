import BackgroundJobsTesting
import BackgroundRedis
import TestSupport

@testable import BackgroundJobs

/// One random sequence of transitions, each made on both stores.
struct Comparison {
    let memory: MemoryStore
    let redis: RedisStore
    var random: SplitMix64
    var now: Int64 = 1_700_000_000_000
    var differences: [String] = []
    /// What is known of the past, for the invariants that no snapshot can show.
    var history = History()

    var jobs: [String] = []
    var running: [Claimed] = []
    var past: [Finish] = []
    /// Offered in calls whose replies were thrown away.
    private var unsure: [Offer] = []
    private var batches: [String] = []
    /// When keys were to expire before the step, and the server's own time then, in microseconds.
    private(set) var deadlines: [String: Int64] = [:]
    private(set) var began: Int64 = 0
    private var names = 0

    struct Claimed {
        var job: ClaimedJob
        var voucher: Voucher
        var adoptions = 0
    }

    private struct Offer {
        var attempt: String
        var voucher: Voucher
    }

    static let queues = ["q", "r"]
    static let vouchers = (1...3).map { Voucher(node: "node-\($0)", client: Int64($0)) }
    private static let defaults = ClaimDefaults(
        delivery: .atLeastOnce,
        classes: [
            "Once": ClaimDefaults.Rules(delivery: .atMostOnce),
            "Frail": ClaimDefaults.Rules(crashRetries: "1", crashWindow: 0),
        ]
    )

    init(seed: UInt64, redis: RedisStore) {
        memory = MemoryStore(now: now)
        self.redis = redis
        random = SplitMix64(seed: seed)
    }

    /// Makes a random step on both stores; returns what it was.
    mutating func step() async throws -> String {
        try await setClocks()
        deadlines = memory.deadlines
        began = try await time()
        switch random.upTo(114) {
        case 0..<12: return try await enqueue()
        case 12..<14: return try await enqueueChain()
        case 14..<16: return try await changeBatch()
        case 66..<67: return try await awaitEnds()
        case 67..<68: return try await note()
        case 16..<38: return try await claim()
        case 38..<60: return try await finish()
        case 60..<66: return try await advance()
        case 68..<70: return try await promote()
        case 70..<75: return try await reap()
        case 75..<79: return try await adopt()
        case 79..<83: return try await cancel()
        case 83..<87: return try await retry()
        case 87..<89: return try await dequeue()
        case 89..<92: return try await wait()
        case 92: return try await recover()
        case 93: return try await fallBack()
        case 94: return try await pause()
        case 95: return try await empty()
        case 96..<98: return try await trim()
        case 98..<100: return try await delete()
        case 112...: return try await finishStale()
        default: return try await periodic()
        }
    }

    /// What differs between the stores, and what violates the invariants.
    mutating func faults() async throws -> [String] {
        defer { differences = [] }
        let model = memory.snapshot
        defer { history.proceed(to: model) }
        let (real, wrong) = try await RedisSnapshot(redis).read()
        return try await differences + wrong + wrongDeadlines() + Self.violations(model, history)
            + (model == real ? [] : Self.violations(real, history))
            + Self.differences(model, real)
    }

    private static func violations(_ snapshot: StoreSnapshot, _ history: History) -> [String] {
        snapshot.invariantViolations() + history.changedEnds(snapshot)
    }

    private static func differences(_ model: StoreSnapshot, _ real: StoreSnapshot) -> [String] {
        guard model != real else { return [] }
        func lines(_ snapshot: StoreSnapshot) -> [String: String] {
            var lines: [String: String] = [:]
            func text(_ record: StoreSnapshot.Record) -> String {
                record.fields.keys.sorted().map { "\($0)=\(record[$0] ?? "")" }.joined(separator: " ")
            }
            for (id, record) in snapshot.jobs { lines["jobs:\(id)"] = text(record) }
            for (name, record) in snapshot.periodics { lines["cron:\(name)"] = text(record) }
            for (id, record) in snapshot.attempts { lines["attempts:\(id)"] = text(record) }
            for (id, record) in snapshot.batches { lines["batch:\(id)"] = text(record) }
            for (key, ids) in snapshot.lists { lines[key] = "\(ids)" }
            for (key, members) in snapshot.sets { lines[key] = "\(members.sorted())" }
            for (key, _) in snapshot.sortedSets {
                lines[key] = "\(snapshot.ranked(key).map { "\($0)@\(snapshot.sortedSets[key]?[$0] ?? 0)" })"
            }
            for (key, counts) in snapshot.counters { lines[key] = "\(counts.sorted { $0.key < $1.key })" }
            for (key, job) in snapshot.locks { lines[key] = job }
            for key in snapshot.expiring { lines["expires \(key)"] = "yes" }
            return lines
        }
        let (model, real) = (lines(model), lines(real))
        return Set(model.keys).union(real.keys).sorted().filter { model[$0] != real[$0] }
            .map { "\($0)\n    model: \(model[$0] ?? "-")\n    redis: \(real[$0] ?? "-")" }
    }

    // MARK: The clock

    private func setClocks() async throws {
        memory.now = now
        redis.clock.stand(at: now)
        try await redis.send("SET", "\(redis.keys.namespace):test-clock", "\(now)")
    }

    /// What expires meanwhile is deleted from Redis, whose own clock does not move.
    private mutating func advance() async throws -> String {
        let by = random.pick([1, 400, 5000, 70_000, 400_000, 3_600_000, 80 * 3_600_000])
        now += Int64(by)
        let before = memory.snapshot.expiring
        try await setClocks()
        for key in before.subtracting(memory.snapshot.expiring).sorted() {
            try await redis.send("DEL", "\(redis.keys.namespace):\(key)")
        }
        return "advance \(by)"
    }

    // MARK: Transitions

    mutating func check<Answer: Equatable>(_ verb: String, _ model: Answer, _ real: Answer) {
        if model != real { differences.append("\(verb) answered\n    model: \(model)\n    redis: \(real)") }
    }

    mutating func name(_ prefix: String) -> String {
        names += 1
        return "\(prefix)\(names)"
    }

    private mutating func enqueue() async throws -> String {
        var new: [NewJob] = []
        for _ in 0..<(1 + random.upTo(3)) {
            let id = random.upTo(8) == 0 && !jobs.isEmpty ? random.pick(jobs) : name("j")
            var fields: [JobOptions.Field] = []
            if random.upTo(5) == 0 { fields.append(("dlv", random.pick(["amo", "alo"]))) }
            if random.upTo(5) == 0 { fields.append(("crm", random.pick(["0", "1", "2", "all"]))) }
            if random.upTo(6) == 0 { fields.append(("crw", random.pick(["0", "60000"]))) }
            if random.upTo(4) == 0 {
                fields.append((random.pick(["on", "avo"]), random.pick(["node-1", "node-2", "none", "?"])))
            }
            if random.upTo(6) == 0 { fields.append(("fbk", random.pick(["0", "5000", "never", "x"]))) }
            if random.upTo(5) == 0 { fields.append(("ret", "\(random.upTo(3))")) }
            var job = NewJob(
                id: id,
                queue: random.pick(Self.queues),
                className: random.pick(["C", "C", "Once", "Frail"]),
                arguments: Array("{\"n\":\(random.upTo(100))}".utf8),
                due: random.pick([
                    nil, nil, .after(milliseconds: 300), .at(milliseconds: now + 5000), .at(milliseconds: 1),
                ]),
                fields: fields,
                expiry: random.pick([nil, nil, 1, 10_000]),
                isIDChosen: true
            )
            if random.upTo(3) == 0 {
                job.lock = NewJob.Lock(
                    digest: "d\(random.upTo(3))",
                    duration: random.pick([500_000, 4_000_000]),
                    until: random.pick(Uniqueness.End.allCases),
                    duplicate: random.pick(Uniqueness.Duplicate.allCases)
                )
            }
            new.append(job)
        }
        let model = try await memory.enqueue(new)
        check("enqueue", model, try await redis.enqueue(new))
        for job in new where model[job.id] == nil && !jobs.contains(job.id) { jobs.append(job.id) }
        return "enqueue \(new.map { "\($0.id) lock \($0.lock.map { "\($0)" } ?? "-")" })"
    }

    private mutating func single(_ id: String, _ fields: [JobOptions.Field], waits: Bool = false) -> NewJob {
        jobs.append(id)
        return NewJob(
            id: id,
            queue: random.pick(Self.queues),
            className: random.pick(["C", "Once", "Frail"]),
            arguments: Array("{}".utf8),
            due: random.pick([nil, nil, .after(milliseconds: 700)]),
            fields: fields,
            expiry: random.pick([nil, nil, 10_000]),
            isWaiting: waits
        )
    }

    private mutating func enqueueChain() async throws -> String {
        let ids = (0..<(1 + random.upTo(4))).map { _ in name("j") }
        let onFailure = random.upTo(2) == 0 ? name("j") : nil
        var chain: [NewJob] = []
        for (index, id) in ids.enumerated() {
            var fields: [JobOptions.Field] = []
            if index + 1 < ids.count { fields.append(("nxt", ids[index + 1])) }
            if index > 0 { fields.append(("aft", ids[index - 1])) }
            if let onFailure { fields.append(("onf", onFailure)) }
            chain.append(single(id, fields, waits: index > 0))
        }
        if let onFailure { chain.append(single(onFailure, [], waits: true)) }
        try await memory.enqueueTogether(chain)
        try await redis.enqueueTogether(chain)
        return "chain \(ids), on failure \(onFailure ?? "-")"
    }

    private mutating func changeBatch() async throws -> String {
        let batch = random.upTo(3) == 0 || batches.isEmpty ? name("b") : random.pick(batches)
        switch random.upTo(4) {
        case 0:
            func callback() -> NewJob? { random.upTo(2) == 0 ? single(name("j"), [], waits: true) : nil }
            let new = NewBatch(
                id: batch,
                parent: batches.isEmpty || random.upTo(2) == 0
                    ? nil : random.pick(batches.filter { $0 != batch } + ["none"]),
                onComplete: callback(),
                onSuccess: callback(),
                onDeath: callback()
            )
            check("open", try await memory.open(new), try await redis.open(new))
            if !batches.contains(batch) { batches.append(batch) }
        case 1, 2:
            let members = (0..<(1 + random.upTo(3))).map { _ in single(name("j"), []) }
            check("add", try await memory.add(members, to: batch), try await redis.add(members, to: batch))
        default:
            check("close", try await memory.close(batch), try await redis.close(batch))
        }
        return "batch \(batch)"
    }

    private mutating func awaitEnds() async throws -> String {
        guard !jobs.isEmpty else { return "nobody to await" }
        let some = (0..<3).map { _ in random.pick(jobs) } + ["nobody"]
        let listener = Listener(token: random.pick(["l", "m"]), time: .seconds(60))
        check("await", try await memory.ends(of: some, for: listener), try await redis.ends(of: some, for: listener))
        return "await \(some)"
    }

    private mutating func note() async throws -> String {
        guard let claimed = running.isEmpty ? nil : random.pick(running) else { return "nobody to note" }
        let note = AttemptNote(attempt: claimed.job.attempt, queue: claimed.job.queue, fields: ["prg": "0.5"])
        check("note", try await memory.note([note]), try await redis.note([note]))
        return "note \(claimed.job.attempt)"
    }

    private mutating func exchange(_ finishes: [Finish], _ claim: Claim, _ voucher: Voucher) async throws -> Exchange {
        var model = try await memory.exchange(finishes, claim, as: voucher)
        var real = try await redis.exchange(finishes, claim, as: voucher)
        let answer = model
        // In words they may differ.
        check("notices", model.notices.map(\.queue).sorted(), real.notices.map(\.queue).sorted())
        (model.notices, real.notices) = ([], [])
        model.spent.sort()
        real.spent.sort()
        check("exchange", model, real)
        for (index, finish) in finishes.enumerated() where answer.exceptions[index] == nil {
            if case .crashed = finish.ending { noteCrash(of: finish.attempt) }
        }
        return answer
    }

    private mutating func makeClaim(_ voucher: Voucher) -> Claim {
        let wanted = 1 + random.upTo(4)
        let again = unsure.filter { $0.voucher.node == voucher.node }.map(\.attempt).prefix(random.upTo(3))
        return Claim(
            wanted: wanted,
            mayTakeSuspect: random.upTo(3) > 0,
            queues: random.pick([["q"], ["r"], ["q", "r"], ["r", "q"]]),
            shared: random.upTo(4) == 0 ? random.upTo(wanted + 1) : wanted,
            reserved: random.upTo(4) == 0 ? ["q": random.upTo(wanted + 1)] : [:],
            defaults: Self.defaults,
            reoffered: Array(again.prefix(wanted)),
            offered: (0..<max(0, wanted - again.count)).map { _ in name("a") }
        )
    }

    private mutating func take(_ claim: Claim, _ exchange: Exchange, _ voucher: Voucher) {
        let offers = claim.reoffered + claim.offered
        // Sometimes the reply is lost.
        if random.upTo(6) == 0 {
            unsure += offers.filter { id in !unsure.contains { $0.attempt == id } }
                .map { Offer(attempt: $0, voucher: voucher) }
            return
        }
        for job in exchange.jobs {
            running.removeAll { $0.job.attempt == job.attempt }
            running.append(Claimed(job: job, voucher: voucher))
        }
        unsure.removeAll { offer in
            exchange.spent.contains(offer.attempt) || exchange.jobs.contains { $0.attempt == offer.attempt }
        }
    }

    private mutating func claim() async throws -> String {
        let voucher = random.pick(Self.vouchers)
        let claim = makeClaim(voucher)
        take(claim, try await exchange([], claim, voucher), voucher)
        return "claim \(claim.queues) by \(voucher.node): \(claim.reoffered) + \(claim.offered)"
    }

    private mutating func ending() -> Ending {
        let delay = Int64(random.pick([0, 1000, 60_000]))
        let error = random.pick(["Boom", "Timeout"])
        return switch random.upTo(17) {
        case 0..<5: .completed
        case 5..<8:
            .retried(error: error, message: "m", after: delay, queue: random.pick([nil, nil, "q", "r"]))
        case 8: .dead(error: error, message: "")
        case 9: .discarded(error: error, message: "m")
        case 10, 11: .crashed(message: "signal 11")
        case 12: .snoozed(after: delay)
        case 13: .shutdown
        case 14: .unbegun
        case 15: .skipped(message: "not today")
        default: .cancelled(message: "")
        }
    }

    private mutating func finish() async throws -> String {
        var finishes: [Finish] = []
        for _ in 0..<(1 + random.upTo(3)) {
            if random.upTo(8) == 0, !past.isEmpty {
                // One that was reported before.
                finishes.append(random.pick(past))
            } else if !running.isEmpty {
                let claimed = running.remove(at: random.upTo(running.count))
                finishes.append(
                    Finish(
                        attempt: claimed.job.attempt,
                        queue: claimed.job.queue,
                        job: claimed.job.id,
                        milliseconds: Double(random.upTo(50)) + 0.5,
                        ending: ending(),
                        hasTies: claimed.job.hasTies,
                        fields: random.pick([[:], [:], ["out": "{\"n\":1}"], ["out": "2", "add": "{\"k\":\"v/w\"}"]])
                    )
                )
            }
        }
        past += finishes
        let voucher = random.pick(Self.vouchers)
        let claim = random.upTo(2) == 0 ? Claim.none : makeClaim(voucher)
        take(claim, try await exchange(finishes, claim, voucher), voucher)
        return "finish \(finishes.map { "\($0.attempt) of \($0.job): \($0.ending)" })"
    }

    private mutating func promote() async throws -> String {
        let queue = random.pick(Self.queues)
        check("promote", try await memory.promote(queue, limit: 3), try await redis.promote(queue, limit: 3))
        return "promote \(queue)"
    }

    private mutating func reap() async throws -> String {
        guard let claimed = running.isEmpty ? nil : random.pick(running) else { return "nothing to reap" }
        // Now and then it is not what was judged.
        let client = random.upTo(5) == 0 ? 99 : claimed.voucher.client
        let condemned = Condemned(
            queue: claimed.job.queue,
            attempt: claimed.job.attempt,
            judgement: .gone(
                client: "\(client)",
                node: claimed.voucher.node,
                adoptions: claimed.adoptions == 0 ? "" : "\(claimed.adoptions)"
            )
        )
        let model = try await memory.reap([condemned])
        check("reap", model, try await redis.reap([condemned]))
        if model.contains(where: { [.ready, .suspects].contains($0.outcome) }) { noteCrash(of: claimed.job.attempt) }
        return "reap \(claimed.job.attempt) of \(claimed.job.id)"
    }

    private mutating func adopt() async throws -> String {
        let voucher = random.pick(Self.vouchers)
        let own = running.indices.filter { running[$0].voucher.node == voucher.node }
        let adoption = Adoption(
            queues: Self.queues,
            attempts: own.map { (running[$0].job.attempt, running[$0].job.queue) },
            offered: unsure.filter { $0.voucher.node == voucher.node }.map(\.attempt)
        )
        let model = try await memory.adopt(adoption, as: voucher)
        check("adopt", model, try await redis.adopt(adoption, as: voucher))
        for index in own where model.verdicts[running[index].job.attempt] == .yours { running[index].adoptions += 1 }
        running.removeAll { [.lost, .done].contains(model.verdicts[$0.job.attempt]) }
        running += model.granted.map { Claimed(job: $0, voucher: voucher, adoptions: 1) }
        unsure.removeAll { $0.voucher.node == voucher.node }
        return "adopt by \(voucher.node)"
    }

    private mutating func cancel() async throws -> String {
        guard let job = jobs.isEmpty ? nil : random.pick(jobs) else { return "nothing to cancel" }
        let attempt = name("x")
        check(
            "cancel",
            try await memory.cancel(job, recordedAs: attempt),
            try await redis.cancel(job, recordedAs: attempt)
        )
        return "cancel \(job)"
    }

    private mutating func retry() async throws -> String {
        guard !jobs.isEmpty else { return "nothing to retry" }
        let some = [random.pick(jobs), random.pick(jobs), "nobody"]
        let onlyDead = random.upTo(2) == 0
        let model = try await memory.retry(some, onlyDead: onlyDead)
        check("retry", model, try await redis.retry(some, onlyDead: onlyDead))
        for (job, verdict) in zip(some, model) where verdict == .queued {
            history.reopen(job)
            // The steps behind it wait for it again, and so does what is called if it fails.
            var (step, steps) = (memory.snapshot.jobs[job], memory.snapshot.jobs)
            while let record = step {
                for other in [record.present("nxt"), record.present("onf")].compactMap(\.self) { history.reopen(other) }
                step = record.present("nxt").flatMap { steps.removeValue(forKey: $0) }
            }
        }
        return "retry \(some)"
    }

    private mutating func dequeue() async throws -> String {
        guard let job = jobs.isEmpty ? nil : random.pick(jobs) else { return "nothing to dequeue" }
        check("dequeue", try await memory.dequeue(job), try await redis.dequeue(job))
        return "dequeue \(job)"
    }

    /// What BLMOVE does.
    private mutating func wait() async throws -> String {
        let queue = random.pick(Self.queues)
        memory.edit { data in
            guard let first = data.lists["ready:\(queue)"]?.first else { return }
            data.lists["ready:\(queue)"]?.removeFirst()
            data.lists["handoff:\(queue)", default: []].append(first)
        }
        try await redis.send("LMOVE", redis.keys.ready(queue), redis.keys.handoff(queue), "LEFT", "RIGHT")
        return "wait on \(queue)"
    }

    private mutating func recover() async throws -> String {
        let queue = random.pick(Self.queues)
        let ids = memory.snapshot.lists["handoff:\(queue)"] ?? []
        check("recover", try await memory.recover(ids, in: queue), try await redis.recover(ids, in: queue))
        return "recover \(ids)"
    }

    private mutating func fallBack() async throws -> String {
        guard let place = memory.snapshot.sets["places"]?.sorted().compactMap(Place.init).first else {
            return "nothing to fall back"
        }
        let (absence, from) = (Int64(random.pick([0, 5000, 100_000])), random.upTo(2))
        check(
            "fallBack",
            try await memory.fallBack(place, absence: absence, limit: 3, from: from),
            try await redis.fallBack(place, absence: absence, limit: 3, from: from)
        )
        return "fall back \(place) after \(absence)"
    }

    private mutating func pause() async throws -> String {
        let queue = random.pick(Self.queues)
        let isPausing = random.upTo(3) == 0
        check(
            "pause",
            try await memory.setPaused(isPausing, [queue]),
            try await redis.setPaused(isPausing, [queue])
        )
        return "\(isPausing ? "pause" : "resume") \(queue)"
    }

    /// clear and move, a few jobs at a time.
    private mutating func empty() async throws -> String {
        let place = random.pick(WaitingPlace.allCases)
        let places = (memory.snapshot.sets["places"] ?? []).sorted() + ["q:on:nobody"]
        let queue = place == .placed ? random.pick(places) : random.pick(Self.queues)
        guard random.upTo(4) > 0 else {
            let step = try await memory.clear(place, of: queue, limit: 2)
            check("clear", step, try await redis.clear(place, of: queue, limit: 2))
            return "clear \(place) of \(queue)"
        }
        let target = queue.hasPrefix("q") ? "r" : "q"
        let step = try await memory.move(place, from: queue, to: target, limit: 2)
        check("move", step, try await redis.move(place, from: queue, to: target, limit: 2))
        return "move \(place) of \(queue)"
    }

    private mutating func trim() async throws -> String {
        let (set, queue) = (random.pick(TrimmedSet.allCases), random.pick(Self.queues))
        let keep = Retention(
            age: random.pick([nil, .seconds(60), .seconds(3600)]),
            count: random.pick([nil, 0, 2])
        )
        let from = random.upTo(2)
        check(
            "trim",
            try await memory.trim(set, of: queue, keep: keep, limit: 5, from: from),
            try await redis.trim(set, of: queue, keep: keep, limit: 5, from: from)
        )
        return "trim \(set) of \(queue): \(keep)"
    }

    private mutating func delete() async throws -> String {
        let (set, queue) = (random.pick(TrimmedSet.allCases), random.pick(Self.queues))
        let members = Array(memory.snapshot.ranked("\(set.rawValue):\(queue)").prefix(2)) + ["nobody"]
        check(
            "delete",
            try await memory.delete(members, from: set, of: queue),
            try await redis.delete(members, from: set, of: queue)
        )
        return "delete \(members) from \(set) of \(queue)"
    }
}
