public import Foundation

/// An attempt to run a job, as it is in Redis.
///
/// Read leniently: a field that is missing, or that holds no number where one belongs, is nil.
public struct AttemptRecord: Sendable, Hashable, Encodable {
    /// The attempt's ID.
    public var id: String
    /// The ID of the job (`job`).
    public var job: String?
    /// The queue that it was taken from (`que`).
    public var queue: String?
    /// Which attempt of the job it is, from 1; 0: the job was never begun (`num`).
    public var number: Int?
    /// When it began (`sta`).
    public var startedAt: Date?
    /// When it ended (`fin`); nil while it runs, and where its worker vanished.
    public var endedAt: Date?
    /// How long it took (`time`).
    public var processingTime: Duration?
    /// Why it did not succeed (`err`).
    public var error: String?
    /// More about that (`msg`).
    public var message: FieldValue?
    /// Its result (`out`), JSON. Lists leave it out.
    public var output: FieldValue?
    /// How far it was, from 0 to 1, as its job last said (`prg`).
    public var progress: Double?
    /// What it said of that (`prm`).
    public var progressMessage: String?
    /// Facts that its job wanted kept (`nte`), JSON. Lists leave them out.
    public var notes: FieldValue?
    /// What its job added for the later steps of its chain (`add`), JSON. Lists leave it out.
    public var shared: FieldValue?
    /// The Redis client ID of the connection that vouches, or vouched, for it (`wrk`).
    public var workerClient: Int?
    /// The worker's node (`nod`).
    public var node: String?
    /// How often its worker took it over to another connection (`ado`).
    public var adoptions: Int
    /// The ID of the attempt before it (`prv`).
    public var previous: String?
    /// `amo` or `alo` where it is not the default (`dlv`).
    public var delivery: String?
    /// How long it may take (`tmo`).
    public var timeLimit: Duration?
    /// How many workers may vanish with the job: a number or `all` (`crm`).
    public var crashRetries: String?
    /// Within what time that many may (`crw`).
    public var crashWindow: Duration?
    /// The fields that are not of the protocol, and those that can't be read. Lists leave them out.
    public var otherFields: [String: FieldValue]

    /// Whether it succeeded.
    public var isCompleted: Bool { endedAt != nil && error == nil }

    /// The fields that lists ask for.
    static let listed = [
        "job", "que", "num", "sta", "fin", "time", "err", "wrk", "nod", "ado", "prv", "dlv", "tmo", "crm", "crw", "msg",
        "prg", "prm",
    ]

    /// An attempt of a store in memory.
    package init(id: String, fields: [String: [UInt8]]) {
        self.init(id: id, HashFields(fields))
    }

    init(id: String, _ fields: HashFields) {
        var fields = fields
        self.id = id
        job = fields.text("job")
        queue = fields.text("que")
        number = fields.int("num")
        startedAt = fields.date("sta")
        endedAt = fields.date("fin")
        processingTime = fields.duration("time")
        error = fields.text("err")
        message = fields.value("msg")
        output = fields.value("out")
        progress = fields.number("prg")
        progressMessage = fields.text("prm")
        notes = fields.value("nte")
        shared = fields.value("add")
        workerClient = fields.int("wrk")
        node = fields.text("nod")
        adoptions = fields.int("ado") ?? 0
        previous = fields.text("prv")
        delivery = fields.text("dlv")
        timeLimit = fields.duration("tmo")
        crashRetries = fields.text("crm")
        crashWindow = fields.duration("crw")
        otherFields = fields.rest()
    }

    private enum CodingKeys: String, CodingKey {
        case id, job, queue, number, startedAt, endedAt, milliseconds, error, message, output, workerClient, node,
            adoptions, progress, progressMessage, notes, shared
        case previous, delivery, timeLimitMilliseconds, crashRetries, crashWindowMilliseconds, otherFields
    }

    /// Writes the record; lengths of time as milliseconds.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encodeIfPresent(job, forKey: .job)
        try container.encodeIfPresent(queue, forKey: .queue)
        try container.encodeIfPresent(number, forKey: .number)
        try container.encodeIfPresent(startedAt, forKey: .startedAt)
        try container.encodeIfPresent(endedAt, forKey: .endedAt)
        try container.encodeIfPresent(processingTime?.fractionalMilliseconds, forKey: .milliseconds)
        try container.encodeIfPresent(error, forKey: .error)
        try container.encodeIfPresent(message, forKey: .message)
        try container.encodeIfPresent(output, forKey: .output)
        try container.encodeIfPresent(progress, forKey: .progress)
        try container.encodeIfPresent(progressMessage, forKey: .progressMessage)
        try container.encodeIfPresent(notes, forKey: .notes)
        try container.encodeIfPresent(shared, forKey: .shared)
        try container.encodeIfPresent(workerClient, forKey: .workerClient)
        try container.encodeIfPresent(node, forKey: .node)
        try container.encode(adoptions, forKey: .adoptions)
        try container.encodeIfPresent(previous, forKey: .previous)
        try container.encodeIfPresent(delivery, forKey: .delivery)
        try container.encodeIfPresent(timeLimit?.fractionalMilliseconds, forKey: .timeLimitMilliseconds)
        try container.encodeIfPresent(crashRetries, forKey: .crashRetries)
        try container.encodeIfPresent(crashWindow?.fractionalMilliseconds, forKey: .crashWindowMilliseconds)
        try container.encode(otherFields, forKey: .otherFields)
    }
}
