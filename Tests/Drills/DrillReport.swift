import BackgroundRedis
import Foundation
import TestSupport

/// What came out of one drill.
struct DrillResult: Sendable, Codable {
    let drill: String
    let faults: String
    let rows: String
    let seconds: Double
    let figures: [Figure]
    /// What was left out, and why.
    let notices: [String]
    /// Why it could not be gone through.
    let failure: String?
    /// Where everything is that its processes wrote; nil where all holds, and nothing was kept.
    let folder: String?

    var holds: Bool { failure == nil && figures.allSatisfy(\.holds) }

    init(_ drill: Drill, _ run: DrillRun, seconds: Double, failure: String?, folder: String) {
        self.drill = drill.name
        faults = drill.faults
        rows = drill.rows
        self.seconds = seconds
        figures = run.figures
        notices = run.notices
        self.failure = failure
        let holds = failure == nil && run.figures.allSatisfy(\.holds)
        self.folder = holds ? nil : folder
    }

    /// The drill's part of the table.
    var text: String {
        var lines = ["\(drill.padded(to: 10)) \(holds ? "holds" : "DOES NOT HOLD")   \(Int(seconds)) s   \(faults)"]
        var parts: [String] = []
        for figure in figures where !parts.contains(figure.part) { parts.append(figure.part) }
        for part in parts { lines += text(of: part) }
        lines += notices.map { "    NOT DONE: \($0)" }
        if let failure { lines.append("    could not be gone through: \(failure)") }
        if let folder { lines.append("    all that its processes wrote: \(folder)") }
        return lines.joined(separator: "\n")
    }

    private func text(of part: String) -> [String] {
        let figures = figures.filter { $0.part == part }
        var lines = part.isEmpty ? [] : ["  \(part)"]
        let none = figures.filter(\.isNone).map(\.name)
        for figure in figures where !figure.isNone {
            let value = figure.value.formatted + (figure.unit.isEmpty ? "" : " " + figure.unit)
            let bounds = [figure.bound.map { "≤ \($0.formatted)" }, figure.floor.map { "≥ \($0.formatted)" }]
            let bound = bounds.compactMap { $0 }.joined(separator: ", ") + (figure.holds ? "" : "   <-- missed")
            lines.append("    \(figure.name.padded(to: 34)) \(value.padded(to: 12)) \(bound)")
            let findings = figure.holds ? [] : figure.findings
            lines += findings.prefix(5).map { "        \($0)" }
            if findings.count > 5 { lines.append("        and \(findings.count - 5) more") }
        }
        if !none.isEmpty { lines.append("    0, as it must be: \(none.joined(separator: "; "))") }
        return lines
    }
}

/// What came out of all drills of a run, and on what.
struct DrillReport: Sendable, Codable {
    let seed: UInt64
    let cores: Int
    let redis: String
    let system: String
    let results: [DrillResult]

    init(seed: UInt64, results: [DrillResult]) async throws {
        self.seed = seed
        self.results = results
        cores = ProcessInfo.processInfo.activeProcessorCount
        system = ProcessInfo.processInfo.operatingSystemVersionString
        try Files.collect(in: "/tmp")
        let server = try await RedisServer.start()
        let info = try await server.command("INFO", "server").text ?? ""
        redis =
            info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("redis_version:") }.map {
                String($0.dropFirst(14))
            } ?? ""
    }

    func json() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(self)
    }
}

extension Double {
    /// Whole numbers as such, others with two places.
    var formatted: String {
        self == rounded() && magnitude < 1e15 ? String(format: "%.0f", self) : String(format: "%.2f", self)
    }
}
