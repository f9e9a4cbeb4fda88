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
    }
}
