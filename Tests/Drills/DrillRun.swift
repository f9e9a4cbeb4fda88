import Foundation
import Synchronization
import TestSupport

/// A figure that a drill has measured, and the bound it is held against.
struct Figure: Sendable, Codable {
    let name: String
    let value: Double
    let unit: String
    /// At most so much; nil where it is only told.
    let bound: Double?
    /// At least so much: that the drill did what it is there for.
    let floor: Double?
    /// What was found, a sentence each, where the bound does not hold: the first few.
    let findings: [String]

    var holds: Bool { value <= bound ?? .infinity && value >= floor ?? -.infinity }
}

/// One run of a drill: how much of it, by which chance, and what came out.
final class DrillRun: Sendable {
    /// Of the drill's full length.
    let share: Double
    private let chance: Mutex<SplitMix64>
    private let measured = Mutex<[Figure]>([])

    init(share: Double, seed: UInt64) {
        self.share = share
        chance = Mutex(SplitMix64(seed: seed))
    }

    // MARK: How much, and by which chance

    /// So many of a full run's `full`, at least one.
    func count(_ full: Int) -> Int { max(1, Int((Double(full) * share).rounded())) }

    /// So long of a full run's seconds.
    func time(_ seconds: Double, atLeast: Double = 0) -> Duration { .seconds(max(seconds * share, atLeast)) }

    /// A number that the seed decides.
    func random(in range: ClosedRange<Int>) -> Int { chance.withLock { Int.random(in: range, using: &$0) } }

    /// One of several, which the seed decides.
    func random<Element>(of elements: [Element]) -> Element { elements[random(in: 0...(elements.count - 1))] }

    // MARK: What came out

    var figures: [Figure] { measured.withLock { $0 } }

    /// A figure that is told, or has to be at most `bound` or at least `floor`.
    func figure(
        _ name: String,
        _ value: Double,
        _ unit: String = "",
        atMost bound: Double? = nil,
        atLeast floor: Double? = nil
    ) {
        add(Figure(name: name, value: value, unit: unit, bound: bound, floor: floor, findings: []))
    }

    func figure(_ name: String, _ value: Int, atMost bound: Int? = nil, atLeast floor: Int? = nil) {
        figure(name, Double(value), atMost: bound.map(Double.init), atLeast: floor.map(Double.init))
    }

    /// How many things were found, of which there is to be none.
    func none(_ name: String, _ findings: some Collection<String>) {
        let first = findings.sorted().prefix(5)
        add(Figure(name: name, value: Double(findings.count), unit: "", bound: 0, floor: nil, findings: Array(first)))
    }

    private func add(_ figure: Figure) { measured.withLock { $0.append(figure) } }

    /// What the ledger and Redis say when all is over.
    ///
    /// - Parameters:
    ///   - dead: those that may be without an end, since they are dead.
    ///   - mayRepeat: jobs that may have ended twice: at least once is what is promised.
    func witness(
        _ stage: Stage,
        acknowledged jobs: [String],
        deaths: [Int32: Int64] = [:],
        dead: Set<String> = [],
        mayRepeat: (String) -> Bool = { _ in false }
    ) async throws {
        let report = LedgerChecker(stage.ledger, deaths: deaths).report(acknowledged: jobs)
        figure("acknowledged", jobs.count)
        none("lost", report.lost.subtracting(dead))
        none("unexpected", report.unexpected)
        let repeated = report.duplicated.filter { !mayRepeat($0) }
        figure("ended twice, unreported", report.duplicated.count - repeated.count)
        none("duplicated", repeated)
        none("overlapping", report.overlapping)
        none("stuck, or not as it must be", try await stage.unsettled(jobs))
        if !report.recoveries.isEmpty { recovery(report.recoveries) }
    }

    private func recovery(_ nanoseconds: [Int64]) {
        func percentile(_ share: Double) -> Double {
            Double(nanoseconds[min(nanoseconds.count - 1, Int(Double(nanoseconds.count) * share))]) / 1e9
        }
        figure("recoveries", nanoseconds.count)
        figure("recovery p50", percentile(0.5), "s")
        figure("recovery p99", percentile(0.99), "s")
        figure("recovery max", percentile(1), "s")
    }
}

/// Numbers by a seed. Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014.
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
