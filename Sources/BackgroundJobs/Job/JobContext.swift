public import Logging

/// What a job may know of the attempt that runs it.
public struct JobContext: Sendable {
    /// The job's ID: the same for each attempt, so it serves as an idempotency key.
    public let jobID: String
    /// The ID of this attempt.
    public let attemptID: String
    /// The number of this attempt, from 1.
    public let attempt: Int
    /// How many attempts of the job have failed by themselves before this one.
    public let failures: Int
    /// The queue it was taken from.
    public let queue: String
    /// The class name under which it was enqueued.
    public let className: String
    /// The periodic job that fired it, and the time that it was fired for; nil: none did.
    public let periodic: PeriodicFiring?
    /// A logger that carries the four above as metadata.
    public let logger: Logger

    private let reason: @Sendable () -> Cancellation?

    /// Why an attempt's task was cancelled.
    public enum Cancellation: String, Sendable, Hashable {
        /// It ran longer than its time limit.
        case timeout
        /// Somebody cancelled the job.
        case cancelled
        /// The attempt was taken away from this worker: it is run elsewhere, or will be, and its result will be refused.
        case lost
        /// The worker stops.
        case shutdown
    }

    /// Why the task was cancelled; nil if it was not.
    public var cancellation: Cancellation? { reason() }

    /// Whether this attempt has been taken away from its worker: it is run elsewhere, or will be, and its result will be
    /// refused. The task is cancelled at the same moment.
    public var isLost: Bool { cancellation == .lost }

    /// Makes a context, for tests of a job's ``Job/perform(_:)``.
    ///
    /// - Parameters:
    ///   - periodic: what ``periodic`` answers.
    ///   - cancellation: what ``cancellation`` answers.
    public init(
        jobID: String,
        attemptID: String,
        attempt: Int = 1,
        failures: Int = 0,
        queue: String = "default",
        className: String,
        logger: Logger,
        periodic: PeriodicFiring? = nil,
        cancellation: @escaping @Sendable () -> Cancellation? = { nil }
    ) {
        self.jobID = jobID
        self.attemptID = attemptID
        self.attempt = attempt
        self.failures = failures
        self.queue = queue
        self.className = className
        self.periodic = periodic
        var logger = logger
        logger[metadataKey: LogKey.job] = "\(jobID)"
        logger[metadataKey: LogKey.attempt] = "\(attemptID)"
        logger[metadataKey: LogKey.number] = "\(attempt)"
        logger[metadataKey: LogKey.queue] = "\(queue)"
        logger[metadataKey: LogKey.className] = "\(className)"
        self.logger = logger
        self.reason = cancellation
    }
}
