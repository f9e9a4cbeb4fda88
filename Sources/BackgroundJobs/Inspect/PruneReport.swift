/// What there is to be deleted of a namespace or of a queue, or what has been.
public struct PruneReport: Sendable, Hashable, Encodable {
    /// How many keys of each kind: `jobs`, `attempts`, `ready`, …
    public var counts: [String: Int] = [:]
    /// How many keys begin as those of the namespace do and are none of them. They stay.
    public var foreignCount = 0
    /// The first ten of them.
    public var foreign: [String] = []

    /// How many keys in all.
    public var total: Int { counts.values.reduce(0, +) }

    mutating func add(_ kind: String, _ count: Int = 1) {
        if count > 0 { counts[kind, default: 0] += count }
    }

    mutating func add(foreign key: String) {
        foreignCount += 1
        if foreign.count < 10 { foreign.append(key) }
    }
}
