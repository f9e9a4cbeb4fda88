public import BackgroundJobs
public import Foundation

/// An attempt that a ``TestQueue`` has run.
public struct JobRun: Sendable {
    /// How an attempt ended, and what became of the job.
    public enum Ending: Sendable, Hashable {
        /// It succeeded.
        case completed
        /// It failed, and the job is tried again after so long.
        case retried(after: Duration)
        /// The job comes back after so long; the attempt does not count.
        case snoozed(for: Duration)
        /// It failed, and no retry is left.
        case dead
        /// It failed, and the job is forgotten.
        case discarded
        /// Middleware has stopped it.
        case skipped
        /// Somebody has cancelled the job.
        case cancelled
        /// The task that ran it was cancelled, and the job is at the head of its queue again.
        case givenBack
    }

    /// The job's ID.
    public let jobID: String
    /// The class name.
    public let className: String
    /// The queue that it was taken from.
    public let queue: String
    /// The arguments, JSON.
    public let arguments: String
    /// Which attempt of the job it was, from 1.
    public let attempt: Int
    /// When it began, by the queue's clock.
    public let startedAt: Date
    /// How it ended.
    public let ending: Ending
    /// What the job threw; nil if it succeeded.
    public let error: (any Error)?
    /// The attempt as it is on record, with its result, progress and notes.
    public let record: AttemptRecord

    /// The job, decoded, if it is of this type.
    ///
    /// - Throws: ``BadArguments`` if its arguments are not those of the type.
    public func job<J: Job>(_ type: J.Type) throws -> J? {
        className == J.name ? try J.decoded(from: Array(arguments.utf8)) : nil
    }

    init(
        _ job: ClaimedJob,
        startedAt: Int64,
        _ ending: BackgroundJobs.Ending,
        _ error: (any Error)?,
        _ record: AttemptRecord
    ) {
        jobID = job.id
        className = job.className ?? ""
        queue = job.queue
        arguments = String(decoding: job.arguments, as: UTF8.self)
        attempt = job.number
        self.startedAt = Date(milliseconds: startedAt)
        self.error = error
        self.record = record
        let isCancelled = record.error == "Cancelled"
        self.ending =
            switch ending {
            case _ where isCancelled: .cancelled
            case .completed: .completed
            case .retried(_, _, let delay, _): .retried(after: .milliseconds(delay))
            case .snoozed(let delay): .snoozed(for: .milliseconds(delay))
            case .dead, .crashed: .dead
            case .discarded: .discarded
            case .skipped: .skipped
            case .cancelled: .cancelled
            case .shutdown, .unbegun: .givenBack
            }
    }
}
