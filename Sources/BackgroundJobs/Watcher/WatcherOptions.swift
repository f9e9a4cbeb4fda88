/// The settings of a watcher.
public struct WatcherOptions: Sendable {
    /// The queues it watches; nil: all that are known.
    public var queues: [String]?
    /// How often it looks; the bound on everything that is not due at a known time.
    public var interval: Duration
    /// After which silence a connection is ended and its attempts are run elsewhere; as the workers are told.
    public var deadAfter: Duration
    /// How often the workers show that they live.
    public var heartbeat: Duration
    /// How long nobody is judged after anything that makes the living look dead.
    public var grace: Duration
    /// How far apart two looks are that find a worker gone.
    public var secondLook: Duration
    /// What is kept of attempts that completed.
    public var keepCompleted: Retention
    /// What is kept of attempts that failed.
    public var keepFailed: Retention
    /// What is kept of attempts that ended otherwise.
    public var keepEnded: Retention
    /// What is kept of dead jobs.
    public var keepDead: Retention
    /// Whether it works on a Redis that may evict keys.
    public var allowsEviction: Bool

    /// Makes settings.
    ///
    /// - Precondition: times are positive; `deadAfter` is at least three heartbeats.
    public init(
        queues: [String]? = nil,
        interval: Duration = .seconds(1),
        deadAfter: Duration = .seconds(30),
        heartbeat: Duration = .seconds(5),
        grace: Duration = .seconds(6),
        secondLook: Duration = .milliseconds(500),
        keepCompleted: Retention = Retention(age: .seconds(24 * 3600), count: 100_000),
        keepFailed: Retention = Retention(age: .seconds(7 * 24 * 3600), count: 100_000),
        keepEnded: Retention = Retention(age: .seconds(7 * 24 * 3600), count: 100_000),
        keepDead: Retention = Retention(age: .seconds(180 * 24 * 3600), count: 10_000),
        allowsEviction: Bool = false
    ) {
        precondition(interval > .zero && heartbeat > .zero, "intervals are positive")
        precondition(deadAfter >= heartbeat * 3, "deadAfter is at least three heartbeats")
        precondition(grace >= .zero && secondLook >= .zero, "times are not negative")
        self.queues = queues
        self.interval = interval
        self.deadAfter = deadAfter
        self.heartbeat = heartbeat
        self.grace = grace
        self.secondLook = secondLook
        self.keepCompleted = keepCompleted
        self.keepFailed = keepFailed
        self.keepEnded = keepEnded
        self.keepDead = keepDead
        self.allowsEviction = allowsEviction
    }

    package func retention(of set: TrimmedSet) -> Retention {
        switch set {
        case .completed: keepCompleted
        case .failed: keepFailed
        case .ended: keepEnded
        case .dead: keepDead
        }
    }
}
