public import Foundation

/// A worker that is connected.
public struct WorkerRecord: Sendable, Hashable, Encodable {
    /// The name of this run of the process: `<name>-<pid>-<digits>`.
    public var node: String
    /// The part of it that is the host's name, or what the operator called the worker.
    public var name: String
    /// The Redis client ID of its command connection.
    public var clientID: Int64
    /// How many jobs it runs at a time; 0 while it is stalled.
    public var fibers: Int
    /// Whether its jobs hold every thread of its process, so that it begins none: it claims nothing and looks after what it
    /// has until one of them lets go.
    public var isStalled: Bool { fibers == 0 }
    /// How many it runs now; nil where there are too many attempts to count them for this.
    public var busy: Int?
    /// The queues it serves, in its order of preference.
    public var queues: [String]
    /// How long ago it last sent something.
    public var idle: Duration
    /// How long its connection has been there.
    public var connectedFor: Duration
    /// The name of its host (`host`). This and the following are nil where the worker does not tell, as older ones don't.
    public var host: String?
    /// The ID of its process on that host (`pid`).
    public var processID: Int?
    /// The version of this package that it was built with (`ver`).
    public var version: String?
    /// The memory that its process had in use when it last told, at most a heartbeat ago, bytes (`mem`).
    public var memory: Int?
    /// When it began (`beg`).
    public var startedAt: Date?

    /// The fields of its hash.
    static let told = ["host", "pid", "ver", "mem", "beg"]

    mutating func take(_ fields: HashFields) {
        var fields = fields
        host = fields.text("host")
        processID = fields.int("pid")
        version = fields.text("ver")
        memory = fields.int("mem")
        startedAt = fields.date("beg")
    }

    init(_ worker: ConnectedWorker, age: Int) {
        node = worker.node
        name = Node.name(of: worker.node)
        clientID = worker.client
        fibers = worker.fibers
        queues = worker.queues
        idle = .seconds(worker.idle)
        connectedFor = .seconds(age)
    }

    private enum CodingKeys: String, CodingKey {
        case node, name, clientID, fibers, isStalled, busy, queues, idleSeconds, connectedSeconds
        case host, processID, version, memory, startedAt
    }

    /// Writes the record; lengths of time as seconds.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(node, forKey: .node)
        try container.encode(name, forKey: .name)
        try container.encode(clientID, forKey: .clientID)
        try container.encode(fibers, forKey: .fibers)
        try container.encode(isStalled, forKey: .isStalled)
        try container.encodeIfPresent(busy, forKey: .busy)
        try container.encode(queues, forKey: .queues)
        try container.encode(idle.inSeconds, forKey: .idleSeconds)
        try container.encode(connectedFor.inSeconds, forKey: .connectedSeconds)
        try container.encodeIfPresent(host, forKey: .host)
        try container.encodeIfPresent(processID, forKey: .processID)
        try container.encodeIfPresent(version, forKey: .version)
        try container.encodeIfPresent(memory, forKey: .memory)
        try container.encodeIfPresent(startedAt, forKey: .startedAt)
    }
}
