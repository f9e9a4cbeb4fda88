/// The transitions of the protocol, one verb each.
///
/// There are two stores: ``RedisStore`` runs them as scripts on Redis, `MemoryStore` in plain Swift. One conformance suite
/// runs against both. Every verb is atomic, and harmless when it is repeated.
package protocol Store: Sendable {
    /// enqueue: writes the jobs and pushes them to `ready` or `scheduled`, all of them or none. (Where a key is of a wrong
    /// type, all or none of each queue, and the call throws.)
    func enqueue(_ jobs: [NewJob]) async throws(BackgroundError)

    /// dequeue: takes a job that waits out and deletes it.
    func dequeue(_ job: String) async throws(BackgroundError) -> Dequeued

    /// finish + claim: reports what ended and takes what there is room for.
    func exchange(_ finishes: [Finish], _ claim: Claim, as voucher: Voucher) async throws(BackgroundError) -> Exchange

    /// adopt: takes running and offered attempts over to a new connection.
    func adopt(_ adoption: Adoption, as voucher: Voucher) async throws(BackgroundError) -> Adopted

    /// recover and give back: moves IDs from `handoff` to the head of `ready`; returns those moved.
    func recover(_ jobs: [String], in queue: String) async throws(BackgroundError) -> [String]

    /// promote: moves what is due from `scheduled` to the tail of `ready`, at most `limit` jobs.
    func promote(_ queue: String, limit: Int) async throws(BackgroundError) -> Promotion

    /// reap: ends attempts whose worker is gone, where they still are what was judged.
    func reap(_ attempts: [Condemned]) async throws(BackgroundError) -> [Reaped]

    /// trim: a bounded step of removing the oldest of a set beyond the retention.
    func trim(_ set: TrimmedSet, of queue: String, keep: Retention, limit: Int, from rank: Int)
        async throws(BackgroundError) -> Trimmed
}

/// A job to be enqueued. Names and sizes have been checked.
package struct NewJob: Sendable, Equatable {
    package var id: String
    package var queue: String
    package var className: String
    package var arguments: [UInt8]
    /// How long from now it is due, in ms of the server's clock; nil: at once.
    package var due: Due?
    /// The caller chose the ID: a job that is there already is not queued again.
    package var isIDChosen: Bool

    /// When a scheduled job is due.
    package enum Due: Sendable, Equatable {
        case after(milliseconds: Int64)
        case at(milliseconds: Int64)
    }

    package init(
        id: String,
        queue: String,
        className: String,
        arguments: [UInt8],
        due: Due? = nil,
        isIDChosen: Bool = false
    ) {
        self.id = id
        self.queue = queue
        self.className = className
        self.arguments = arguments
        self.due = due
        self.isIDChosen = isIDChosen
    }
}

/// What became of a request to take a job out.
package enum Dequeued: String, Sendable {
    case dequeued, missing, running, ended
}

/// Who answers for attempts: a worker's node and the connection that vouches for it.
package struct Voucher: Sendable, Equatable {
    package var node: String
    /// The Redis client ID, the `wrk` of the attempts.
    package var client: Int64
    /// The session of the ``RedisClient`` on which a call in this name may go out; on another it is not sent.
    package var session: UInt64?

    package init(node: String, client: Int64, session: UInt64? = nil) {
        self.node = node
        self.client = client
        self.session = session
    }
}

/// One attempt that ended, as its worker reports it.
package struct Finish: Sendable, Equatable {
    package var attempt: String
    package var queue: String
    package var job: String
    /// Processing time, with a fraction.
    package var milliseconds: Double
    package var ending: Ending

    package init(attempt: String, queue: String, job: String, milliseconds: Double, ending: Ending) {
        self.attempt = attempt
        self.queue = queue
        self.job = job
        self.milliseconds = milliseconds
        self.ending = ending
    }
}

/// How an attempt ended, and with it what becomes of the job (protocol, Endings).
package enum Ending: Sendable, Equatable {
    case completed
    /// Failed, with no retry left: the job is dead.
    case failed(error: String, message: String)
    /// Failed, and to be forgotten.
    case discarded(error: String, message: String)
    /// Given back at shutdown.
    case shutdown
    case cancelled
}

/// What a worker asks for.
package struct Claim: Sendable, Equatable {
    /// How many jobs; at most as many as IDs are offered.
    package var wanted: Int
    /// Bytes of arguments at most (the first job may exceed it).
    package var bytes: Int
    /// Whether one of the suspects may be taken.
    package var mayTakeSuspect: Bool
    /// The queues, in the order of preference.
    package var queues: [String]
    /// Attempt IDs that an earlier call may have used, then fresh ones.
    package var reoffered: [String]
    package var offered: [String]

    package init(
        wanted: Int,
        bytes: Int = 4 << 20,
        mayTakeSuspect: Bool = true,
        queues: [String],
        reoffered: [String] = [],
        offered: [String]
    ) {
        self.wanted = wanted
        self.bytes = bytes
        self.mayTakeSuspect = mayTakeSuspect
        self.queues = queues
        self.reoffered = reoffered
        self.offered = offered
    }

    /// Asks for nothing: the exchange is a finish only.
    package static let none = Claim(wanted: 0, queues: [], offered: [])
}

/// A job that was claimed, with the attempt that runs it.
package struct ClaimedJob: Sendable, Equatable {
    package var attempt: String
    package var id: String
    package var queue: String
    /// The number of this attempt, from 1.
    package var number: Int
    /// nil where the hash vanished between claim and adoption.
    package var className: String?
    package var arguments: [UInt8]
    /// When it was queued, ms; nil where the hash does not tell.
    package var queuedAt: Int64?
    package var isSuspect: Bool

    package init(
        attempt: String,
        id: String,
        queue: String,
        number: Int,
        className: String?,
        arguments: [UInt8],
        queuedAt: Int64?,
        isSuspect: Bool
    ) {
        self.attempt = attempt
        self.id = id
        self.queue = queue
        self.number = number
        self.className = className
        self.arguments = arguments
        self.queuedAt = queuedAt
        self.isSuspect = isSuspect
    }
}

/// What an exchange did.
package struct Exchange: Sendable, Equatable {
    /// Of the finishes, by their index, those that were not simply written.
    package var exceptions: [Int: Verdict] = [:]
    package var jobs: [ClaimedJob] = []
    /// Queue and sentence of what was left out, dropped or found damaged.
    package var notices: [Notice] = []
    /// Queues from which nothing is claimed at present.
    package var paused: [String] = []
    /// Whether the queues hold no more than what was taken.
    package var isShort = true
    /// Of the attempt IDs offered again, those whose attempts have ended: they are not to be offered any more.
    package var spent: [String] = []

    package init(
        exceptions: [Int: Verdict] = [:],
        jobs: [ClaimedJob] = [],
        notices: [Notice] = [],
        paused: [String] = [],
        isShort: Bool = true,
        spent: [String] = []
    ) {
        self.exceptions = exceptions
        self.jobs = jobs
        self.notices = notices
        self.paused = paused
        self.isShort = isShort
        self.spent = spent
    }
}

/// Something an operator should know about a queue.
package struct Notice: Sendable, Equatable {
    package var queue: String
    package var sentence: String

    package init(queue: String, sentence: String) {
        self.queue = queue
        self.sentence = sentence
    }
}

/// What became of a finish, or of an attempt that a worker answers for.
package enum Verdict: Sendable, Equatable {
    /// It is running, and vouched for by the connection that asked.
    case yours
    /// It has been finished by this worker before.
    case done
    /// Somebody else ended it: its result is refused.
    case lost
    /// No claim has ever used this ID.
    case never
    /// Nothing was done, since a key is not what it should be.
    case damaged(String)
}

/// What a worker answers for after a reconnect.
package struct Adoption: Sendable, Equatable {
    package var queues: [String]
    package var attempts: [(attempt: String, queue: String)]
    /// IDs offered in calls that got no reply.
    package var offered: [String]

    package init(queues: [String], attempts: [(attempt: String, queue: String)], offered: [String]) {
        self.queues = queues
        self.attempts = attempts
        self.offered = offered
    }

    package static func == (a: Self, b: Self) -> Bool {
        a.queues == b.queues && a.offered == b.offered && a.attempts.elementsEqual(b.attempts, by: ==)
    }
}

/// The answer to an adoption.
package struct Adopted: Sendable, Equatable {
    /// By attempt ID, offered ones too.
    package var verdicts: [String: Verdict]
    /// The offered ones that were begun, with their jobs.
    package var granted: [ClaimedJob]

    package init(verdicts: [String: Verdict], granted: [ClaimedJob]) {
        self.verdicts = verdicts
        self.granted = granted
    }
}

/// What a step of promotion did.
package struct Promotion: Sendable, Equatable {
    /// The jobs that went to `ready`, in order.
    package var moved: [String]
    /// Ms until the next one is due (0: more are due now); nil if nothing is scheduled.
    package var wait: Int64?

    package init(moved: [String], wait: Int64?) {
        self.moved = moved
        self.wait = wait
    }
}

/// An attempt that a watcher judged, with what it looked like then.
package struct Condemned: Sendable, Equatable {
    package var queue: String
    package var attempt: String
    package var judgement: Judgement

    package enum Judgement: Sendable, Equatable {
        /// Its worker is gone; ended only while these are unchanged.
        case gone(client: String, node: String, adoptions: String)
        /// It has had no readable hash for longer than the grace.
        case unreadable
    }

    package init(queue: String, attempt: String, judgement: Judgement) {
        self.queue = queue
        self.attempt = attempt
        self.judgement = judgement
    }
}

/// What became of a condemned attempt.
package struct Reaped: Sendable, Equatable {
    package var outcome: Outcome
    package var job: String?

    package enum Outcome: Sendable, Equatable {
        /// The job went back to the head of `ready`, or to `suspects`, or is dead, or ended as cancelled.
        case ready, suspects, dead, cancelled
        /// The attempt was ended; the job had ended before, or has no hash.
        case over, gone
        /// The attempt had no readable hash.
        case unreadable
        /// It no longer was what had been judged.
        case spared
        case damaged(String)
    }

    package init(outcome: Outcome, job: String?) {
        self.outcome = outcome
        self.job = job
    }
}

/// The sets that are trimmed.
package enum TrimmedSet: String, Sendable, CaseIterable {
    case completed, failed, ended, dead
}

/// How long and how many of a set are kept.
public struct Retention: Sendable, Hashable {
    /// How long; nil for ever.
    public var age: Duration?
    /// How many a queue; nil: all.
    public var count: Int?

    /// Makes a retention: whichever half is exceeded first counts.
    ///
    /// - Parameters:
    ///   - age: how long a record is kept; nil for ever, zero not at all.
    ///   - count: how many are kept in a queue; nil for all, 0 for none.
    public init(age: Duration?, count: Int?) {
        precondition(age.map { $0 >= .zero } ?? true, "an age is not negative")
        precondition(count.map { $0 >= 0 } ?? true, "a count is not negative")
        self.age = age
        self.count = count
    }
}

/// What a step of trimming did.
package struct Trimmed: Sendable, Equatable {
    package var removed: Int
    /// Those looked at that must stay; the next step starts behind them.
    package var kept: Int
    package var hasMore: Bool

    package init(removed: Int, kept: Int, hasMore: Bool) {
        self.removed = removed
        self.kept = kept
        self.hasMore = hasMore
    }
}
