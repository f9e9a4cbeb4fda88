public import Foundation
public import Logging

/// What a job may know of the attempt that runs it.
public struct JobContext: Sendable {
    /// The job's ID: the same for each attempt, so it serves as an idempotency key.
    public var jobID: String { facts.job.id }
    /// The ID of this attempt.
    public var attemptID: String { facts.job.attempt }
    /// The number of this attempt, from 1.
    public var attempt: Int { facts.job.number }
    /// How many attempts of the job have failed by themselves before this one.
    public var failures: Int { facts.failures }
    /// The queue it was taken from.
    public var queue: String { facts.job.queue }
    /// The class name under which it was enqueued.
    public var className: String { facts.job.className ?? "" }
    /// The arguments, as the bytes that were enqueued.
    public var arguments: [UInt8] { facts.job.arguments }
    /// When it was queued, by the Redis server's clock; nil where its hash does not tell.
    public var queuedAt: Date? { facts.job.queuedAt.map { Date(milliseconds: $0) } }
    /// The node that runs it, as in `bg-cli workers`.
    public var node: String { facts.node }
    /// The periodic job that fired it, and the time that it was fired for; nil: none did.
    public var periodic: PeriodicFiring? { facts.periodic }
    /// A logger that carries these as metadata. Middleware may add to it.
    public var logger: Logger {
        get { changedLogger ?? taggedLogger }
        set { changedLogger = newValue }
    }
    private var changedLogger: Logger?

    /// Further fields of the job's hash, as they are there.
    var fields: [String: String] { facts.job.fields }
    /// What it says of itself.
    var notes: AttemptNotes { facts.notes }
    private let facts: Facts
    /// What middleware has added, by the type of its key.
    private var values: [ObjectIdentifier: any Sendable] = [:]

    /// What is the same in each copy.
    private final class Facts: Sendable {
        let job: ClaimedJob
        let failures: Int
        let node: String
        let periodic: PeriodicFiring?
        let logger: Logger
        let notes: AttemptNotes
        let makeManager: (@Sendable () throws -> Manager)?
        let reason: @Sendable () -> Cancellation?

        init(
            _ job: ClaimedJob,
            failures: Int,
            node: String,
            periodic: PeriodicFiring?,
            logger: Logger,
            notes: AttemptNotes,
            manager: (@Sendable () throws -> Manager)?,
            cancellation: @escaping @Sendable () -> Cancellation?
        ) {
            self.job = job
            self.failures = failures
            self.node = node
            self.periodic = periodic
            self.logger = logger
            self.notes = notes
            makeManager = manager
            reason = cancellation
        }
    }

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
    public var cancellation: Cancellation? { facts.reason() }

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
        let job = ClaimedJob(
            attempt: attemptID,
            id: jobID,
            queue: queue,
            number: attempt,
            className: className,
            arguments: arguments,
            queuedAt: nil
        )
        facts = Facts(
            job,
            failures: failures,
            node: "",
            periodic: periodic,
            logger: logger,
            notes: AttemptNotes(),
            manager: manager.map { manager in { @Sendable in manager } },
            cancellation: cancellation
        )
    }

    init(
        _ job: ClaimedJob,
        node: String,
        logger: Logger,
        notes: AttemptNotes,
        manager: (@Sendable () throws -> Manager)?,
        cancellation: @escaping @Sendable () -> Cancellation?
    ) {
        let failures = job.fields["ers"].flatMap { Int($0) }.flatMap { (0...1 << 53).contains($0) ? $0 : nil }
        facts = Facts(
            job,
            failures: failures ?? 0,
            node: node,
            periodic: PeriodicFiring(job.fields),
            logger: logger,
            notes: notes,
            manager: manager,
            cancellation: cancellation
        )
    }

    /// Made when it is asked for: most jobs of a busy worker say nothing.
    private var taggedLogger: Logger {
        var logger = facts.logger
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
            guard let makeManager = facts.makeManager else {
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
