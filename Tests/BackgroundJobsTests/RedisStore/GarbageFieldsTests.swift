import BackgroundJobs
import BackgroundJobsTesting
import BackgroundRedis
import TestSupport
import Testing

@Suite("Garbage in the fields of hashes", .serialized, .timeLimit(.minutes(20)))
struct GarbageFieldsTests {
    static let garbage: [[UInt8]] =
        ["abc", "", "1e400", "-1", "1180591620717411303424", "nan", "0x10", "a\r\nb", "{}", "\(Int64.min)"].map {
            Array($0.utf8)
        }
        + [Array(repeating: 0x61, count: 10_000), Array(0...255)]

    static let jobFields = [
        "que", "cls", "arg", "qat", "pat", "att", "las", "ers", "crs", "crt", "end", "cnl", "dlv", "ret", "tmo",
        "bck", "rfr", "rqu", "exp", "crm", "crw", "unq", "unu", "on", "avo", "fbk", "pla", "plt", "ori", "blk", "nxt",
        "aft",
        "onf", "bat", "stp", "flr", "bsm", "dly", "exr", "crn", "due",
    ]
    static let batchFields = [
        "tot", "pen", "suc", "ded", "oth", "opn", "cmp", "scs", "dth", "prn", "fin", "qat", "dsc",
    ]
    static let periodicFields = [
        "exp", "tz", "que", "cls", "arg", "own", "mis", "ovl", "unt", "cnt", "ttl", "pau", "las", "lat", "fis", "ski",
        "end",
        "ret", "dlv", "nonsense",
    ]
    static let attemptFields = [
        "sta", "job", "wrk", "que", "fin", "time", "err", "num", "prv", "nod", "ado", "dlv", "tmo", "crm", "crw", "msg",
        "out", "add", "prg",
    ]

    /// Each hash gets another of these; in a full run each of them in turn. Promote and recover read no hash.
    static let verbs = DamageScenario.Verb.allCases.filter { $0 != .promote && $0 != .recover }
    /// Each field with each verb in a full run, else with an eighth of them.
    private static func pairs(_ fields: [String], _ verbs: [DamageScenario.Verb]) -> [(String, DamageScenario.Verb)] {
        fields.enumerated().flatMap { number, field in
            verbs.enumerated().compactMap { index, verb in
                (number + index).isMultiple(of: DamageScenario.share(8)) && DamageScenario.Verb.tried.contains(verb)
                    ? (field, verb) : nil
            }
        }
    }
    private static let shifts = garbage.indices.filter { $0.isMultiple(of: DamageScenario.isFull ? 1 : 6) }

    @Test("no script fails on a job's, and no other job is held up", arguments: pairs(jobFields, verbs))
    func jobs(_ field: String, _ verb: DamageScenario.Verb) async throws {
        // A place in `dead` goes, also if nothing else says that the job has ended.
        let lost = field == "end" && [.trimDead, .deleteDead].contains(verb) ? ["I1"] : []
        try await Self.check(verb, field, \.jobs, lost: lost)
    }

    @Test("no script fails on an attempt's, and no other attempt is held up", arguments: pairs(attemptFields, verbs))
    func attempts(_ field: String, _ verb: DamageScenario.Verb) async throws {
        // Nothing tells whose an attempt was if its field `job` says something else, nor that it succeeded if there is an
        // error: to remove that would cost a command for every job.
        try await Self.check(verb, field, \.attempts, lost: ["job", "err"].contains(field) ? ["I1"] : [])
    }

    @Test(
        "no script fails on a batch's, and no other batch is held up",
        arguments: pairs(batchFields, [.exchange, .reap, .cancelWaiting, .retry, .clear, .open, .add, .close])
    )
    func batches(_ field: String, _ verb: DamageScenario.Verb) async throws {
        try await Self.check(verb, field, \.batches, lost: [])
    }

    @Test(
        "no script fails on a periodic job's, and no other one is held up",
        arguments: pairs(periodicFields, [.due, .fire, .declare, .pausePeriodic, .runPeriodic, .exchange])
    )
    func periodics(_ field: String, _ verb: DamageScenario.Verb) async throws {
        try await Self.check(verb, field, \.periodics, lost: [])
    }

    private static func check(
        _ verb: DamageScenario.Verb,
        _ field: String,
        _ hashes: WritableKeyPath<StoreSnapshot, [String: StoreSnapshot.Record]>,
        lost: [String]
    ) async throws {
        for shift in shifts {
            try await DamageScenario.with { scenario in
                try await scenario.store.edit { data in
                    let ids = data[keyPath: hashes].keys.filter { $0.hasPrefix("q-") }.sorted()
                    for (index, id) in ids.enumerated() {
                        data[keyPath: hashes][id]?.fields[field] = garbage[(index + shift) % garbage.count]
                    }
                }
                let context: Comment = "\(verb) with garbage in \(field), from number \(shift) on"
                let violations = try await scenario.violations()
                _ = try await scenario.run(verb)
                try await scenario.readAll()
                let new = try await scenario.violations().subtracting(violations)
                    .filter { violation in !lost.contains { violation.hasPrefix($0) } }
                #expect(new == [], context)
            }
        }
    }
}
