import NIOCore
import Synchronization

/// What the connections of a ``FaultProxy`` share.
final class Traffic: Sendable {
    struct Cut {
        let direction: FaultProxy.Direction
        let after: Int
        let prefix: String
        let isForEach: Bool
        var passed = 0
    }

    struct State {
        var rule: FaultProxy.Rule
        var cut: Cut?
        var cuts = 0
        var losses = 0
        var passed: [FaultProxy.Direction: Int] = [:]
        var latency = Duration.zero
        var bytesPerSecond: Int?
        var isIsolated = false
    }

    let state: Mutex<State>
    private let connections = Mutex<[NIOLoopBound<ProxiedConnection>]>([])

    init(_ rule: @escaping FaultProxy.Rule) { state = Mutex(State(rule: rule)) }

    func add(_ connection: ProxiedConnection) {
        connection.isSilent = state.withLock { $0.isIsolated }
        let bound = NIOLoopBound(connection, eventLoop: connection.client.eventLoop)
        connections.withLock { $0.append(bound) }
    }

    func forEach(_ prefix: String, _ body: @escaping @Sendable (ProxiedConnection) -> Void) {
        for connection in connections.withLock({ $0 }) {
            connection.eventLoop.execute {
                if connection.value.name.hasPrefix(prefix) { body(connection.value) }
            }
        }
    }

    /// Counts a command or reply.
    ///
    /// - Parameter former: how many bytes its connection has passed in this direction.
    /// - Returns: how many of its bytes pass before the cut; nil if it is not cut.
    func pass(_ length: Int, _ direction: FaultProxy.Direction, of name: String, after former: Int) -> Int? {
        state.withLock { state in
            state.passed[direction, default: 0] += Self.weight(length)
            guard var cut = state.cut, cut.direction == direction, name.hasPrefix(cut.prefix) else { return nil }
            let left = cut.after - (cut.isForEach ? former : cut.passed)
            cut.passed += Self.weight(length)
            let isHere = left <= Self.weight(length)
            state.cut = isHere && !cut.isForEach ? nil : cut
            guard isHere else { return nil }
            state.cuts += 1
            return Self.place(max(0, left), in: length)
        }
    }

    private static let longest = 256
    private static let ends = 32

    static func weight(_ length: Int) -> Int { length > longest ? 2 * ends : length }

    private static func place(_ at: Int, in length: Int) -> Int {
        length <= longest || at < ends ? at : length - 2 * ends + at
    }
}

/// One connection through a ``FaultProxy``, on its event loop.
final class ProxiedConnection {
    private struct Lane {
        /// When what was sent last has left, and when it arrives.
        var isFree = NIODeadline.now()
        var arrival = NIODeadline.now()
        var passed = 0
    }

    let client: any Channel
    private let server: any Channel
    private let traffic: Traffic
    private(set) var name = ""
    var isHeld = false
    var isSilent = false
    private var isCut = false
    private var heldBack: [ByteBuffer] = []
    private var waiting: CircularBuffer<[String]> = []
    private var answered = 0
    private var commands = RESPFrames()
    private var replies = RESPFrames()
    private var lanes = [FaultProxy.Direction.upstream: Lane(), .downstream: Lane()]

    init(client: any Channel, server: any Channel, traffic: Traffic) {
        self.client = client
        self.server = server
        self.traffic = traffic
    }

    func join() throws {
        try client.pipeline.syncOperations.addHandler(Half(self, isClient: true))
        try server.pipeline.syncOperations.addHandler(Half(self, isClient: false))
    }

    fileprivate func read(_ bytes: ByteBuffer, fromClient: Bool) {
        guard !isSilent, !isCut else { return }
        if fromClient {
            commands.feed(bytes)
            while !isCut, let command = commands.next() { pass(command) }
        } else {
            replies.feed(bytes)
            while !isSilent, !isCut, client.isActive, let reply = replies.next() { answer(reply) }
        }
    }

    private func pass(_ command: ByteBuffer) {
        let words = RESPFrames.words(of: command)
        if words.prefix(2) == ["CLIENT", "SETNAME"], words.count > 2 { name = words[2] }
        waiting.append(words)
        if isHeld { heldBack.append(command) } else { send(command, .upstream) }
    }

    private func answer(_ reply: ByteBuffer) {
        answered += 1
        let passing = FaultProxy.Passing(client: name, command: waiting.popFirst() ?? [], number: answered)
        let rule = traffic.state.withLock { $0.rule }
        switch rule(passing) {
        case .pass: send(reply, .downstream)
        case .delay(let time):
            let arrival = lanes[.downstream]?.arrival ?? .now()
            lanes[.downstream]?.arrival = max(arrival, .now() + TimeAmount(time))
            send(reply, .downstream)
        case .lose:
            traffic.state.withLock { $0.losses += 1 }
            close()
        case .goSilent: isSilent = true
        }
    }

    private func send(_ bytes: ByteBuffer, _ direction: FaultProxy.Direction) {
        let length = bytes.readableBytes
        let former = lanes[direction]?.passed ?? 0
        lanes[direction]?.passed += Traffic.weight(length)
        guard let place = traffic.pass(length, direction, of: name, after: former) else {
            return write(bytes, direction, isLast: false)
        }
        isCut = true
        write(bytes.getSlice(at: bytes.readerIndex, length: place) ?? ByteBuffer(), direction, isLast: true)
    }

    private func write(_ bytes: ByteBuffer, _ direction: FaultProxy.Direction, isLast: Bool) {
        let (latency, rate) = traffic.state.withLock { ($0.latency, $0.bytesPerSecond) }
        var lane = lanes[direction] ?? Lane()
        lane.isFree = max(lane.isFree, .now())
        if let rate {
            lane.isFree = lane.isFree + .nanoseconds(Int64(bytes.readableBytes) * 1_000_000_000 / Int64(rate))
        }
        lane.arrival = max(lane.arrival, lane.isFree + TimeAmount(latency))
        lanes[direction] = lane
        let (client, server) = (client, server)
        let to = direction == .upstream ? server : client
        let arrive = { @Sendable in
            to.writeAndFlush(bytes).whenComplete { _ in
                guard isLast else { return }
                client.end()
                server.end()
            }
        }
        if lane.arrival > .now() { client.eventLoop.scheduleTask(deadline: lane.arrival, arrive) } else { arrive() }
    }

    func release() {
        isHeld = false
        for command in heldBack { send(command, .upstream) }
        heldBack = []
        if !client.isActive { server.end() }
    }

    func close() {
        client.end()
        if !isHeld { server.end() }
    }

    /// One side has gone; across a network that is away the other one does not learn of it.
    fileprivate func ended() {
        if !isSilent { close() }
    }
}

extension Channel {
    /// Closes it, and tells the other side even if a process that was started meanwhile has inherited the socket and holds it open.
    fileprivate func end() {
        close(mode: .output, promise: nil)
        close(promise: nil)
    }
}

private final class Half: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let connection: ProxiedConnection
    private let isClient: Bool

    init(_ connection: ProxiedConnection, isClient: Bool) {
        self.connection = connection
        self.isClient = isClient
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        connection.read(unwrapInboundIn(data), fromClient: isClient)
    }

    func channelInactive(context: ChannelHandlerContext) { connection.ended() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
