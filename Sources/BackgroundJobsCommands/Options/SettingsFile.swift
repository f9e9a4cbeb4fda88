import Foundation
import Yams

/// A file of settings, read for one program.
///
/// ```yaml
/// redis: redis://10.0.0.5:6379/0
/// heartbeat: 5s
/// worker:
///   queues: [high, low]
///   fibers: 50
/// watcher:
///   keep-completed: 2h,10000
/// ```
///
/// What stands at the top counts for every program that knows it; what stands under the name of a program counts for that
/// one, and before the other.
struct SettingsFile {
    /// A value, and the line in which its name stands.
    struct Entry: Equatable {
        var value: String
        var line: Int
    }

    /// The file, as it was named.
    let path: String
    /// The values that count for the program, by the names of the settings.
    private(set) var entries: [String: Entry] = [:]

    /// - Throws: ``CommandFailure`` with the code 64, which names the file, the line and what is wrong.
    init(path: String, for reader: SettingsReader) throws(CommandFailure) {
        self.path = path
        let text: String
        do {
            text = try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            let reason =
                switch FileStatus(path)?.kind {
                case nil: "there is no such file"
                case .folder?: "it is a directory"
                default: access(path, R_OK) == 0 ? "it can't be read as text" : "reading it is not permitted"
                }
            throw CommandFailure(code: 64, message: "--config \(path): \(reason).")
        }
        try read(text, for: reader)
    }

    init(text: String, path: String, for reader: SettingsReader) throws(CommandFailure) {
        self.path = path
        try read(text, for: reader)
    }

    private mutating func read(_ text: String, for reader: SettingsReader) throws(CommandFailure) {
        let root: Node?
        do {
            root = try compose(yaml: text)
        } catch {
            throw CommandFailure(code: 64, message: Self.message(error, of: text, path))
        }
        guard let root, root.scalar?.string != "" else { return }
        guard let mapping = root.mapping else {
            throw CommandFailure(code: 64, message: "\(path) should hold names and values, as in fibers: 50.")
        }
        var own: [String: Entry] = [:]
        for (key, value) in mapping {
            let name = key.string ?? ""
            guard let section = SettingsReader(rawValue: name) else {
                let settings = Setting.all.filter { !$0.isApart }
                let setting = try known(name, key, among: settings, sections: true)
                if setting.readers.contains(reader) {
                    entries[name] = try entry(setting, key, value)
                } else {
                    _ = try entry(setting, key, value)
                }
                continue
            }
            guard let part = value.mapping else {
                throw fault(key, "\(name): should hold the settings of the \(name), as in \(name): {log-format: json}")
            }
            for (key, value) in part {
                let setting = try known(key.string ?? "", key, among: Setting.all(of: section), section: section)
                let entry = try entry(setting, key, value, section: section)
                if section == reader { own[setting.name] = entry }
            }
        }
        entries.merge(own) { $1 }
    }

    private func known(
        _ name: String,
        _ key: Node,
        among settings: [Setting],
        section: SettingsReader? = nil,
        sections: Bool = false
    ) throws(CommandFailure) -> Setting {
        if let setting = settings.first(where: { $0.name == name }) { return setting }
        let names = Set(settings.map(\.name) + (sections ? SettingsReader.allCases.map(\.rawValue) : [])).sorted()
        let place = section.map { "\($0.rawValue)." } ?? ""
        let elsewhere = SettingsReader.allCases.filter { reader in
            reader != section && Setting.all(of: reader).contains { $0.name == name }
        }
        if section != nil, let other = elsewhere.first {
            throw fault(
                key,
                "\(place)\(name) is a setting of the \(other.rawValue), not of the \(section?.rawValue ?? "")"
            )
        }
        let nearest = NearestName.to(name, among: names).map { "Did you mean \($0)?" }
        throw fault(
            key,
            "there is no setting \(place)\(name)",
            nearest ?? "There are \(names.joined(separator: ", "))."
        )
    }

    private func entry(
        _ setting: Setting,
        _ key: Node,
        _ value: Node,
        section: SettingsReader? = nil
    ) throws(CommandFailure) -> Entry {
        let name = (section.map { "\($0.rawValue)." } ?? "") + setting.name
        guard let text = Self.text(value, setting.kind) else {
            throw fault(key, "\(name) is a list or a part of its own; \(setting.kind.expectation) is expected")
        }
        guard let read = setting.kind.read(text) else {
            let shown = text.isEmpty ? "has no value" : "is “\(setting.kind.shown(text))”"
            throw fault(key, "\(name) \(shown); \(setting.kind.expectation) is expected")
        }
        return Entry(value: read, line: key.mark?.line ?? 0)
    }

    /// Lists and weights as they would stand on the command line.
    private static func text(_ value: Node, _ kind: SettingKind) -> String? {
        switch value {
        case .scalar(let scalar): return value.null == nil || scalar.style != .plain ? scalar.string : ""
        case .sequence(let items) where kind.isList:
            let parts = items.map { $0.scalar?.string }
            return parts.contains(nil) ? nil : parts.compactMap(\.self).joined(separator: ",")
        case .mapping(let pairs) where kind.isList:
            let parts = pairs.map { key, value in
                key.scalar.flatMap { key in value.scalar.map { "\(key.string)\(kind.sign)\($0.string)" } }
            }
            return parts.contains(nil) ? nil : parts.compactMap(\.self).joined(separator: ",")
        default: return nil
        }
    }

    private func fault(_ key: Node, _ what: String, _ hint: String? = nil) -> CommandFailure {
        let line = key.mark.map { ":\($0.line)" } ?? ""
        return CommandFailure(code: 64, message: "\(path)\(line): \(what).\(hint.map { " \($0)" } ?? "")")
    }

    /// What Yams says of names that stand twice holds the whole file.
    private static func message(_ error: any Error, of text: String, _ path: String) -> String {
        guard case .duplicatedKeysInMapping(let names, _)? = error as? YamlError, let name = names.first else {
            return "\(path) is no YAML: \(reason(error))"
        }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
            .filter { $0.element.trimmingCharacters(in: .whitespaces).hasPrefix(name + ":") }.map { "\($0.offset + 1)" }
        return "\(path): \(name) stands there more than once, in the lines \(lines.joined(separator: ", "))."
    }

    private static func reason(_ error: any Error) -> String {
        "\(error)".split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
            .joined(separator: " ")
    }
}
