public import Foundation
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
    /// The arguments, as the bytes that were enqueued.
    public let arguments: [UInt8]
    /// When it was queued, by the Redis server's clock; nil where its hash does not tell.
    public let queuedAt: Date?
    /// The node that runs it, as in `bg-cli workers`.
    public let node: String
    /// The periodic job that fired it, and the time that it was fired for; nil: none did.
    public let periodic: PeriodicFiring?
    /// A logger that carries these as metadata. Middleware may add to it.
    public var logger: Logger {
        get { changedLogger ?? taggedLogger }
        set { changedLogger = newValue }
    }
    private let plainLogger: Logger
    private var changedLogger: Logger?

    /// Further fields of the job's hash, as they are there.
    let fields: [String: String]
    /// What it says of itself.
    let notes: AttemptNotes
    private let reason: @Sendable () -> Cancellation?
    private let makeManager: (@Sendable () throws -> Manager)?
    /// What middleware has added, by the type of its key.
    private var values: [ObjectIdentifier: any Sendable] = [:]

    /// Why an attempt's task was cancelled.
    public enum Cancellation: String, Sendable, Hashable, Codable {
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
    ///   - arguments: the arguments as JSON.
    ///   - manager: what ``manager`` answers.
    ///   - periodic: what ``periodic`` answers.
    ///   - cancellation: what ``cancellation`` answers.
    public init(
        jobID: String,
        attemptID: String,
        attempt: Int = 1,
        failures: Int = 0,
        queue: String = "default",
        className: String,
        arguments: [UInt8] = [],
        logger: Logger,
        manager: Manager? = nil,
        periodic: PeriodicFiring? = nil,
        cancellation: @escaping @Sendable () -> Cancellation? = { nil }
    ) {
        self.init(
            jobID: jobID,
            attemptID: attemptID,
            attempt: attempt,
            failures: failures,
            queue: queue,
            className: className,
            arguments: arguments,
            queuedAt: nil,
            node: "",
            fields: [:],
            periodic: periodic,
            logger: logger,
            notes: AttemptNotes(),
            manager: manager.map { manager in { @Sendable in manager } },
            cancellation: cancellation
        )
    }

    init(
        jobID: String,
        attemptID: String,
        attempt: Int,
        failures: Int,
        queue: String,
        className: String,
        arguments: [UInt8],
        queuedAt: Date?,
        node: String,
        fields: [String: String],
        periodic: PeriodicFiring?,
        logger: Logger,
        notes: AttemptNotes,
        manager: (@Sendable () throws -> Manager)?,
        cancellation: @escaping @Sendable () -> Cancellation?
    ) {
        self.jobID = jobID
        self.attemptID = attemptID
        self.attempt = attempt
        self.failures = failures
        self.queue = queue
        self.className = className
        self.arguments = arguments
        self.queuedAt = queuedAt
        self.node = node
        self.fields = fields
        self.notes = notes
        self.periodic = periodic
        plainLogger = logger
        makeManager = manager
        reason = cancellation
    }

    /// Made when it is asked for: most jobs of a busy worker say nothing.
    private var taggedLogger: Logger {
        var logger = plainLogger
        logger[metadataKey: LogKey.job] = "\(jobID)"
        logger[metadataKey: LogKey.attempt] = "\(attemptID)"
        logger[metadataKey: LogKey.number] = "\(attempt)"
        logger[metadataKey: LogKey.queue] = "\(queue)"
        logger[metadataKey: LogKey.className] = "\(className)"
        return logger
    }

    // MARK: Values of middleware

    /// What middleware has added under a key.
    public subscript<Key: JobContextKey>(_ key: Key.Type) -> Key.Value? {
        get { values[ObjectIdentifier(key)] as? Key.Value }
        set { values[ObjectIdentifier(key)] = newValue }
    }

    // MARK: Redis

    /// Enqueues jobs to the same Redis, from inside this one.
    ///
    /// - Throws: ``BackgroundError`` where there is none: in a context that a test made without one.
    public var manager: Manager {
        get throws {
            guard let makeManager else {
                throw BackgroundError(.unavailable, "This context has no manager: give one where it is made.")
            }
            return try makeManager()
        }
    }

    /// The attempts of this job until now, the latest first; this one is the first of them.
    ///
    /// - Parameter limit: how many at most.
    /// - Throws: ``BackgroundError``.
    public func history(limit: Int = 100) async throws -> [AttemptRecord] {
        try await manager.attempts(of: jobID, limit: limit)
    }
}

/// A key under which middleware adds a value to the context of a job.
///
/// ```swift
/// enum Tenant: JobContextKey { typealias Value = String }
/// context[Tenant.self] = "acme"
/// ```
public protocol JobContextKey {
    /// What stands under the key.
    associatedtype Value: Sendable
}
