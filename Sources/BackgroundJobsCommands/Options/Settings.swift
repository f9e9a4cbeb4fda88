import ArgumentParser
import Foundation

/// The settings of a program, from the command line, the environment, a file and the defaults, in that order.
struct Settings: Sendable {
    /// What a setting is, and where that was said.
    struct Resolved: Sendable, Equatable {
        var name: String
        /// As it is shown; nil: none.
        var value: String?
        var origin: String
    }

    /// In the order of the table.
    private(set) var resolved: [Resolved] = []
    /// The command line, with what was said elsewhere added.
    private(set) var arguments: [String]
    /// Sentences about variables of the environment whose names look misspelt.
    let warnings: [String]

    /// Those of the command that runs, for it to show.
    @TaskLocal static var current: Settings?

    /// - Parameters:
    ///   - arguments: the command line without the program's name.
    ///   - environment: variables; those that are empty count as absent.
    /// - Throws: ``CommandFailure`` with the code 64: a file that can't be read, a value that is none, a name that nobody knows.
    init(_ arguments: [String], for reader: SettingsReader, environment: [String: String]) throws(CommandFailure) {
        let line = ArgumentLine(arguments)
        var added: [String] = []
        let path = line.value(of: "config", nil) ?? environment.nonEmpty("BG_CONFIG")
        warnings = Self.misspelt(environment)
        let file: SettingsFile? = if let path { try SettingsFile(path: path, for: reader) } else { nil }
        for setting in Setting.all(of: reader) {
            let (found, isOnLine) = try Self.find(setting, line, environment, file, reader)
            resolved.append(found.shown(setting))
            guard !isOnLine, let value = found.value, found.origin != "default" else { continue }
            if setting.kind != .flag {
                added += ["--\(setting.name)", value]
            } else if value == "true" {
                added.append("--\(setting.name)")
            }
        }
        self.arguments = line.inserting(added)
        showWeights()
    }

    /// Weights are an order of their own.
    private mutating func showWeights() {
        guard let order = resolved.firstIndex(where: { $0.name == "order" && $0.origin == "default" }),
            resolved.contains(where: { $0.name == "queues" && $0.value?.contains(":") == true })
        else { return }
        resolved[order].value = "by weight"
    }

    /// Others that begin alike may be somebody else's.
    private static func misspelt(_ environment: [String: String]) -> [String] {
        environment.keys.sorted().filter { $0.hasPrefix("BG_") && !Setting.variables.contains($0) }.compactMap { name in
            func short(_ name: String) -> String { String(name.dropFirst("BG_".count)) }
            let known = Setting.variables.filter { $0.hasPrefix("BG_") }.map { short($0).lowercased() }.sorted()
            guard let nearest = NearestName.to(short(name), among: known.map { $0.replacing("_", with: "-") }) else {
                return nil
            }
            let variable = "BG_" + nearest.uppercased().replacing("-", with: "_")
            return "The variable \(name) means nothing here. Did you mean \(variable)?"
        }
    }

    private static func find(
        _ setting: Setting,
        _ line: ArgumentLine,
        _ environment: [String: String],
        _ file: SettingsFile?,
        _ reader: SettingsReader
    ) throws(CommandFailure) -> (Resolved, isOnLine: Bool) {
        let name = setting.name
        if setting.kind == .flag, let isSet = line.flag(name) {
            return (Resolved(name: name, value: "\(isSet)", origin: isSet ? "--\(name)" : "--no-\(name)"), true)
        }
        if setting.kind != .flag, let value = line.value(of: name, setting.short) {
            return (Resolved(name: name, value: value, origin: "--\(name)"), true)
        }
        if name == "log-level", line.has("verbose", "v") {
            return (Resolved(name: name, value: "debug", origin: "--verbose"), true)
        }
        for variable in [setting.variable(for: reader), setting.formerVariable].compactMap(\.self) {
            guard let text = environment.nonEmpty(variable) else { continue }
            guard let value = setting.kind.read(text) else {
                throw CommandFailure(
                    code: 64,
                    message: "\(variable) is “\(setting.kind.shown(text))”; \(setting.kind.expectation) is expected."
                )
            }
            return (Resolved(name: name, value: value, origin: variable), false)
        }
        if let file, let entry = file.entries[name] {
            return (Resolved(name: name, value: entry.value, origin: "\(file.path):\(entry.line)"), false)
        }
        return (Resolved(name: name, value: setting.standard ?? setting.inForce?(), origin: "default"), false)
    }

    /// Where those settings come from that a message about the command line speaks of, a sentence each for those that don't
    /// stand there.
    func origins(of message: String) -> [String] {
        let words = ["redis": "Redis URL", "namespace": "The namespace"]
        return resolved.filter { setting in
            !setting.origin.hasPrefix("--") && setting.origin != "default"
                && (message.contains(words[setting.name] ?? "--\(setting.name)")
                    || message.contains("--\(setting.name) ") || message.contains("--\(setting.name)."))
        }.map { "--\($0.name) is from \($0.origin)." }
    }

    /// A table for people.
    var text: String {
        var table = TextTable(["setting", "value", "from"])
        for setting in resolved { table.add([setting.name, setting.value ?? "", setting.origin]) }
        return table.text
    }
}

extension Settings.Resolved {
    fileprivate func shown(_ setting: Setting) -> Self {
        var shown = self
        shown.value = value.map(setting.kind.shown)
        return shown
    }
}

extension [String: String] {
    /// The value of a variable that has one.
    func nonEmpty(_ name: String) -> String? {
        self[name].flatMap { $0.isEmpty ? nil : $0 }
    }
}

/// What stands on a command line, as far as settings go. What it means is for the parser to say: this tells only what is there.
struct ArgumentLine {
    private let arguments: [String]
    /// Behind it stands no option any more.
    private let end: Int

    init(_ arguments: [String]) {
        self.arguments = arguments
        end = arguments.firstIndex(of: "--") ?? arguments.count
    }

    /// The value of an option, the last one if it stands there more than once; empty where it has none.
    func value(of name: String, _ short: Character?) -> String? {
        var found: String?
        for (index, argument) in arguments[..<end].enumerated() {
            if argument.hasPrefix("--\(name)=") {
                found = String(argument.dropFirst(name.count + 3))
            } else if argument == "--\(name)" || isShort(argument, short) {
                found = index + 1 < end ? arguments[index + 1] : ""
            } else if let short, argument.hasPrefix("-\(short)=") {
                found = String(argument.dropFirst(3))
            }
        }
        return found
    }

    /// Whether a flag is set or taken back; nil where nothing is said of it.
    func flag(_ name: String) -> Bool? {
        arguments[..<end].last { $0 == "--\(name)" || $0 == "--no-\(name)" }.map { $0 == "--\(name)" }
    }

    func has(_ name: String, _ short: Character) -> Bool {
        arguments[..<end].contains { $0 == "--\(name)" || isShort($0, short) }
    }

    /// The line with these in it.
    func inserting(_ added: [String]) -> [String] {
        arguments[..<end] + added + arguments[end...]
    }

    /// Letters may stand behind one dash together.
    private func isShort(_ argument: String, _ short: Character?) -> Bool {
        guard let short, argument.hasPrefix("-"), !argument.hasPrefix("--") else { return false }
        let letters = argument.dropFirst()
        return letters.allSatisfy(\.isLetter) && letters.contains(short)
    }
}
