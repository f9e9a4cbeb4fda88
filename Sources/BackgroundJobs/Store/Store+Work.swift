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
    /// Whether success ends more than the attempt: the job holds a lock, or others wait for it.
    package var hasTies: Bool
    /// Further fields of the attempt: `out`, `add`, `prg`, `nte`.
    package var fields: [String: String]

    package init(
        attempt: String,
        queue: String,
        job: String,
        milliseconds: Double,
        ending: Ending,
        hasTies: Bool = false,
        fields: [String: String] = [:]
    ) {
        self.attempt = attempt
        self.queue = queue
        self.job = job
        self.milliseconds = milliseconds
        self.ending = ending
        self.hasTies = hasTies
        self.fields = fields
    }
}

/// How an attempt ended, and with it what becomes of the job (protocol, Endings).
package enum Ending: Sendable, Equatable, Codable {
    case completed
    /// Failed, and to be tried again after so many ms, on this queue if one is named.
    case retried(error: String, message: String, after: Int64, queue: String?)
    /// Failed, with no retry left: the job is dead.
    case dead(error: String, message: String)
    /// Failed, and to be forgotten.
    case discarded(error: String, message: String)
    /// The process of its own in which it ran is dead: counts as a crash.
    case crashed(message: String)
    /// To come back after so many ms; the attempt does not count.
    case snoozed(after: Int64)
    /// Given back at shutdown.
    case shutdown
    /// Given back at shutdown before it had begun.
    case unbegun
    case cancelled(message: String)
    /// Stopped by middleware.
    case skipped(message: String)
}

/// What a worker asks for.
package struct Claim: Sendable, Equatable {
    /// How many jobs; at most as many as IDs are offered.
    package var wanted: Int
    /// Bytes of arguments at most (the first job may exceed it).
    package var bytes: Int
    /// Whether one of the suspects may be taken.
    package var mayTakeSuspect: Bool
    /// The queues, in the order of preference. Those without room too: an attempt that an earlier call began may be there.
    package var queues: [String]
    /// How many of the jobs may run on fibers that all queues share.
    package var shared: Int
    /// By queue, how many free fibers are its own.
    package var reserved: [String: Int]
    /// What holds for jobs that don't say.
    package var defaults: ClaimDefaults
    /// Attempt IDs that an earlier call may have used, then fresh ones.
    package var reoffered: [String]
    package var offered: [String]

    package init(
        wanted: Int,
        bytes: Int = 4 << 20,
        mayTakeSuspect: Bool = true,
        queues: [String],
        shared: Int? = nil,
        reserved: [String: Int] = [:],
        defaults: ClaimDefaults = ClaimDefaults(),
        reoffered: [String] = [],
        offered: [String]
    ) {
        self.wanted = wanted
        self.bytes = bytes
        self.mayTakeSuspect = mayTakeSuspect
        self.queues = queues
        self.shared = shared ?? wanted
        self.reserved = reserved
        self.defaults = defaults
        self.reoffered = reoffered
        self.offered = offered
    }

    /// Asks for nothing: the exchange is a finish only.
    package static let none = Claim(wanted: 0, queues: [], offered: [])
}

/// What a claim writes into the attempts of jobs that don't say: a watcher has to know it.
package struct ClaimDefaults: Sendable, Equatable {
    /// The rules of a class; those that are nil are the protocol's.
    package struct Rules: Sendable, Equatable {
        package var delivery: Delivery?
        package var crashRetries: String?
        package var crashWindow: Int64?

        package init(delivery: Delivery? = nil, crashRetries: String? = nil, crashWindow: Int64? = nil) {
            self.delivery = delivery
            self.crashRetries = crashRetries
            self.crashWindow = crashWindow
        }
    }

    /// Of the worker.
    package var delivery = Delivery.atLeastOnce
    /// By class, of those that have rules of their own.
    package var classes: [String: Rules] = [:]

    package init(delivery: Delivery = .atLeastOnce, classes: [String: Rules] = [:]) {
        self.delivery = delivery
        self.classes = classes
    }
}

/// A job that was claimed, with the attempt that runs it.
package struct ClaimedJob: Sendable, Equatable, Codable {
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
    /// The server's time when it was handed out, ms.
    package var claimedAt: Int64
    package var isSuspect: Bool
    /// Another crash, and it is dead.
    package var isLastTry: Bool
    /// Those of its options that a worker needs, and `ers`, `unq` and what it has to do with other jobs, as the hash holds
    /// them.
    package var fields: [String: String]

    /// Whether its success means something to others.
    package var hasTies: Bool {
        !fields.isEmpty && ["unq", "nxt", "onf", "bat"].contains { fields[$0] != nil }
    }

    package init(
        attempt: String,
        id: String,
        queue: String,
        number: Int,
        className: String?,
        arguments: [UInt8],
        queuedAt: Int64?,
        claimedAt: Int64 = 0,
        isSuspect: Bool = false,
        isLastTry: Bool = false,
        fields: [String: String] = [:]
    ) {
        self.attempt = attempt
        self.id = id
        self.queue = queue
        self.number = number
        self.className = className
        self.arguments = arguments
        self.queuedAt = queuedAt
        self.claimedAt = claimedAt
        self.isSuspect = isSuspect
        self.isLastTry = isLastTry
        self.fields = fields
    }

    /// When they were handed out apart.
    package static func == (a: Self, b: Self) -> Bool {
        a.attempt == b.attempt && a.id == b.id && a.queue == b.queue && a.number == b.number
            && a.className == b.className && a.arguments == b.arguments && a.queuedAt == b.queuedAt
            && a.isSuspect == b.isSuspect && a.isLastTry == b.isLastTry && a.fields == b.fields
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
    /// Of the attempt IDs offered again, those whose attempts have ended or are another node's: they are not to be offered
    /// any more.
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
