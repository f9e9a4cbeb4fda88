/// What a key of a namespace is, as its name and its type say.
///
/// Namespaces may hold colons, so a key that begins with this one may be another's: `bg:2:jobs:x` is none of `bg`. What is of
/// a namespace is told by the whole name, and by the type.
struct KeyKind: Sendable, Hashable {
    /// What stands between the namespace and the rest; for a key that is the only one of its kind its whole name.
    let name: String
    /// What `TYPE` says of it.
    let type: String
    private let rest: Rest

    /// What may follow the name and a colon.
    private enum Rest: Hashable {
        case nothing
        /// The name of a queue, a job, an attempt or a node: none of them has a colon.
        case name
        /// A queue, or a queue and a minute.
        case statistics
        case digest
        /// A queue, or a queue, `on` or `avoid`, and the name of a node.
        case place
    }

    /// All kinds of the protocol (docs/protocol.md, Keys).
    private static let all: [KeyKind] = [
        KeyKind(name: "jobs", type: "hash", rest: .name), KeyKind(name: "attempts", type: "hash", rest: .name),
        KeyKind(name: "ready", type: "list", rest: .name), KeyKind(name: "handoff", type: "list", rest: .name),
        KeyKind(name: "suspects", type: "list", rest: .name), KeyKind(name: "scheduled", type: "zset", rest: .name),
        KeyKind(name: "processing", type: "set", rest: .name), KeyKind(name: "completed", type: "zset", rest: .name),
        KeyKind(name: "failed", type: "zset", rest: .name), KeyKind(name: "ended", type: "zset", rest: .name),
        KeyKind(name: "dead", type: "zset", rest: .name), KeyKind(name: "stats", type: "hash", rest: .statistics),
        KeyKind(name: "unique", type: "string", rest: .digest), KeyKind(name: "cancel", type: "list", rest: .name),
        KeyKind(name: "batch", type: "hash", rest: .name), KeyKind(name: "notes", type: "list", rest: .name),
        KeyKind(name: "awaited", type: "set", rest: .name), KeyKind(name: "awaited", type: "string", rest: .nothing),
        KeyKind(name: "cron", type: "hash", rest: .name), KeyKind(name: "crons", type: "zset", rest: .nothing),
        KeyKind(name: "placed", type: "list", rest: .place), KeyKind(name: "wake", type: "list", rest: .place),
        KeyKind(name: "places", type: "set", rest: .nothing), KeyKind(name: "node", type: "hash", rest: .name),
        KeyKind(name: "queues", type: "set", rest: .nothing),
        KeyKind(name: "paused", type: "set", rest: .nothing), KeyKind(name: "protocol", type: "string", rest: .nothing),
    ]

    /// The kinds of which a queue has one key each.
    static let ofQueues = [
        "ready", "handoff", "suspects", "scheduled", "processing", "completed", "failed", "ended", "dead", "stats",
    ]

    /// The kind of a key, and what follows it; nil for one that is none of this namespace.
    static func of(_ key: String, namespace: String) -> (kind: KeyKind, rest: String)? {
        guard key.hasPrefix(namespace + ":") else { return nil }
        let parts = key.dropFirst(namespace.count + 1).split(
            separator: ":",
            maxSplits: 1,
            omittingEmptySubsequences: false
        )
        let rest = parts.count > 1 ? String(parts[1]) : ""
        let kind = all.first { $0.name == parts[0] && $0.fits(parts.count > 1 ? rest : nil) }
        return kind.map { ($0, rest) }
    }

    private func fits(_ text: String?) -> Bool {
        guard let text else { return rest == .nothing }
        switch rest {
        case .nothing: return false
        case .name: return !text.isEmpty && !text.contains(":")
        case .place:
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.allSatisfy({ !$0.isEmpty }) else { return false }
            return parts.count == 1 || parts.count == 3 && ["on", "avoid"].contains(parts[1])
        case .digest: return text.count == 64 && text.allSatisfy(\.isHexDigit)
        case .statistics:
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count <= 2, !parts[0].isEmpty else { return false }
            return parts.count == 1 || !parts[1].isEmpty && parts[1].allSatisfy(\.isNumber)
        }
    }
}
