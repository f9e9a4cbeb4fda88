public import Foundation

/// A job as it is in Redis.
///
/// Read leniently: a field that is missing, or that can't be read, is nil. Of the latter ``otherFields`` tells.
public struct JobRecord: Sendable, Hashable, Encodable {
    /// The job's ID.
    public var id: String
    /// Where it is.
    public var state = JobState.unknown
    /// The queue (`que`).
    public var queue: String?
    /// The class name (`cls`).
    public var className: String?
    /// The arguments (`arg`), by convention a JSON object. Lists leave out those of more than 4 KiB.
    public var arguments: FieldValue?
    /// How many bytes the arguments have.
    public var argumentsSize: Int
    /// When it was queued (`qat`).
    public var queuedAt: Date?
    /// When it is, or was, to be processed (`pat`); nil: at once.
    public var processAt: Date?
    /// How many attempts were begun (`att`).
    public var attempts: Int
    /// The ID of the last attempt (`las`).
    public var lastAttempt: String?
    /// How many attempts failed (`ers`).
    public var errors: Int
    /// How many workers vanished with it (`crs`).
    public var crashes: Int
    /// When the first of them did, within the crash window (`crt`).
    public var firstCrashAt: Date?
    /// How it ended for good (`end`).
    public var end: String?
    /// Whether its cancellation was asked for (`cnl`).
    public var isCancelRequested: Bool
    /// How many retries it may have (`ret`); nil: the worker's default.
    public var retries: Int?
    /// How long a retry waits (`bck`), as the protocol writes it: `exponential`, `fixed:5000`, …; nil: the worker's default.
    public var backoff: String?
    /// The age at which it is given up (`rfr`); nil: the worker's default.
    public var retryFor: Duration?
    /// The queue on which retries run (`rqu`); nil: the worker's default.
    public var retryQueue: String?
    /// How long an attempt may take (`tmo`); nil: the worker's default.
    public var timeLimit: Duration?
    /// When it is dropped if it has not begun (`exp`); nil: never.
    public var expiresAt: Date?
    /// `amo`, to be run at most once, or `alo`, at least once (`dlv`); nil: the worker's default.
    public var delivery: String?
    /// How many workers may vanish with it (`crm`): a number or `all`; nil: the worker's default.
    public var crashRetries: String?
    /// Within what time that many may (`crw`), zero for ever; nil: the worker's default.
    public var crashWindow: Duration?
    /// The digest of its uniqueness lock (`unq`).
    public var uniqueDigest: String?
    /// `started` where the lock is released when the first attempt begins (`unu`).
    public var uniqueUntil: String?
    /// The name of the workers that may run it (`on`); nil: any.
    public var on: String?
    /// The name of the workers that may not (`avo`).
    public var avoiding: String?
    /// How long it waits where no such worker is connected (`fbk`): ms, or `never`; nil: 10 s.
    public var fallback: String?
    /// Where it waits for one, `on:<name>` or `avoid:<name>` (`pla`); `any` where it has waited long enough.
    public var place: String?
    /// Since when (`plt`).
    public var placedAt: Date?
    /// The ID of the job that it is a copy of (`ori`).
    public var origin: String?
    /// The name of the periodic job that fired it (`crn`).
    public var periodic: String?
    /// The time for which that was (`due`); nil where somebody ran it by hand.
    public var periodicTime: Date?
    /// Whether it waits for another job of its chain, or for a batch (`blk`).
    public var isBlocked: Bool
    /// The ID of the step of its chain before it (`aft`).
    public var after: String?
    /// The ID of the step of its chain behind it (`nxt`).
    public var next: String?
    /// The ID of the job that is called if it is dead or discarded (`onf`).
    public var onFailure: String?
    /// The ID of the batch that it belongs to (`bat`).
    public var batch: String?
    /// The fields that are not of the protocol, and those that can't be read. Lists leave them out.
    public var otherFields: [String: FieldValue]

    /// The fields that lists ask for.
    static let listed = [
        "que", "cls", "qat", "pat", "att", "las", "ers", "crs", "crt", "end", "cnl", "ret", "bck", "rfr", "rqu", "tmo",
        "exp",
        "dlv", "crm", "crw", "unq", "unu", "on", "avo", "fbk", "pla", "plt", "ori", "crn", "due", "blk", "aft",
        "nxt", "onf", "bat",
    ]

    /// The options that the worker reads.
    private static let options = ["ret", "bck", "rfr", "rqu", "tmo", "dlv"]

    /// A job of fields that did not come from Redis.
    package init(id: String, fields: [String: [UInt8]]) {
        self.init(id: id, HashFields(fields))
    }

    init(id: String, _ fields: HashFields) {
        var fields = fields
        self.id = id
        queue = fields.text("que")
        className = fields.text("cls")
        arguments = fields.value("arg")
        argumentsSize = arguments?.bytes.count ?? 0
        queuedAt = fields.date("qat")
        processAt = fields.date("pat")
        attempts = fields.int("att") ?? 0
        lastAttempt = fields.text("las")
        errors = fields.int("ers") ?? 0
        crashes = fields.int("crs") ?? 0
        firstCrashAt = fields.date("crt")
        end = fields.text("end")
        isCancelRequested = fields.text("cnl") == "1"
        // Of the options those count that the worker can read.
        var faults: [String] = []
        let options = JobOptions(fields: fields.texts(Self.options), faults: &faults)
        retries = fields.parsed("ret") { _ in options.retries }
        backoff = fields.parsed("bck") { text in options.backoff.map { _ in text } }
        retryFor = fields.parsed("rfr") { _ in options.retryFor }
        retryQueue = fields.parsed("rqu") { _ in options.retryQueue }
        timeLimit = fields.parsed("tmo") { _ in options.timeout }
        expiresAt = fields.date("exp")
        delivery = fields.parsed("dlv") { text in options.delivery.map { _ in text } }
        // The scripts go by these two, and read any number.
        crashRetries = fields.parsed("crm") { $0 == "all" ? $0 : HashFields.number($0).map { "\(Int($0))" } }
        crashWindow = fields.parsed("crw") { HashFields.number($0).map { .milliseconds(Int64($0)) } }
        uniqueDigest = fields.text("unq")
        uniqueUntil = fields.parsed("unu") { $0 == Uniqueness.End.started.rawValue ? $0 : nil }
        on = fields.text("on")
        avoiding = fields.text("avo")
        fallback = fields.text("fbk")
        place = fields.text("pla")
        placedAt = fields.date("plt")
        origin = fields.text("ori")
        periodic = fields.text("crn")
        periodicTime = fields.date("due")
        isBlocked = fields.text("blk") == "1"
        after = fields.text("aft")
        next = fields.text("nxt")
        onFailure = fields.text("onf")
        batch = fields.text("bat")
        otherFields = fields.rest()
    }

    private enum CodingKeys: String, CodingKey {
        case id, state, due, queue, arguments, argumentsSize, queuedAt, processAt, attempts, lastAttempt, errors,
            crashes
        case className = "class"
        case firstCrashAt, end, isCancelRequested, retries, backoff, retryForMilliseconds, retryQueue, expiresAt
        case timeLimitMilliseconds, delivery, crashRetries, crashWindowMilliseconds, uniqueDigest, uniqueUntil, origin
        case on, avoiding, fallback, place, placedAt
        case periodic, periodicTime, after, next, onFailure, batch, otherFields
    }

    /// Writes the record; the state as its name, with `due` where it is scheduled.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(state.name, forKey: .state)
        if case .scheduled(let due) = state { try container.encode(due, forKey: .due) }
        try container.encodeIfPresent(queue, forKey: .queue)
        try container.encodeIfPresent(className, forKey: .className)
        try container.encodeIfPresent(arguments, forKey: .arguments)
        try container.encode(argumentsSize, forKey: .argumentsSize)
        try container.encodeIfPresent(queuedAt, forKey: .queuedAt)
        try container.encodeIfPresent(processAt, forKey: .processAt)
        try container.encode(attempts, forKey: .attempts)
        try container.encodeIfPresent(lastAttempt, forKey: .lastAttempt)
        try container.encode(errors, forKey: .errors)
        try container.encode(crashes, forKey: .crashes)
        try container.encodeIfPresent(firstCrashAt, forKey: .firstCrashAt)
        try container.encodeIfPresent(end, forKey: .end)
        try container.encode(isCancelRequested, forKey: .isCancelRequested)
        try container.encodeIfPresent(retries, forKey: .retries)
        try container.encodeIfPresent(backoff, forKey: .backoff)
        try container.encodeIfPresent(retryFor?.fractionalMilliseconds, forKey: .retryForMilliseconds)
        try container.encodeIfPresent(retryQueue, forKey: .retryQueue)
        try container.encodeIfPresent(timeLimit?.fractionalMilliseconds, forKey: .timeLimitMilliseconds)
        try container.encodeIfPresent(expiresAt, forKey: .expiresAt)
        try container.encodeIfPresent(delivery, forKey: .delivery)
        try container.encodeIfPresent(crashRetries, forKey: .crashRetries)
        try container.encodeIfPresent(crashWindow?.fractionalMilliseconds, forKey: .crashWindowMilliseconds)
        try container.encodeIfPresent(uniqueDigest, forKey: .uniqueDigest)
        try container.encodeIfPresent(uniqueUntil, forKey: .uniqueUntil)
        try container.encodeIfPresent(on, forKey: .on)
        try container.encodeIfPresent(avoiding, forKey: .avoiding)
        try container.encodeIfPresent(fallback, forKey: .fallback)
        try container.encodeIfPresent(place, forKey: .place)
        try container.encodeIfPresent(placedAt, forKey: .placedAt)
        try container.encodeIfPresent(origin, forKey: .origin)
        try container.encodeIfPresent(after, forKey: .after)
        try container.encodeIfPresent(next, forKey: .next)
        try container.encodeIfPresent(onFailure, forKey: .onFailure)
        try container.encodeIfPresent(batch, forKey: .batch)
        try container.encodeIfPresent(periodic, forKey: .periodic)
        try container.encodeIfPresent(periodicTime, forKey: .periodicTime)
        try container.encode(otherFields, forKey: .otherFields)
    }
}

/// A job with its attempts.
public struct JobHistory: Sendable, Hashable, Encodable {
    /// The job.
    public var job: JobRecord
    /// Its attempts, the oldest first.
    public var attempts: [AttemptRecord]
    /// Whether there were earlier ones than these, more than were asked for.
    public var hasEarlierAttempts: Bool
}
