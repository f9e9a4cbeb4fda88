import BackgroundJobsTesting
import Foundation
import Testing

@testable import BackgroundJobs

/// The store in memory is the model of the scripts: random sequences of all transitions leave both with the same data, give the
/// same answers, and keep the invariants. The scripts' clock is a key that the test sets.
@Suite("Random sequences", .timeLimit(.minutes(30)))
struct ModelComparison {
    private static let isFull = ProcessInfo.processInfo.environment["BG_TEST_FULL"] == "1"
    /// `BG_TEST_SEED` repeats one sequence.
    private static let seed = ProcessInfo.processInfo.environment["BG_TEST_SEED"].flatMap { UInt64($0) }
    private static let sequences = isFull ? 400 : 24
    private static let length = 250

    @Test("leave both stores the same")
    func sequences() async throws {
        let first = UInt64.random(in: 0..<1 << 40)
        for index in 0..<(Self.seed == nil ? Self.sequences : 1) {
            try await compare(Self.seed ?? first + UInt64(index), steps: Self.length)
        }
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
        var scripts = Scripts()
        for script in [
            \Scripts.exchange, \.adopt, \.promote, \.reap, \.recover, \.enqueue, \.dequeue, \.cancel, \.retry, \.trim,
            \.delete, \.await, \.note, \.together, \.due, \.fire, \.declare, \.steer, \.fallback, \.clear, \.move,
        ] {
            let source = scripts[keyPath: script].source
            scripts[keyPath: script].source = source.replacingOccurrences(
                of: "local clock = redis.call('TIME')",
                with: "local clock = { 0, 1000 * tonumber(redis.call('GET', prefix .. 'test-clock')) }"
            )
            precondition(scripts[keyPath: script].source != source, "the scripts ask for the time elsewhere")
        }
        return scripts
    }
}
