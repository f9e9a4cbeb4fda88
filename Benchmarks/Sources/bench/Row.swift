import BackgroundJobsBenchmarking
import Foundation

/// One line of the table: what was measured, beside its yardstick and its aim.
struct Row: Encodable, Sendable {
    /// How a figure compares with its aim.
    enum Verdict: String, Encodable, Sendable {
        case met
        /// Missed by no more than a tenth.
        case close
        case missed
    }

    let benchmark: String
    let name: String
    let unit: String
    /// The median, the least and the most of all runs; nil if there was none.
    let figure: Double?
    let least: Double?
    let most: Double?
    /// What `ratio` is the ratio to: its name, and its median.
    let yardstick: String?
    let yardstickFigure: Double?
    /// Median of the ratios of runs that took turns; nil if there is nothing to divide by.
    let ratio: Double?
    var aim: Aim?

    /// - Parameters:
    ///   - samples: one figure a run.
    ///   - yardstick: its name and its figure in the same run.
    init(
        _ benchmark: String,
        _ name: String,
        _ samples: [Double],
        _ unit: String,
        beside yardstick: (name: String, samples: [Double])? = nil,
        aim: Aim? = nil
    ) {
        self.benchmark = benchmark
        self.name = name
        self.unit = unit
        figure = samples.isEmpty ? nil : samples.median
        least = samples.min()
        most = samples.max()
        self.yardstick = yardstick?.name
        yardstickFigure = yardstick?.samples.median
        ratio = yardstick.flatMap { Self.ratio(samples, $0.samples) }
        self.aim = aim
    }

    private static func ratio(_ samples: [Double], _ yardstick: [Double]) -> Double? {
        guard !samples.isEmpty, samples.count == yardstick.count, yardstick.allSatisfy({ $0 > 0 }) else { return nil }
        return zip(samples, yardstick).map { $0 / $1 }.median
    }

    /// Why this is no measurement, if it is none: it must not pass for one that has met its aim.
    var fault: String? {
        if figure == nil { return "there is no figure" }
        return yardstick != nil && ratio == nil ? "there is no figure of its yardstick" : nil
    }

    var verdict: Verdict? {
        guard let aim, let value = aim.isOfRatio ? ratio : figure else { return nil }
        if aim.isLeast { return value >= aim.bound ? .met : value >= aim.bound * 0.9 ? .close : .missed }
        return value <= aim.bound ? .met : value <= aim.bound * 1.1 ? .close : .missed
    }

    private enum CodingKeys: String, CodingKey {
        case benchmark, name, unit, figure, least, most, yardstick, yardstickFigure, ratio, aim, verdict
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(benchmark, forKey: .benchmark)
        try container.encode(name, forKey: .name)
        try container.encode(unit, forKey: .unit)
        try container.encodeIfPresent(figure, forKey: .figure)
        try container.encodeIfPresent(least, forKey: .least)
        try container.encodeIfPresent(most, forKey: .most)
        try container.encodeIfPresent(yardstick, forKey: .yardstick)
        try container.encodeIfPresent(yardstickFigure, forKey: .yardstickFigure)
        try container.encodeIfPresent(ratio, forKey: .ratio)
        try container.encodeIfPresent(aim?.description, forKey: .aim)
        try container.encodeIfPresent(verdict, forKey: .verdict)
    }
}

extension Row: CustomStringConvertible {
    static let heading =
        "benchmark".padding(15) + "what".padding(34) + "figure (least … most)".padding(40) + "beside".padding(30)
        + "ratio".padding(8) + "aim"

    var description: String {
        var result = "no figure"
        if let figure, let least, let most {
            let spread = least == most ? "" : " (\(least.short) … \(most.short))"
            result = "\(figure.short)\(spread) \(unit)"
        }
        let beside = yardstick.map { "\($0) \(yardstickFigure?.short ?? "")" } ?? ""
        return benchmark.padding(15) + name.padding(34) + result.padding(40)
            + beside.padding(30) + (ratio.map { "\(($0 * 100).short) %" } ?? "").padding(8)
            + [aim?.description, verdict?.rawValue].compactMap(\.self).joined(separator: ": ")
    }
}

/// What a figure, or its ratio to the yardstick, ought to be.
struct Aim: Sendable, CustomStringConvertible {
    let bound: Double
    let isLeast: Bool
    let isOfRatio: Bool

    static func atLeast(_ bound: Double) -> Aim { Aim(bound: bound, isLeast: true, isOfRatio: false) }
    static func atMost(_ bound: Double) -> Aim { Aim(bound: bound, isLeast: false, isOfRatio: false) }
    static func ratioAtLeast(_ bound: Double) -> Aim { Aim(bound: bound, isLeast: true, isOfRatio: true) }
    static func ratioAtMost(_ bound: Double) -> Aim { Aim(bound: bound, isLeast: false, isOfRatio: true) }

    var description: String { (isLeast ? "≥ " : "≤ ") + (isOfRatio ? "\((bound * 100).short) %" : bound.short) }
}

/// Where and how the figures were taken.
struct Facts: Encodable, Sendable, CustomStringConvertible {
    let date: String
    let processors: Int
    let system: String
    let redis: String
    let persistence: String
    let runs: Int
    let isQuick: Bool
    /// Of the last minute, before the first benchmark.
    let load: Double

    init(_ stage: Stage) async throws {
        date = Date.now.ISO8601Format()
        processors = ProcessInfo.processInfo.activeProcessorCount
        system = ProcessInfo.processInfo.operatingSystemVersionString
        redis = try await stage.yardstick.text("server", "redis_version")
        persistence = try await stage.yardstick.info("persistence", "aof_enabled") > 0 ? "AOF everysec" : "none"
        runs = stage.runs
        isQuick = stage.isQuick
        var loads = [Double](repeating: 0, count: 3)
        load = getloadavg(&loads, 3) > 0 ? loads[0] : 0
    }

    var description: String {
        let busy = load > 0.5 ? " The machine was busy: load \(load.short)." : ""
        let quick = isQuick ? " Small volumes: the figures mean little, and are held against no aim." : ""
        return "\(processors) processors, \(system); Redis \(redis), persistence: \(persistence); "
            + "medians of \(runs) runs.\(busy)\(quick)\n\n\(Row.heading)"
    }
}

/// All figures, for machines.
struct Report: Encodable, Sendable {
    let facts: Facts
    let rows: [Row]
    let failures: [String]

    func write(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try encoder.encode(self).write(to: URL(fileURLWithPath: path))
    }
}

extension [Double] {
    /// The middle one, or the mean of the two in the middle; 0 if there are none.
    var median: Double {
        guard !isEmpty else { return 0 }
        let sorted = sorted()
        return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2
    }

    /// Of samples taken at equal intervals: what a straight line through them gains from the first to the last, and how far they
    /// scatter about that line, from the lowest to the highest.
    var trend: (gain: Double, scatter: Double) {
        guard count > 1 else { return (0, 0) }
        let middle = Double(count - 1) / 2
        let mean = reduce(0, +) / Double(count)
        var (along, across) = (0.0, 0.0)
        for (index, sample) in enumerated() {
            let distance = Double(index) - middle
            along += distance * (sample - mean)
            across += distance * distance
        }
        let slope = along / across
        let rest = enumerated().map { $1 - mean - slope * (Double($0) - middle) }
        return (slope * Double(count - 1), (rest.max() ?? 0) - (rest.min() ?? 0))
    }

    /// The smallest member that is no less than this part of all of them; 0 if there are none.
    func quantile(_ part: Double) -> Double {
        guard !isEmpty else { return 0 }
        return sorted()[Swift.min(count - 1, Int(Double(count) * part))]
    }
}

extension Double {
    /// With three figures or all that stand before the point.
    var short: String {
        let digits = magnitude >= 100 || self == 0 ? 0 : magnitude >= 10 ? 1 : magnitude >= 1 ? 2 : 3
        return formatted(
            .number.precision(.fractionLength(digits)).locale(Locale(identifier: "en_US")).grouping(.automatic)
        )
    }
}

extension Int {
    /// With commas at the thousands.
    var grouped: String { formatted(.number.locale(Locale(identifier: "en_US"))) }
}

extension String {
    /// Filled up with spaces, one at least.
    func padding(_ width: Int) -> String { self + String(repeating: " ", count: Swift.max(1, width - count)) }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
    var milliseconds: Double { seconds * 1000 }
}
