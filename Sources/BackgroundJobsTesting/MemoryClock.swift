import BackgroundJobs

/// A clock that runs from a start, or stands still.
struct MemoryClock: Sendable {
    private var base: Int64
    private var started: ContinuousClock.Instant?

    init(runningFrom time: Int64) {
        base = time
        started = .now
    }

    init(standingAt time: Int64) {
        base = time
    }

    var now: Int64 { base + (started.map { $0.duration(to: .now).milliseconds } ?? 0) }

    mutating func advance(by milliseconds: Int64) {
        base += milliseconds
    }
}
