import Foundation
import TestSupport

/// A script's file with one line made wrong.
struct Mutant: Sendable, Hashable {
    var file: String
    /// From 1.
    var line: Int
    var before: String
    /// nil: the line is left out.
    var after: String?

    var description: String { "\(file):\(line): \(before) => \(after ?? "deleted")" }
}

/// A file of the scripts.
struct LuaFile: Sendable {
    static let folder = "Sources/BackgroundJobs/Lua"

    var name: String
    /// Without indents and comments, as it stands in a script.
    var lines: [String]

    /// All of them.
    static func all() throws -> [LuaFile] {
        try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".lua") }.sorted().map {
            try LuaFile($0)
        }
    }

    init(_ name: String) throws {
        self.name = name
        let text = try String(contentsOfFile: "\(Self.folder)/\(name)", encoding: .utf8)
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            let code = line.drop { $0 == " " }
            return code.hasPrefix("--") ? "" : String(code)
        }
    }

    /// As a part of a script.
    var text: String { lines.joined(separator: "\n") }

    func text(with mutant: Mutant) -> String {
        var lines = lines
        lines[mutant.line - 1] = mutant.after ?? ""
        return lines.joined(separator: "\n")
    }

    /// FNV-1a (Fowler, Noll and Vo).
    private static func digest(of text: String) -> UInt64 {
        text.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }

    /// Of each line up to two mutants: left out, and altered. Those that do not compile are counted and another is tried.
    func mutants(
        seed: UInt64,
        compiles: (String) async throws -> Bool
    ) async throws -> (mutants: [Mutant], invalid: Int) {
        var found: [Mutant] = []
        var invalid = 0
        for index in lines.indices {
            let line = LuaLine(lines[index])
            // By the line's own text, so that what is decided for it does not depend on other lines.
            var random = SplitMix64(seed: seed &+ Self.digest(of: "\(name):\(lines[index])"))
            let deletions = line.isDeletable ? [nil as String?] : []
            let alterations = line.alterations.shuffled(using: &random) + line.otherStrings.shuffled(using: &random)
            for candidates in [deletions, alterations] {
                for after in candidates {
                    let mutant = Mutant(file: name, line: index + 1, before: lines[index], after: after)
                    if try await compiles(text(with: mutant)) {
                        found.append(mutant)
                        break
                    }
                    invalid += 1
                }
            }
        }
        return (found, invalid)
    }
}

/// Mutants that behave as the scripts do, with the reason: `file: before => after ;; reason`, a line each.
struct Equivalents {
    static let path = "Tests/Mutation/equivalent.txt"
    private var known: Set<String> = []

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    init() throws {
        let text = try String(contentsOfFile: Self.path, encoding: .utf8)
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            let parts = line.components(separatedBy: " ;; ")
            guard parts.count == 2, !parts[1].isEmpty else {
                throw Failure(description: "\(Self.path) has a line without a reason: \(line)")
            }
            known.insert(parts[0])
        }
    }

    func contains(_ mutant: Mutant) -> Bool {
        known.contains("\(mutant.file): \(mutant.before) => \(mutant.after ?? "deleted")")
    }
}
