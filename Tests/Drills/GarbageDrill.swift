import BackgroundJobs
import BackgroundRedis
import TestSupport

extension Drill {
    static let garbage = Drill(
        "garbage",
        "Random keys deleted, or overwritten with random types and bytes, under load",
        rows: "S12, S13, C5, C6, R13, R19, J5",
        minutes: 1
    ) { run in
        let stage = try await Stage(deadAfter: run.deadAfter)
        var programs: [Program] = []
        for _ in 0..<2 { programs.append(try await stage.watcher("--log-level", "info")) }
        for _ in 0..<3 {
            programs.append(
                try await stage.worker("--queues", "default,clean", "--order", "round-robin", "--log-level", "info")
            )
        }
        let clean = Feed(stage, queue: "clean", backlog: .max, pause: .milliseconds(10)) {
            .sleeping(run.random(in: 0...50))
        }
        let damaged = Feed(stage, backlog: .max, pause: .milliseconds(10)) { .mixed(run) }

        let vandal = Vandal(stage, run)
        let end = ContinuousClock.now + run.time(40)
        var repaired = 0
        let (keys, acknowledged) = (run.count(400), run.count(1500))
        while ContinuousClock.now < end || vandal.count < keys || min(clean.count, damaged.count) < acknowledged {
            for _ in 0..<40 {
                try await Task.sleep(for: .milliseconds(run.random(in: 5...20)))
                try await vandal.damageAnyKey()
            }
            repaired += try await vandal.repair { Vandal.places.contains($0) }
        }
        let unreported = try await vandal.damageEveryPlace(programs)
        // What an operator is told to do.
        repaired += try await vandal.repair { _ in true }
        let jobs = try await damaged.stop()
        let sound = try await clean.stop()
        try await stage.ended(sound)
        try await stage.drained("default", "clean")

        run.figure("keys damaged", vandal.count, atLeast: keys)
        run.figure("deleted by the operator", repaired)
        run.none("places of a wrong type that no log names", unreported)
        let report = LedgerChecker(stage.ledger).report(acknowledged: sound)
        run.figure("acknowledged", sound.count, atLeast: acknowledged, part: "the queue beside")
        run.none("lost", report.lost, part: "the queue beside")
        run.none("duplicated", report.duplicated, part: "the queue beside")
        run.none("overlapping", report.overlapping, part: "the queue beside")
        let ended = LedgerChecker(stage.ledger).report(acknowledged: jobs)
        run.figure("acknowledged", jobs.count, atLeast: acknowledged, part: "the damaged queue")
        run.figure("ended all the same", jobs.count - ended.lost.count, part: "the damaged queue")
        try await startAnew(run, stage, programs)
    }

    /// Nothing is left, and the same programs work on what comes next.
    private static func startAnew(_ run: DrillRun, _ stage: Stage, _ programs: [Program]) async throws {
        try await stage.records("FLUSHALL")
        let fresh = try Stage(on: stage.server)
        let before = stage.ledger.ended
        let jobs = try await stage.enqueue("Instant", count: 200)
        try await stage.drained()
        let part = "all keys deleted"
        run.figure("acknowledged", jobs.count, part: part)
        run.figure("ended", stage.ledger.ended - before, atLeast: jobs.count, part: part)
        run.none("stuck, or not as it must be", try await fresh.unsettled(jobs), part: part)
        run.figure("programs alive", programs.count(where: \.isRunning), atLeast: programs.count)
    }
}

extension Feed.Order {
    /// Jobs of all kinds: that wait, fail and are tried again, or are to be run later.
    static func mixed(_ run: DrillRun) -> Feed.Order {
        switch run.random(in: 0...5) {
        case 0:
            return Feed.Order(
                className: "Flaky",
                arguments: #"{"ms":\#(run.random(in: 0...50)),"fails":\#(run.random(in: 1...3))}"#,
                options: JobOptions(backoff: .fixed(.milliseconds(200)), crashRetries: .all)
            )
        case 1:
            var order = Feed.Order.sleeping(run.random(in: 0...50))
            order.delay = .milliseconds(run.random(in: 1...2000))
            return order
        default: return .sleeping(run.random(in: 0...100))
        }
    }
}

/// Somebody else who writes to this Redis.
private final class Vandal: Sendable {
    private let stage: Stage
    private let run: DrillRun
    private let damages = Counter()
    private static let types = ["string", "list", "set", "zset", "hash"]
    /// The type of each kind of keys that is not a hash.
    private static let kinds = [
        "ready": "list", "handoff": "list", "suspects": "list", "scheduled": "zset", "processing": "set",
        "completed": "zset", "failed": "zset", "ended": "zset", "dead": "zset", "queues": "set", "paused": "set",
        "places": "set", "jobs": "hash", "attempts": "hash", "stats": "hash", "batch": "hash", "cron": "hash",
    ]

    var count: Int { damages.value }

    init(_ stage: Stage, _ run: DrillRun) {
        self.stage = stage
        self.run = run
    }

    /// Deletes a key, or writes something into it, or over it. What is of the queue beside is left alone, and so is the version of
    /// the protocol: a higher one is an instruction.
    func damageAnyKey() async throws {
        guard let key = try await stage.records("RANDOMKEY").text, key != stage.records.keys.protocolVersion,
            try await !isOfTheQueueBeside(key)
        else { return }
        let type = try await stage.records("TYPE", key).text ?? "none"
        do {
            switch run.random(in: 0...3) {
            case 0: try await stage.records("DEL", key)
            case 1: try await write(type, key)
            default: try await overwrite(key, with: run.random(of: Self.types))
            }
            damages.next()
        } catch let error as RedisError where error.serverCode == "WRONGTYPE" {
            // A program made the key anew before it could be written to.
        }
    }

    private func isOfTheQueueBeside(_ key: String) async throws -> Bool {
        let parts = key.split(separator: ":").map(String.init)
        if parts.last == "clean" || parts.last?.hasPrefix("clean-") == true { return true }
        guard parts.count > 2, parts[1] == "attempts" else { return false }
        // A damaged attempt is anybody's.
        let queue = try? await stage.records("HGET", key, "que").text
        return queue == "clean"
    }

    private func overwrite(_ key: String, with type: String) async throws {
        try await stage.records("DEL", key)
        try await write(type, key)
    }

    private func write(_ type: String, _ key: String) async throws {
        let text = garbage()
        switch type {
        case "list": try await stage.records(run.random(of: ["LPUSH", "RPUSH"]), key, text)
        case "set": try await stage.records("SADD", key, text)
        case "zset": try await stage.records("ZADD", key, run.random(of: ["0", "-1", "1.5", "-inf", "1e12"]), text)
        case "hash":
            let fields = try await stage.records("HKEYS", key).texts
            try await stage.records("HSET", key, fields.isEmpty ? garbage() : run.random(of: fields), text)
        default: try await stage.records("SET", key, text)
        }
    }

    /// What may be an ID, or a number, or nothing of the kind.
    private func garbage() -> String {
        switch run.random(in: 0...4) {
        case 0: return ""
        case 1: return run.random(of: ["-1", "1e400", "99999999999999999999", "NaN", "0x10", "1.5", " 1"])
        case 2:
            return String(
                (0..<run.random(in: 1...40)).map { _ in Character(Unicode.Scalar(UInt8(run.random(in: 1...127)))) }
            )
        case 3: return String(repeating: "x", count: run.random(in: 200...5000))
        default: return String((0..<12).map { _ in run.random(of: Array("abcdef0123456789")) })
        }
    }

    static let places = ["ready", "handoff", "suspects", "scheduled", "processing", "completed", "failed"]

    /// Puts a value of a wrong type into every place of the queue at once, and deletes it when a program has named it.
    ///
    /// - Returns: the keys that no program names in its log.
    func damageEveryPlace(_ programs: [Program]) async throws -> [String] {
        var unnamed = Set(Self.places.map { "\(stage.namespace):\($0):default" })
        let before = programs.map { $0.log.utf8.count }
        for key in unnamed {
            try await overwrite(key, with: "string")
            damages.next()
        }
        do {
            // The same line about the same thing is said at most once in ten seconds.
            try await eventually("all are named", within: .seconds(90)) {
                let log = zip(programs, before).map { String(decoding: $0.log.utf8.dropFirst($1), as: UTF8.self) }
                    .joined()
                for key in unnamed where log.contains("\(key) holds a") {
                    try await stage.records("DEL", key)
                    unnamed.remove(key)
                }
                return unnamed.isEmpty
            }
        } catch is TookTooLong {
            return unnamed.sorted()
        }
        return []
    }

    /// Does what the operator's handbook says: deletes keys of a wrong type, of these kinds.
    func repair(_ isMeant: (String) -> Bool) async throws -> Int {
        var repaired = 0
        var cursor = "0"
        repeat {
            let page = try await stage.records("SCAN", cursor, "COUNT", "1000").replies
            cursor = page[0].text ?? "0"
            let keys = page[1].texts
            let types = keys.isEmpty ? [] : try await stage.records.send(keys.map { ["TYPE", $0] }).map(\.text)
            for (key, type) in zip(keys, types) {
                let kind = key.split(separator: ":").dropFirst().first.map(String.init) ?? ""
                guard isMeant(kind), let right = Self.kinds[kind], type != right, type != "none" else { continue }
                try await stage.records("DEL", key)
                repaired += 1
            }
        } while cursor != "0"
        return repaired
    }
}
