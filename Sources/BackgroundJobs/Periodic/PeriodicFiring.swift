public import Foundation

/// By which periodic job a job was fired, and for which time.
public struct PeriodicFiring: Sendable, Hashable {
    /// The name of the periodic job.
    public let name: String
    /// The time it was fired for, by the Redis server's clock: when it was due, though it may have been fired later. nil where
    /// somebody ran it by hand.
    public let time: Date?

    /// Makes one, for tests.
    public init(name: String, time: Date?) {
        self.name = name
        self.time = time
    }

    /// - Parameter fields: those of the job's hash.
    init?(_ fields: [String: String]) {
        guard let name = fields["crn"], !name.isEmpty else { return nil }
        self.init(
            name: name,
            time: fields["due"].flatMap { Int64($0) }.flatMap {
                (0...1 << 53).contains($0) ? Date(milliseconds: $0) : nil
            }
        )
    }
}
