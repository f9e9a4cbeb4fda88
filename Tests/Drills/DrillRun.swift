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
    /// What was found, a sentence each, where the bound does not hold.
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
    private let chances = Mutex<[String: SplitMix64]>([:])
    private let measured = Mutex<[Figure]>([])
    private let omitted = Mutex<[String]>([])
    /// How long the machine stood still meanwhile.
    let standstill = Standstill()

    init(share: Double, seed: UInt64) {
        self.share = share
        self.seed = seed
    }

    /// Whether it goes on for as long as it is meant to.
    var isFull: Bool { share >= 1 }

    /// What --dead-after is where nobody is silent, in seconds: a short run has to hold on a machine that stands still for some
    /// of them.
    var deadAfter: Int { isFull ? 2 : 6 }

    /// Options of a watcher, before which connections break and come back: in a short run, on a machine that may take long.
    var patience: [String] { isFull ? [] : ["--second-look", "3"] }

    // MARK: How much, and by which chance

    /// So many of a full run's `full`, at least one.
    func count(_ full: Int) -> Int { max(1, Int((Double(full) * share).rounded())) }

    /// So long of a full run's seconds.
    func time(_ seconds: Double, atLeast: Double = 0) -> Duration { .seconds(max(seconds * share, atLeast)) }

    /// A number that the seed decides.
    func random(in range: ClosedRange<Int>) -> Int {
        let lane = Self.lane
        return chances.withLock { chances in
            let seed = lane.utf8.reduce(seed) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
            return Int.random(in: range, using: &chances[lane, default: SplitMix64(seed: seed)])
        }
    }

    /// Which of a drill's tasks it is.
    @TaskLocal private static var lane = ""

    /// Does something beside other things. It has chances of its own, so that what it gets does not depend on when the others
    /// ask for theirs.
    static func beside<Value>(_ name: String, _ body: () async throws -> Value) async rethrows -> Value {
        try await $lane.withValue("\(lane)/\(name)", operation: body)
    }

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
        let (count, sorted) = (Double(findings.count), findings.sorted())
        add(Figure(part: part, name: name, value: count, unit: "", bound: 0, floor: nil, findings: sorted))
    }

    /// The same for what also comes of a machine that stands still: where it did so in a short run, which is one for every
    /// build on any machine, it is told, and not judged.
    func noneUnlessStalled(_ name: String, _ findings: some Collection<String>, part: String = "") {
        let stall = standstill.longest
        guard !isFull, stall > .milliseconds(500), !findings.isEmpty else { return none(name, findings, part: part) }
        let words = ["\(part.isEmpty ? "" : "\(part): ")\(name)", "\(findings.count)", "\(stall)"]
        notice("judging \(words[0]): there were \(words[1]), and the machine stood still for \(words[2])")
    }

    func noneUnlessStalled(_ name: String, _ count: Int, part: String = "") {
        noneUnlessStalled(name, Array(repeating: name, count: max(0, count)), part: part)
    }

    private func add(_ figure: Figure) { measured.withLock { $0.append(figure) } }

    var notices: [String] { omitted.withLock { $0 } }

    /// Tells that a part of the drill could not be done here.
    func notice(_ sentence: String) { omitted.withLock { $0.append(sentence) } }
}

extension [Int64] {
    /// A percentile of ascending nanoseconds, in seconds; 0 of none.
    func seconds(at share: Double) -> Double {
        isEmpty ? 0 : Double(self[Swift.min(count - 1, Int(Double(count) * share))]) / 1e9
    }
}
