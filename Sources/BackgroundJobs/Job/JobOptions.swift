/// What a job asks for when it fails, hangs, must not run twice, or is no longer wanted.
///
/// The same options exist in three places with one meaning: as ``Job/options`` of a type, as an argument of a call to
/// enqueue, and as flags of `bg-cli enqueue`. What a call says wins over what the type says; what neither says is the
/// default given here. Those of a call, and `expires`, `unique`, `on`, `avoiding` and `fallback` of the type, travel in the job's hash, so producers in
/// any language can set them; the others of the type are the worker's own.
public struct JobOptions: Sendable {
    /// Attempts allowed after the first, where one fails by itself: 0 to 1,000,000. Default: 25.
    public var retries: Int?
    /// How long a retry waits. Default: ``Backoff/exponential``.
    public var backoff: Backoff?
    /// No retry is scheduled for a time at which the job is older than this; one that has to wait longer, for want of workers,
    /// runs. Default: no limit of age.
    public var retryFor: Duration?
    /// The queue on which retries run. Default: the one it was taken from.
    public var retryQueue: String?
    /// How often the job is run again after its worker vanished, within the crash window. Default: 3.
    public var crashRetries: CrashRetries?
    /// The time within which crashes are counted; zero: for ever. Default: 72 hours.
    public var crashWindow: Duration?
    /// Whether an attempt whose worker vanished is repeated. Default: ``Delivery/atLeastOnce``.
    public var delivery: Delivery?
    /// How long an attempt may run: then its task is cancelled, and one that ignores that is abandoned after
    /// ``WorkerOptions/killAfter``. It fails with ``JobTimeout`` and is retried as any failure. Default: no limit.
    public var timeout: Duration?
    /// A job that has not begun so long after it was to run is dropped, with a record. Default: never.
    public var expires: Duration?
    /// Keeps a second job of the same kind from being queued. Default: none.
    public var unique: Uniqueness?
    /// It is to run on a worker of this name (`--name`, else the host's). Default: on any.
    public var on: String?
    /// It is not to run on a worker of this name. Default: on any. Only one of the two may be given.
    public var avoiding: String?
    /// How long it waits where no such worker is connected, before any may take it. Default: 10 s.
    public var fallback: Fallback?

    /// Makes options; those that are nil are left to the type, or to their defaults.
    ///
    /// - Parameters:
    ///   - retries: attempts allowed after the first.
    ///   - backoff: how long a retry waits.
    ///   - retryFor: the age at which it is given up.
    ///   - retryQueue: the queue on which retries run.
    ///   - timeout: how long an attempt may run.
    ///   - expires: how long after its time the first attempt may begin.
    ///   - delivery: whether it is repeated when its worker vanished.
    ///   - crashRetries: how often that is done.
    ///   - crashWindow: the time within which crashes are counted.
    ///   - unique: keeps a second one from being queued.
    ///   - on: the name of the workers that may run it.
    ///   - avoiding: the name of the workers that may not.
    ///   - fallback: how long it waits where no such worker is connected.
    public init(
        retries: Int? = nil,
        backoff: Backoff? = nil,
        retryFor: Duration? = nil,
        retryQueue: String? = nil,
        timeout: Duration? = nil,
        expires: Duration? = nil,
        delivery: Delivery? = nil,
        crashRetries: CrashRetries? = nil,
        crashWindow: Duration? = nil,
        unique: Uniqueness? = nil,
        on: String? = nil,
        avoiding: String? = nil,
        fallback: Fallback? = nil
    ) {
        self.retries = retries
        self.backoff = backoff
        self.retryFor = retryFor
        self.retryQueue = retryQueue
        self.timeout = timeout
        self.expires = expires
        self.delivery = delivery
        self.crashRetries = crashRetries
        self.crashWindow = crashWindow
        self.unique = unique
        self.on = on
        self.avoiding = avoiding
        self.fallback = fallback
    }

    /// These, and where they are nil, those of `other`.
    package func or(_ other: JobOptions) -> JobOptions {
        JobOptions(
            retries: retries ?? other.retries,
            backoff: backoff ?? other.backoff,
            retryFor: retryFor ?? other.retryFor,
            retryQueue: retryQueue ?? other.retryQueue,
            timeout: timeout ?? other.timeout,
            expires: expires ?? other.expires,
            delivery: delivery ?? other.delivery,
            crashRetries: crashRetries ?? other.crashRetries,
            crashWindow: crashWindow ?? other.crashWindow,
            unique: unique ?? other.unique,
            on: on ?? other.on,
            avoiding: avoiding ?? other.avoiding,
            fallback: fallback ?? other.fallback
        )
    }
}

/// Whether an attempt whose worker vanished is repeated.
public enum Delivery: String, Sendable, Hashable, CaseIterable {
    /// It is: the job runs at least once, and may run twice.
    case atLeastOnce = "at-least-once"
    /// It is not: the job is dead, and may not have run to its end.
    case atMostOnce = "at-most-once"

    /// What the field `dlv` holds.
    package var code: String { self == .atMostOnce ? "amo" : "alo" }
}

/// How often a job is run again after its worker vanished.
public enum CrashRetries: Sendable, Hashable, ExpressibleByIntegerLiteral {
    /// So often, within the crash window; 0: not once.
    case limited(Int)
    /// Every time.
    case all

    /// A limit.
    public init(integerLiteral value: Int) { self = .limited(value) }
}

/// Keeps a second job of the same kind from being queued while a first one holds the lock.
///
/// The lock bears the ID of the job that holds it. It is released by the outcome of the job, survives its retries, and
/// has a time to live in any case.
public struct Uniqueness: Sendable, Hashable {
    /// What makes two jobs the same.
    public enum Key: Sendable, Hashable {
        /// Class, queue and arguments.
        case arguments
        /// Class, queue and this text.
        case key(String)
    }

    /// How long the lock is held.
    public enum End: String, Sendable, Hashable, CaseIterable {
        /// Until the first attempt begins.
        case started
        /// Until the job has ended for good.
        case finished
    }

    /// What becomes of the second job.
    public enum Duplicate: String, Sendable, Hashable, CaseIterable {
        /// Nothing.
        case skip
        /// Its arguments replace those of the first, if that one waits.
        case replaceArguments = "replace-arguments"
        /// Its time replaces that of the first, if that one waits.
        case replaceTime = "replace-time"
        /// Both.
        case replace
    }

    /// The longest time for which the lock is held, counted from when the job is to run.
    public var duration: Duration
    /// What makes two jobs the same.
    public var by: Key
    /// When the lock is released, if its time is not over before.
    public var until: End
    /// What becomes of the second job.
    public var duplicate: Duplicate

    /// Makes a lock.
    ///
    /// - Parameters:
    ///   - duration: the longest time for which the lock is held, counted from when the job is to run; at least 1 ms.
    ///   - key: what makes two jobs the same.
    ///   - end: when the lock is released.
    ///   - duplicate: what becomes of a second job.
    public static func unique(
        for duration: Duration,
        by key: Key = .arguments,
        until end: End = .finished,
        duplicate: Duplicate = .skip
    ) -> Uniqueness {
        Uniqueness(duration: duration, by: key, until: end, duplicate: duplicate)
    }
}
