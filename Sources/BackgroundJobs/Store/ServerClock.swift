import Synchronization

/// The Redis server's clock, for those who may not run scripts: its distance from this machine's monotonic clock is
/// learned from `TIME` and again every minute, so that a step of the local wall clock changes nothing.
final class ServerClock: Sendable {
    private struct Reading {
        var server: Int64
        /// nil: the clock stands still.
        var at: ContinuousClock.Instant?

        var passed: Duration { at?.duration(to: .now) ?? .zero }
    }

    private let reading = Mutex<Reading?>(nil)

    /// Whether `TIME` should be asked again.
    var isStale: Bool {
        reading.withLock { $0.map { $0.passed > .seconds(60) } ?? true }
    }

    /// The server's time in ms; nil before the first answer.
    var now: Int64? {
        reading.withLock { $0.map { $0.server + $0.passed.milliseconds } }
    }

    func learn(_ server: Int64) {
        reading.withLock { $0 = Reading(server: server, at: .now) }
    }

    /// For tests whose scripts have a clock of their own.
    func stand(at time: Int64) {
        reading.withLock { $0 = Reading(server: time, at: nil) }
    }
}

extension Duration {
    /// Whole milliseconds, rounded down.
    package var milliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }

    /// Milliseconds with a fraction, to the microsecond.
    /// Rounded up, so that nothing that waits for it is early.
    package var ceilingMilliseconds: Int64 { (self + .nanoseconds(999_999)).milliseconds }

    package var fractionalMilliseconds: Double {
        Double(components.seconds) * 1000 + (Double(components.attoseconds) / 1e12).rounded() / 1000
    }
}
