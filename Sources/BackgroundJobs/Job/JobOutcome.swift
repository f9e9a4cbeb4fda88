/// What a job throws to say what is to become of it.
///
/// ```swift
/// throw JobOutcome.snooze(for: .seconds(30))
/// ```
public struct JobOutcome: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Kind: Sendable, Hashable {
        case discard(String)
        case dead(String)
        case snooze(Duration)
        case skip(String)
        case endPeriodic(String)
    }

    package let kind: Kind

    /// The attempt has failed, and the job is forgotten: no retry, not dead either. Its attempts stay on record for a time.
    ///
    /// - Parameter reason: goes on record as the attempt's message.
    public static func discard(_ reason: String) -> JobOutcome { JobOutcome(kind: .discard(reason)) }

    /// The attempt has failed, and the job is dead at once, whatever retries it has left.
    ///
    /// - Parameter reason: goes on record as the attempt's message.
    public static func dead(_ reason: String) -> JobOutcome { JobOutcome(kind: .dead(reason)) }

    /// The job comes back later, and this attempt does not count.
    ///
    /// - Parameter duration: how long it waits, up to a year; zero or less: not at all.
    public static func snooze(for duration: Duration) -> JobOutcome { JobOutcome(kind: .snooze(duration)) }

    /// The job is not run and ends, neither completed nor failed: for middleware that stops it. It goes on record as `Skipped`.
    ///
    /// - Parameter reason: goes on record as the attempt's message.
    public static func skip(_ reason: String) -> JobOutcome { JobOutcome(kind: .skip(reason)) }

    /// The periodic job that fired this one has ended: it fires no more. This attempt has completed. Thrown by a job that no
    /// periodic job fired, it completes and nothing else.
    ///
    /// - Parameter reason: is kept with the periodic job, up to 1 KiB of it.
    public static func endPeriodic(_ reason: String) -> JobOutcome { JobOutcome(kind: .endPeriodic(reason)) }

    /// The reason, or how long it waits.
    public var description: String {
        switch kind {
        case .discard(let reason), .dead(let reason), .skip(let reason), .endPeriodic(let reason): reason
        case .snooze(let duration): "snoozed for \(duration)"
        }
    }
}

/// An attempt that failed.
public struct JobFailure: Sendable {
    /// The attempt.
    public let context: JobContext
    /// The arguments, as the bytes that were enqueued.
    public let arguments: [UInt8]
    /// What it threw.
    public let error: any Error
    /// How many attempts of the job have failed by themselves, this one included.
    public let failures: Int
    /// How long the next attempt waits; nil: there is none.
    public let retryDelay: Duration?
}

/// An attempt ran longer than its time limit.
public struct JobTimeout: Error, Sendable, Hashable, CustomStringConvertible {
    /// The time limit.
    public let limit: Duration
    /// What a handler program had written to stderr by then.
    package var lastWords = ""

    /// How long it was.
    public var description: String {
        "it ran longer than its time limit of \(limit)" + (lastWords.isEmpty ? "" : ": \(lastWords)")
    }
}
