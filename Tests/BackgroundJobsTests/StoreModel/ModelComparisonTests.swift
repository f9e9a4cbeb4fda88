import BackgroundJobsTesting
import Foundation
import TestSupport
import Testing

@testable import BackgroundJobs

/// The store in memory is the model of the scripts: random sequences of all transitions leave both with the same data, give the
/// same answers, and keep the invariants. The scripts' clock is a key that the test sets.
@Suite("Random sequences", .timeLimit(.minutes(30)))
struct ModelComparison {
    private static let isFull = ProcessInfo.processInfo.environment["BG_TEST_FULL"] == "1"
    /// `BG_TEST_SEED` repeats one sequence.
    private static let seed = ProcessInfo.processInfo.environment["BG_TEST_SEED"].flatMap { UInt64($0) }
    private static let sequences = isFull ? 400 : Scripts.areMutated ? 5 : 24
    private static let length = 250

    @Test("leave both stores the same")
    func sequences() async throws {
        let first = Scripts.areMutated ? 1 : UInt64.random(in: 0..<1 << 40)
        for index in 0..<(Self.seed == nil ? Self.sequences : 1) {
            try await compare(Self.seed ?? first + UInt64(index), steps: Self.length)
        }
    }

    /// A line of a script that is made wrong, and the invariant that has to tell of it.
    struct Fault: Sendable, CustomTestStringConvertible {
        var script: String
        var line: String
        var wrong: String
        var invariant: String
        var testDescription: String { "\(invariant) in \(script)" }
    }

    static let faults = [
        Fault(
            script: "exchange",
            line: "if running == 0 then return except(i, settled(attempt)) end",
            wrong: "if running == 0 then running = 1 end",
            invariant: "I5"
        ),
        Fault(
            script: "cancel",
            line: "if state ~= 'running' and state ~= 'waiting' then return state end",
            wrong: "if state == 'missing' then return state end",
            invariant: "I7"
        ),
        Fault(
            script: "enqueue",
            line: "redis.call('SET', lock, job, 'PX', string.format('%.0f', until_))",
            wrong: "redis.call('SET', lock, job)",
            invariant: "I9"
        ),
    ]

    @Test("notice a wrong line", .disabled(if: Scripts.areMutated), arguments: faults)
    func notice(_ fault: Fault) async throws {
        var scripts = Self.scripts
        let script = ["exchange": \Scripts.exchange, "cancel": \.cancel, "enqueue": \.enqueue][fault.script]!
        let source = scripts[keyPath: script].source
        scripts[keyPath: script].source = source.replacingOccurrences(of: fault.line, with: fault.wrong)
        #expect(scripts[keyPath: script].source != source)
        var noticed = false
        for seed in 1...20 as ClosedRange<UInt64> where !noticed {
            try await SharedRedis.withStore(scripts: scripts) { redis in
                var comparison = Comparison(seed: seed, redis: redis)
                var found: [String] = []
                for _ in 0..<Self.length where found.isEmpty {
                    _ = try await comparison.step()
                    found = try await comparison.faults()
                    guard found.isEmpty, fault.invariant == "I5" else { continue }
                    _ = try await comparison.finishStale()
                    found = try await comparison.faults()
                }
                if found.contains(where: { $0.hasPrefix(fault.invariant) }) { noticed = true }
            }
        }
        #expect(noticed)
    }

    @Test("I6 counts the crashes that put a job back")
    func crashBudget() {
        var attempt = StoreSnapshot.Record()
        attempt["crm"] = "1"
        attempt["crw"] = "1000"
        var history = History()
        #expect(history.putBack("j", by: attempt, at: 0) == [])
        #expect(history.putBack("j", by: attempt, at: 1001) == [])
        #expect(history.putBack("j", by: attempt, at: 1002).count == 1)
        attempt["dlv"] = "amo"
        #expect(history.putBack("k", by: attempt, at: 0).count == 1)
    }

    @Test("I9 names what stays for ever")
    func bounds() {
        var snapshot = StoreSnapshot()
        snapshot.locks = ["awaited": "1"]
        snapshot.lists = ["wake:q": ["0 on"]]
        snapshot.counters = ["stats:q": ["completed": 1], "stats:q:28333333": ["completed": 1]]
        snapshot.jobs["ended"] = StoreSnapshot.Record(["end": Array("Expired".utf8)])
        snapshot.batches = ["b": StoreSnapshot.Record(["pen": Array("1".utf8)])]
        snapshot.periodics = ["p": StoreSnapshot.Record(["exp": Array("@daily".utf8)])]
        let named = ["awaited", "wake:q", "stats:q:28333333", "job ended", "batch b", "cron:p"]
        let violations = snapshot.invariantViolations().filter { $0.hasPrefix("I9:") }
        #expect(violations.count == named.count)
        for name in named { #expect(violations.contains { $0.hasPrefix("I9:") && $0.contains(name) }, "\(name)") }
    }

    private func compare(_ seed: UInt64, steps: Int) async throws {
        try await SharedRedis.withStore(scripts: Self.scripts) { redis in
            var comparison = Comparison(seed: seed, redis: redis)
            var log: [String] = []
            for _ in 0..<steps {
                log.append(try await comparison.step())
                let faults = try await comparison.faults()
                guard faults.isEmpty else {
                    let last = log.suffix(12).joined(separator: "\n  ")
                    Issue.record(
                        "BG_TEST_SEED=\(seed), step \(log.count):\n\(faults.joined(separator: "\n"))\nafter\n  \(last)"
                    )
                    return
                }
            }
        }
    }

    /// The scripts, with a clock that stands where the test sets it.
    private static var scripts: Scripts {
        let scripts = Scripts.underTest.replacing(
            "local clock = redis.call('TIME')",
            with: "local clock = { 0, 1000 * tonumber(redis.call('GET', prefix .. 'test-clock')) }"
        )
        for path in Scripts.all {
            precondition(scripts[keyPath: path].source.contains("test-clock"), "the scripts ask for the time elsewhere")
        }
        return scripts
    }
}
