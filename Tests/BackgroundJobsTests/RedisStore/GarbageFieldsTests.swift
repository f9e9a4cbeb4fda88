import BackgroundJobs
import BackgroundJobsTesting
import BackgroundRedis
import TestSupport
import Testing

@Suite("Garbage in the fields of hashes", .serialized, .timeLimit(.minutes(20)))
struct GarbageFieldsTests {
    static let garbage: [[UInt8]] =
        ["abc", "", "1e400", "-1", "1180591620717411303424", "nan", "0x10", "a\r\nb", "{}"].map { Array($0.utf8) }
        + [Array(repeating: 0x61, count: 10_000), Array(0...255)]

    static let jobFields = [
        "que", "cls", "arg", "qat", "pat", "att", "las", "ers", "crs", "crt", "end", "cnl", "dlv", "ret", "tmo",
    ]
    static let attemptFields = [
        "sta", "job", "wrk", "que", "fin", "time", "err", "num", "prv", "nod", "ado", "dlv", "tmo", "crm", "crw", "msg",
        "out",
    ]

    /// Each hash gets another of these; in a full run each of them in turn. Promote and recover read no hash.
    static let verbs = DamageScenario.Verb.allCases.filter { $0 != .promote && $0 != .recover }

    @Test("no script fails on a job's, and no other job is held up", arguments: jobFields, verbs)
    func jobs(_ field: String, _ verb: DamageScenario.Verb) async throws {
        for shift in Self.garbage.indices where shift.isMultiple(of: DamageScenario.isFull ? 1 : 6) {
            try await DamageScenario.with { scenario in
                try await scenario.store.edit { data in
                    for (index, id) in data.jobs.keys.filter({ $0.hasPrefix("q-") }).sorted().enumerated() {
                        data.jobs[id]?.fields[field] = Self.garbage[(index + shift) % Self.garbage.count]
                    }
                }
                // A place in `dead` goes, also if nothing else says that the job has ended.
                try await Self.check(
                    scenario,
                    verb,
                    field,
                    shift,
                    lost: field == "end" && verb == .trimDead ? ["I1"] : []
                )
            }
        }
    }

    @Test("no script fails on an attempt's, and no other attempt is held up", arguments: attemptFields, verbs)
    func attempts(_ field: String, _ verb: DamageScenario.Verb) async throws {
        for shift in Self.garbage.indices where shift.isMultiple(of: DamageScenario.isFull ? 1 : 6) {
            try await DamageScenario.with { scenario in
                try await scenario.store.edit { data in
                    for (index, id) in data.attempts.keys.filter({ $0.hasPrefix("q-") }).sorted().enumerated() {
                        data.attempts[id]?.fields[field] = Self.garbage[(index + shift) % Self.garbage.count]
                    }
                }
                // Nothing tells whose an attempt was if its field `job` says something else, nor that it succeeded if there
                // is an error: to remove that would cost a command for every job.
                try await Self.check(
                    scenario,
                    verb,
                    field,
                    shift,
                    lost: ["job", "err"].contains(field) ? ["I1"] : []
                )
            }
        }
    }

    private static func check(
        _ scenario: DamageScenario,
        _ verb: DamageScenario.Verb,
        _ field: String,
        _ shift: Int,
        lost: [String]
    ) async throws {
        let context: Comment = "\(verb) with garbage in \(field), from number \(shift) on"
        let violations = try await scenario.violations()
        _ = try await scenario.run(verb)
        let new = try await scenario.violations().subtracting(violations)
            .filter { violation in !lost.contains { violation.hasPrefix($0) } }
        #expect(new == [], context)
    }
}
