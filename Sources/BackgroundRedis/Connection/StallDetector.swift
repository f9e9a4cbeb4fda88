/// Notices that this process did not run for a while: it was stopped, or its machine slept.
///
/// What a process finds in its sockets then is old: by the time it reads the reply to a claim, others may have been
/// given the job.
struct StallDetector {
    private let limit: Duration?
    private var last: ContinuousClock.Instant

    init(limit: Duration?, now: ContinuousClock.Instant) {
        self.limit = limit
        last = now
    }

    /// Whether there is anything to notice, so that the clock need not be read otherwise.
    var isEnabled: Bool { limit != nil }

    /// Notes that the process runs.
    ///
    /// - Returns: How long it did not, if that is longer than the limit.
    mutating func gap(at now: ContinuousClock.Instant) -> Duration? {
        defer { last = now }
        guard let limit, now - last > limit else { return nil }
        return now - last
    }
}
