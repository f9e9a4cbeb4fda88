/// All that a store holds in one namespace, in the words of the protocol: the same for the store in memory and for Redis,
/// so that two of them can be compared.
package struct StoreSnapshot: Sendable, Equatable {
    /// A hash: field to bytes. A field without a value is absent.
    package struct Record: Sendable, Equatable {
        package var fields: [String: [UInt8]]

        package init(_ fields: [String: [UInt8]] = [:]) {
            self.fields = fields
        }

        /// The text of a field; nil removes it.
        package subscript(_ field: String) -> String? {
            get { fields[field].map { String(decoding: $0, as: UTF8.self) } }
            set { fields[field] = newValue.map { Array($0.utf8) } }
        }

        /// The text of a field that has one.
        package func present(_ field: String) -> String? {
            self[field].flatMap { $0.isEmpty ? nil : $0 }
        }

        /// A count or a time: what is no number, or lies outside 0 … 2^53, counts as absent.
        package func number(_ field: String) -> Int64? {
            guard let text = self[field] else { return nil }
            return Self.number(text).map { Int64($0) }
        }

        static func number(_ text: String) -> Double? {
            let digits = text.drop(while: \.isWhitespace)
            guard let value = Double(digits), value >= 0, value <= 9_007_199_254_740_992 else { return nil }
            return value.rounded(.down)
        }
    }

    package var jobs: [String: Record] = [:]
    package var attempts: [String: Record] = [:]
    package var batches: [String: Record] = [:]
    /// `cron:<name>`: periodic jobs.
    package var periodics: [String: Record] = [:]
    /// `ready:<queue>`, `handoff:<queue>`, `suspects:<queue>`, `placed:<place>`: job IDs from head to tail; `cancel:<node>`:
    /// attempts to be cancelled; `notes:<listener>`: how jobs ended, for a producer; `wake:<queue>`, `wake:<place>`: notes.
    package var lists: [String: [String]] = [:]
    /// `unique:<digest>`: the ID of the job that holds the lock; `awaited`: there while anybody awaits a job.
    package var locks: [String: String] = [:]
    /// `processing:<queue>`, `queues`, `paused`, `places`; `awaited:<job>`: who awaits it.
    package var sets: [String: Set<String>] = [:]
    /// `scheduled:<queue>`, `completed:<queue>`, `failed:<queue>`, `ended:<queue>`, `dead:<queue>`, `crons`: member to
    /// score (of `crons`, ``never`` for +inf).
    package var sortedSets: [String: [String: Int64]] = [:]
    /// `stats:<queue>` and `stats:<queue>:<minute>`.
    package var counters: [String: [String: Int64]] = [:]
    /// Keys without the namespace that expire.
    package var expiring: Set<String> = []

    /// The score of a periodic job that is paused or has ended.
    package static let never = Int64.max

    package init() {}

    /// The members of a sorted set by score, then by name.
    package func ranked(_ key: String) -> [String] {
        (sortedSets[key] ?? [:]).sorted { ($0.value, $0.key) < ($1.value, $1.key) }.map(\.key)
    }

    /// The queue that a key belongs to, if it is of this kind.
    static func queue(of key: String, _ kind: String) -> String? {
        key.hasPrefix(kind + ":") ? String(key.dropFirst(kind.utf8.count + 1)) : nil
    }
}
