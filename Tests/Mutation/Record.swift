import Foundation

/// What has become of the mutants so far, in a file of JSON lines, so that a long run can be made in pieces.
struct Record: Sendable {
    struct Line: Codable, Sendable {
        var file: String
        var line: Int
        var before: String
        var after: String?
        /// The test that noticed it; nil: it survived, or nobody knows.
        var test: String?
        /// Why the tests did not come to an end.
        var broken: String?

        var mutant: Mutant { Mutant(file: file, line: line, before: before, after: after) }
    }

    private let path: String?
    private(set) var lines: [Mutant: Line] = [:]

    init(_ path: String?) throws {
        self.path = path
        guard let path, FileManager.default.fileExists(atPath: path) else { return }
        for text in try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n") {
            let line = try JSONDecoder().decode(Line.self, from: Data(text.utf8))
            lines[line.mutant] = line
        }
    }

    mutating func add(_ mutant: Mutant, _ outcome: StoreTests.Outcome) throws {
        var line = Line(file: mutant.file, line: mutant.line, before: mutant.before, after: mutant.after)
        switch outcome {
        case .noticed(let test): line.test = test
        case .broken(let reason): line.broken = reason
        case .survived: break
        }
        lines[mutant] = line
        guard let path else { return }
        if !FileManager.default.fileExists(atPath: path) {
            _ = FileManager.default.createFile(atPath: path, contents: nil)
        }
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        defer { try? file.close() }
        try file.seekToEnd()
        try file.write(contentsOf: JSONEncoder().encode(line) + Data("\n".utf8))
    }
}

/// The table at the end.
struct Summary {
    struct Row {
        var mutants = 0
        var noticed = 0
        var survived = 0
        /// The tests came to no end.
        var broken = 0
        var equivalent = 0
        var invalid = 0
        /// Not tried.
        var left = 0
    }

    var rows: [String: Row] = [:]
    var survivors: [Mutant] = []

    /// - Parameter files: of each file its mutants, and how many more did not compile.
    init(_ files: [(name: String, mutants: [Mutant], invalid: Int)], _ record: Record, _ equivalents: Equivalents) {
        for file in files {
            var row = Row(mutants: file.mutants.count, invalid: file.invalid)
            for mutant in file.mutants {
                if equivalents.contains(mutant) {
                    row.equivalent += 1
                } else if let line = record.lines[mutant] {
                    count(line, mutant, in: &row)
                } else {
                    row.left += 1
                }
            }
            rows[file.name] = row
        }
    }

    private mutating func count(_ line: Record.Line, _ mutant: Mutant, in row: inout Row) {
        if line.test != nil {
            row.noticed += 1
        } else if line.broken != nil {
            row.broken += 1
        } else {
            row.survived += 1
            survivors.append(mutant)
        }
    }

    var total: Row {
        rows.values.reduce(into: Row()) { sum, row in
            sum.mutants += row.mutants
            sum.noticed += row.noticed
            sum.survived += row.survived
            sum.broken += row.broken
            sum.equivalent += row.equivalent
            sum.invalid += row.invalid
            sum.left += row.left
        }
    }

    /// What of those that the tests came to an end with was noticed, in percent; 100 where there was none.
    var share: Double { Self.share(total) }

    private static func share(_ row: Row) -> Double {
        let tried = row.noticed + row.survived
        return tried == 0 ? 100 : 100 * Double(row.noticed) / Double(tried)
    }

    var text: String {
        var lines = survivors.sorted { ($0.file, $0.line) < ($1.file, $1.line) }.map { "survived  \($0.description)" }
        if !lines.isEmpty { lines.append("") }
        lines.append(
            Self.line(["file", "mutants", "noticed", "survived", "broken", "equivalent", "left", "invalid", "%"])
        )
        for (name, row) in rows.sorted(by: { $0.key < $1.key }) { lines.append(Self.line(name, row)) }
        lines.append(Self.line("all", total))
        return lines.joined(separator: "\n")
    }

    private static func line(_ name: String, _ row: Row) -> String {
        let counts = [
            row.mutants, row.noticed, row.survived, row.broken, row.equivalent, row.left, row.invalid,
        ]
        let tried = row.noticed + row.survived
        return line([name] + counts.map { "\($0)" } + [tried == 0 ? "-" : String(format: "%.1f", share(row))])
    }

    private static func line(_ cells: [String]) -> String {
        cells.enumerated().map { index, cell in
            let padding = String(repeating: " ", count: max(0, (index == 0 ? 15 : 11) - cell.count))
            return index == 0 ? cell + padding : padding + cell
        }.joined()
    }
}
