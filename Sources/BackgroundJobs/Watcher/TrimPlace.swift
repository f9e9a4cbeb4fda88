/// How far a set has been looked through by the trimmer: those before had to stay, since they are the last attempts of dead
/// jobs, so the next round begins behind them.
///
/// They become removable when their jobs are retried or go, and the ranks of those behind shift then. So the set is looked
/// through from its beginning once an hour, and a minute later at the earliest where it is known that something changed.
struct TrimPlace: Sendable {
    typealias Instant = ContinuousClock.Instant
    static let full = Duration.seconds(3600)
    static let changed = Duration.seconds(60)

    /// How many at the beginning had to stay.
    private(set) var rank = 0
    private var hasChanged = false
    private var began: Instant

    init(now: Instant) {
        began = now
    }

    /// A round begins; returns the rank to begin it at. It is that of the last one that had to stay: if nothing is to be
    /// looked at there any more, the set shrank.
    mutating func begin(now: Instant) -> Int {
        if began.duration(to: now) >= (hasChanged ? Self.changed : Self.full) { self = TrimPlace(now: now) }
        return max(rank - 1, 0)
    }

    /// A step of the round, begun at this rank; returns the rank to go on at.
    mutating func looked(from start: Int, _ trimmed: Trimmed) -> Int {
        if trimmed.removed + trimmed.kept == 0 {
            if start < rank { change() }
        } else {
            rank = start + trimmed.kept
        }
        return rank
    }

    /// Something before the rank went or may go.
    mutating func change() {
        hasChanged = rank > 0
    }
}
