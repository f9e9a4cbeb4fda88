import BackgroundJobs
import BackgroundRedis
import Foundation
import TestSupport

extension Drill {
    static let input = Drill(
        "input",
        "bad arguments, names, times, URLs, options, JSON and hashes; wrong servers; fuzzing of every parser",
        rows: "J1 J2 J3 J4 J5 J7 J8 J9 J10 R11 R18 N9",
        minutes: 3
    ) { run in
        try await commandLines(run)
        try await takenOptions(run)
        try await arguments(run)
        try await hashes(run)
        try await wrongServers(run)
        try await fuzzing(run)
    }

    /// Each n-th, by the seed, in a run that is shorter than a full one.
    static func some<Element>(_ all: [Element], _ run: DrillRun) -> [Element] {
        let step = max(1, Int((1 / run.share).rounded()))
        return stride(from: run.random(in: 0...(min(step, all.count) - 1)), to: all.count, by: step).map { all[$0] }
    }

    // MARK: What people type

    private static func commandLines(_ run: DrillRun) async throws {
        let server = try await RedisServer.start()
        let lines = some(BadCommandLine.all, run)
        let findings = try await concurrently(lines, lanes: 4) { _, line in try await line.findings(server) }
        run.figure("command lines", lines.count, atLeast: run.share < 1 ? 1 : 300)
        run.none("not refused as they should be", findings.flatMap(\.self))
        let keys = try await server.command("DBSIZE").int ?? -1
        run.figure("keys that they wrote", Int(keys), atMost: 0)
    }

    /// What is accepted has to count.
    private static func takenOptions(_ run: DrillRun) async throws {
        let settings = TakenOptions.settings.reduce(0) { $0 + $1.values.count }
        run.figure("options taken", TakenOptions.ofJobs.count + 3 * settings, atLeast: 100)
        run.none("options without effect", try await TakenOptions.missingInJobs(try await Stage()))
        run.none("settings without effect", try await TakenOptions.missingSettings())
    }

    // MARK: What others write to Redis

    /// Rows J1, J2, J3: each job ends and says why, and the worker lives.
    private static func arguments(_ run: DrillRun) async throws {
        let stage = try await Stage()
        let worker = try await stage.worker("--fibers", "20")
        func enqueue(_ all: [String], _ className: String = "Sleeping") async throws -> [String] {
            let ids = all.map { _ in UUID().uuidString.lowercased() }
            for (id, arguments) in zip(ids, all) {
                try await stage.records.enqueue(id, ["cls", className, "arg", arguments, "ret", "0"])
            }
            return ids
        }
        let (good, bad) = (try await enqueue(RawArguments.good), try await enqueue(RawArguments.bad))
        let either = try await enqueue(RawArguments.either)
        let unknown = try await enqueue(["{}", "[", "\0"], "Nobody::Knows")
        try await stage.drained()
        var wrong: [String] = []
        for (ids, error) in [(good, nil), (bad, "Bad Arguments"), (unknown, "Unknown Class")] as [([String], String?)] {
            for id in ids {
                let job = try await stage.records.job(id)
                let last = try await stage.records.attempts(of: id).last ?? [:]
                let isRight = error == nil ? last["fin"] != nil : job["end"] == "Dead" && last["msg"]?.isEmpty == false
                if last["err"] != error || !isRight {
                    wrong.append("\(job["arg"]?.prefix(80) ?? ""): \(last["err"] ?? "none")")
                }
            }
        }
        for id in either where try await stage.records.attempts(of: id).last?["fin"] == nil {
            wrong.append("\(id) has no end")
        }
        run.figure("arguments", good.count + bad.count + either.count, atLeast: 150)
        run.none("arguments that ended otherwise", wrong)
        run.figure("arguments: workers alive", worker.isRunning ? 1 : 0, atLeast: 1)
    }

    /// Row J5: jobs written with `redis-cli`, garbage in one field each.
    private static func hashes(_ run: DrillRun) async throws {
        let stage = try await Stage()
        var jobs: [String] = []
        let all = DamagedFields.names.flatMap { name in DamagedFields.garbage.map { (name, $0) } }
        let pairs = run.share < 1 ? stride(from: run.random(in: 0...6), to: all.count, by: 7).map { all[$0] } : all
        for (field, value) in pairs {
            jobs.append("j\(jobs.count)-\(field)")
            try await stage.records.enqueue(jobs[jobs.count - 1], [field, value])
        }
        let watcher = try await stage.watcher()
        let worker = try await stage.worker("--fibers", "20")
        // What asks to be retried or to wait for a node is where it belongs.
        try await eventually("nothing waits to be claimed") {
            let keys = stage.records.keys
            let sizes = try await stage.records.send([
                ["LLEN", keys.ready("default")], ["LLEN", keys.handoff("default")],
                ["SCARD", keys.processing("default")],
            ])
            return sizes.allSatisfy { $0.int == 0 }
        }
        run.figure("hashes", jobs.count, atLeast: 60)
        run.none("jobs that nobody accounts for", try await DamagedFields.unaccounted(jobs, stage, worker))
        let unread = zip(jobs, pairs).filter { DamagedFields.isNoOption($1.0, $1.1) }
        run.figure("options that can't be read", unread.count, atLeast: 1)
        run.none("options that nobody says can't be read", DamagedFields.unsaid(unread.map { ($0, $1.0) }, worker))
        // A job that somebody says has ended has no record that is trimmed.
        let violations = try await invariantViolations(stage.server).filter {
            !$0.hasPrefix("I9") || !$0.contains("-end ")
        }
        run.none("hashes: not as it must be", violations)
        run.figure("hashes: processes alive", [watcher, worker].count { $0.isRunning }, atLeast: 2)
    }

    // MARK: Fuzzing

    private static let batch = 5_000

    private static func fuzzing(_ run: DrillRun) async throws {
        let seed = UInt64(run.random(in: 1...1_000_000_000))
        var batches: [FuzzBatch] = []
        for fuzzer in Fuzzer.all {
            let count = run.count(fuzzer.count)
            for first in stride(from: 0, to: count, by: batch) {
                batches.append(FuzzBatch(fuzzer: fuzzer, seed: seed, numbers: first..<min(first + batch, count)))
            }
        }
        let findings = try await concurrently(batches, lanes: 2) { _, batch in try await batch.findings() }
        run.figure("inputs fuzzed", batches.reduce(0) { $0 + $1.numbers.count }, atLeast: 1000)
        run.figure("parsers fuzzed", Fuzzer.all.count)
        run.none("inputs read wrongly", findings.flatMap(\.self))
    }
}

extension BadCommandLine {
    func findings(_ server: RedisServer) async throws -> [String] {
        var words = arguments
        let path = Files.path("settings")
        defer { Files.remove(path) }
        if let settings {
            try Data(settings.utf8).write(to: URL(fileURLWithPath: path))
            words = words.map { $0 == Self.file ? path : $0 }
        }
        var environment = environment
        if environment["BG_REDIS"] == nil { environment["BG_REDIS"] = server.url }
        let shown = ([program] + words).map { $0.count > 60 ? "\($0.prefix(60))…" : $0 }.joined(separator: " ")
        let outcome: Program.Outcome
        do {
            outcome = try await Program.run(program, words, environment: environment, within: .seconds(60))
        } catch {
            return ["\(shown): did not end"]
        }
        if outcome.exit != .status(64) { return ["\(shown): \(outcome.exit) \(outcome.error.suffix(200))"] }
        return outcome.error.isEmpty ? ["\(shown): refused without a word"] : []
    }
}

/// Fields of a job with values that no producer writes.
enum DamagedFields {
    static let names = [
        "que", "cls", "arg", "qat", "pat", "att", "las", "ers", "crs", "crt", "end", "cnl", "dlv", "ret", "tmo", "bck",
        "rfr", "rqu", "exp",
        "crm", "crw", "unq", "unu", "on", "avo", "fbk", "pla", "plt", "ori", "blk", "nxt", "aft", "onf", "bat", "stp",
        "flr", "bsm", "dly",
        "exr", "crn", "due", "hdr",
    ]
    static let garbage = [
        "abc", "", "1e400", "-1", "1180591620717411303424", "nan", "0x10", "a\r\nb", "{}",
        String(repeating: "a", count: 10_000), "\0\u{1B}[31m", "9223372036854775807", "-9223372036854775808",
    ]

    /// Whether it is a field of options that a worker reads, with a value that none of them has.
    static func isNoOption(_ field: String, _ value: String) -> Bool {
        ["ret", "bck", "rfr", "tmo"].contains(field) && !value.isEmpty
    }

    /// Fields that count as absent, and of which the worker said nothing.
    static func unsaid(_ fields: [(job: String, field: String)], _ worker: Program) -> [String] {
        let log = worker.log
        return fields.filter { !log.contains("Job \($0.job): the field \($0.field) is") }.map(\.job)
    }

    /// Jobs that are nowhere, have no record, and of which the worker said nothing.
    static func unaccounted(_ jobs: [String], _ stage: Stage, _ worker: Program) async throws -> [String] {
        let log = worker.log
        var lost: [String] = []
        let places = try await stage.records("KEYS", "\(stage.namespace):*").texts.filter {
            $0.contains(":scheduled:") || $0.contains(":placed:") || $0.contains(":suspects:")
        }
        for job in jobs {
            let fields = try await stage.records.job(job)
            if fields["end"] != nil || fields["blk"] != nil || log.contains(job) { continue }
            let attempts = try await stage.records.attempts(of: job)
            if attempts.contains(where: { $0["fin"] != nil || $0["err"] != nil }) { continue }
            var isSomewhere = false
            for key in places {
                let command = key.contains(":scheduled:") ? ["ZSCORE", key, job] : ["LPOS", key, job]
                if try await !stage.records.send([command])[0].isNull { isSomewhere = true }
            }
            if !isSomewhere { lost.append(job) }
        }
        return lost
    }
}
