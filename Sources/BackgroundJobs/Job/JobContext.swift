public import Logging

/// What a job may know of the attempt that runs it.
public struct JobContext: Sendable {
    /// The job's ID: the same for each attempt, so it serves as an idempotency key.
    public let jobID: String
    /// The ID of this attempt.
    public let attemptID: String
    /// The number of this attempt, from 1.
    public let attempt: Int
    /// The queue it was taken from.
    public let queue: String
    /// The class name under which it was enqueued.
    public let className: String
    /// A logger that carries the four above as metadata.
    public let logger: Logger

    private let loss: @Sendable () -> Bool

    /// Whether this attempt has been taken away from its worker: it is run elsewhere, or will be, and its result will be
    /// refused. The task is cancelled at the same moment.
    public var isLost: Bool { loss() }

    /// Makes a context, for tests of a job's ``Job/perform(_:)``.
    ///
    /// - Parameters:
    ///   - isLost: what ``isLost`` answers.
    public init(
        jobID: String,
        attemptID: String,
        attempt: Int = 1,
        queue: String = "default",
        className: String,
        logger: Logger,
        isLost: @escaping @Sendable () -> Bool = { false }
    ) {
        self.jobID = jobID
        self.attemptID = attemptID
        self.attempt = attempt
        self.queue = queue
        self.className = className
        var logger = logger
        logger[metadataKey: LogKey.job] = "\(jobID)"
        logger[metadataKey: LogKey.attempt] = "\(attemptID)"
        logger[metadataKey: LogKey.number] = "\(attempt)"
        logger[metadataKey: LogKey.queue] = "\(queue)"
        logger[metadataKey: LogKey.className] = "\(className)"
        self.logger = logger
        self.loss = isLost
    }
}
