import Foundation
import Synchronization
import TestSupport

/// A figure that a drill has measured, and the bound it is held against.
struct Figure: Sendable, Codable {
    /// Which part of the drill; empty where it has but one.
    let part: String
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

    /// Whether there was to be none, and there was none.
    var isNone: Bool { value == 0 && bound == 0 }
}

/// One run of a drill: how much of it, by which chance, and what came out.
final class DrillRun: Sendable {
    /// Of the drill's full length.
    let share: Double
    let seed: UInt64
    private let chance: Mutex<SplitMix64>
    private let measured = Mutex<[Figure]>([])
    private let omitted = Mutex<[String]>([])

    init(share: Double, seed: UInt64) {
        self.share = share
        self.seed = seed
        chance = Mutex(SplitMix64(seed: seed))
    }

    /// Whether it goes on for as long as it is meant to.
    var isFull: Bool { share >= 1 }

    // MARK: How much, and by which chance

    /// So many of a full run's `full`, at least one.
    func count(_ full: Int) -> Int { max(1, Int((Double(full) * share).rounded())) }

    /// So long of a full run's seconds.
    func time(_ seconds: Double, atLeast: Double = 0) -> Duration { .seconds(max(seconds * share, atLeast)) }

    /// A number that the seed decides.
    func random(in range: ClosedRange<Int>) -> Int { chance.withLock { Int.random(in: range, using: &$0) } }

    /// One of several, which the seed decides.
    func random<Element>(of elements: [Element]) -> Element { elements[random(in: 0...(elements.count - 1))] }

    /// The same; nil of none.
    func random<Element>(ofSome elements: [Element]) -> Element? { elements.isEmpty ? nil : random(of: elements) }

    // MARK: What came out

    var figures: [Figure] { measured.withLock { $0 } }

    /// A figure that is told, or has to be at most `bound` or at least `floor`.
    func figure(
        _ name: String,
        _ value: Double,
        _ unit: String = "",
        atMost bound: Double? = nil,
        atLeast floor: Double? = nil,
        part: String = ""
    ) {
        add(Figure(part: part, name: name, value: value, unit: unit, bound: bound, floor: floor, findings: []))
    }

    func figure(_ name: String, _ value: Int, atMost bound: Int? = nil, atLeast floor: Int? = nil, part: String = "") {
        figure(name, Double(value), atMost: bound.map(Double.init), atLeast: floor.map(Double.init), part: part)
    }

    /// How many things were found, of which there is to be none.
    func none(_ name: String, _ findings: some Collection<String>, part: String = "") {
        let count = Double(findings.count)
        let first = Array(findings.sorted().prefix(5))
        add(Figure(part: part, name: name, value: count, unit: "", bound: 0, floor: nil, findings: first))
    }

    private func add(_ figure: Figure) { measured.withLock { $0.append(figure) } }

    var notices: [String] { omitted.withLock { $0 } }

    /// Tells that a part of the drill could not be done here.
    func notice(_ sentence: String) { omitted.withLock { $0.append(sentence) } }

    /// What the ledger and Redis say when all is over.
    ///
    /// - Parameters:
    ///   - part: which one, where a drill has several.
    ///   - deaths: when each process that was killed was seen to be gone. A job that had ended in one of them, and whose end
    ///     had not been reported, runs again: at least once is what is promised.
    ///   - zombies: processes that stood still for so long that others had to take their jobs. The same holds for these.
    ///   - dead: jobs that may be without an end, since they are dead.
    ///   - forgets: whether Redis may have lost what it had acknowledged: then lost, doubled and overlapping jobs are told.
    ///   - recovery: bounds for the median and the 99th percentile of the recovery times, in seconds.
    func witness(
        _ stage: Stage,
        acknowledged jobs: [String],
        part: String = "",
        deaths: [Int32: Int64] = [:],
        zombies: Set<Int32> = [],
        dead: Set<String> = [],
        forgets: Bool = false,
        recovery bounds: (median: Double, most: Double)? = nil
    ) async throws {
        let report = LedgerChecker(stage.ledger, deaths: deaths, zombies: zombies).report(acknowledged: jobs)
        let unreported = Set(
            stage.ledger.entries.filter { $0.event == .end && (deaths[$0.pid] != nil || zombies.contains($0.pid)) }
                .map(\.job)
        )
        figure("acknowledged", jobs.count, atLeast: 1, part: part)
        if forgets {
            figure("lost, as Redis forgot", report.lost.count, part: part)
            figure("ended twice", report.duplicated.count, part: part)
            figure("overlapping", report.overlapping.count, part: part)
        } else {
            none("lost", report.lost.subtracting(dead), part: part)
            figure("ended twice, first end unreported", report.duplicated.intersection(unreported).count, part: part)
            none("duplicated", report.duplicated.subtracting(unreported), part: part)
            none("overlapping", report.overlapping, part: part)
        }
        none("unexpected", report.unexpected, part: part)
        let known = forgets ? try await stage.known(jobs) : jobs
        none("stuck, or not as it must be", try await stage.unsettled(known), part: part)
        let reaped = try await stage.reaped().filter { deaths[$0.pid] == nil && !zombies.contains($0.pid) }
        if forgets {
            // Redis had been told of their end.
            figure("ended as nobody answered for them", reaped.count, part: part)
        } else {
            none("falsely reaped", reaped.map(\.attempt), part: part)
        }
        if !report.recoveries.isEmpty { recovery(report.recoveries, bounds, part) }
    }

    private func recovery(_ times: [Int64], _ bounds: (median: Double, most: Double)?, _ part: String) {
        figure("recoveries", times.count, part: part)
        figure("recovery p50", times.seconds(at: 0.5), "s", atMost: bounds?.median, part: part)
        figure("recovery p99", times.seconds(at: 0.99), "s", atMost: bounds?.most, part: part)
        figure("recovery max", times.seconds(at: 1), "s", part: part)
    }
}

extension [Int64] {
    /// A percentile of ascending nanoseconds, in seconds; 0 of none.
    func seconds(at share: Double) -> Double {
        isEmpty ? 0 : Double(self[Swift.min(count - 1, Int(Double(count) * share))]) / 1e9
    }
}
