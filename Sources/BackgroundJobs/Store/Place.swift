/// Where jobs of a queue wait that are for some nodes only.
package struct Place: Sendable, Hashable, CustomStringConvertible {
    package enum Kind: String, Sendable {
        /// For the workers of a name.
        case on
        /// For those of any other.
        case avoid
    }

    package var queue: String
    package var kind: Kind
    /// The name of the workers: a node without process ID and digits.
    package var name: String

    package init(queue: String, kind: Kind, name: String) {
        self.queue = queue
        self.kind = kind
        self.name = name
    }

    /// Reads `<queue>:on:<name>` or `<queue>:avoid:<name>`.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, let kind = Kind(rawValue: parts[1]) else { return nil }
        self.init(queue: parts[0], kind: kind, name: parts[2])
    }

    package var description: String { "\(queue):\(kind.rawValue):\(name)" }

    /// What the field `pla` of its jobs holds.
    package var field: String { "\(kind.rawValue):\(name)" }

    /// Whether a worker of this name may run its jobs.
    package func suits(_ worker: String) -> Bool { (worker == name) == (kind == .on) }
}

/// What a step of falling back did.
package struct FellBack: Sendable, Equatable {
    /// The jobs that went to `ready`, the last one first.
    package var moved: [String]
    /// Those looked at that have to wait; the next step starts behind them.
    package var kept: Int
    package var hasMore: Bool

    package init(moved: [String], kept: Int, hasMore: Bool) {
        self.moved = moved
        self.kept = kept
        self.hasMore = hasMore
    }
}
