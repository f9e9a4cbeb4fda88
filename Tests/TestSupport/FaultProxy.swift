import NIOCore
import NIOPosix
import Synchronization

/// Stands on loopback in front of a Redis and does to its clients what networks do.
///
/// It passes on whole commands and replies, and asks its rule for each reply what is to become of it.
package final class FaultProxy: Sendable {
    /// A reply on its way to a client, and the command that it answers.
    package struct Passing: Sendable {
        /// The name that the connection gave itself, empty before it did.
        package var client: String
        /// The first words of the command.
        package var command: [String]
    }

    package enum Fate: Sendable {
        case pass
        /// The reply is lost, and with it the connection: a later reply must not be taken for this one's.
        case lose
        /// The reply, and all behind it, comes later.
        case delay(Duration)
        /// Nothing goes either way any more, and nobody is told.
        case goSilent
    }

    package typealias Rule = @Sendable (Passing) -> Fate

    private let listener: any Channel
    private let pairs: Pairs

    package var port: Int { listener.localAddress?.port ?? 0 }
    package var url: String { "redis://127.0.0.1:\(port)" }

    private init(listener: any Channel, pairs: Pairs) {
        self.listener = listener
        self.pairs = pairs
    }

    deinit {
        listener.close(promise: nil)
        cut()
    }

    /// Starts a proxy in front of a port of 127.0.0.1.
    package static func start(before port: Int, _ rule: @escaping Rule = { _ in .pass }) async throws -> FaultProxy {
        let pairs = Pairs(rule)
        let group = MultiThreadedEventLoopGroup.singleton
        let listener = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { client in
                // Both halves on one event loop, so that they may share what they know.
                ClientBootstrap(group: client.eventLoop).connect(host: "127.0.0.1", port: port).flatMap { server in
                    client.eventLoop.makeCompletedFuture {
                        let pair = Pair(client: client, server: server, pairs: pairs)
                        try client.pipeline.syncOperations.addHandler(Half(pair, isClient: true))
                        try server.pipeline.syncOperations.addHandler(Half(pair, isClient: false))
                        pairs.add(pair)
                    }
                }
            }
            .bind(host: "127.0.0.1", port: 0)
            .get()
        return FaultProxy(listener: listener, pairs: pairs)
    }

    /// Has another rule decide from here on.
    package func rule(_ rule: @escaping Rule) { pairs.rule.withLock { $0 = rule } }

    /// Cuts the connections of clients whose names begin so.
    package func cut(_ prefix: String = "") { pairs.forEach(prefix) { $0.close() } }

    /// Holds back all that comes from clients whose names begin so; what they have sent arrives after ``release()``,
    /// also when they have gone.
    package func hold(_ prefix: String) { pairs.forEach(prefix) { $0.isHeld = true } }

    /// Lets what was held back go on to Redis.
    package func release() { pairs.forEach("") { $0.release() } }
}

/// The connections of a proxy.
private final class Pairs: Sendable {
    let rule: Mutex<FaultProxy.Rule>
    private let all = Mutex<[NIOLoopBound<Pair>]>([])

    init(_ rule: @escaping FaultProxy.Rule) { self.rule = Mutex(rule) }

    func add(_ pair: Pair) {
        let bound = NIOLoopBound(pair, eventLoop: pair.client.eventLoop)
        all.withLock { $0.append(bound) }
    }

    func forEach(_ prefix: String, _ body: @escaping @Sendable (Pair) -> Void) {
        for pair in all.withLock({ $0 }) {
            pair.eventLoop.execute { if pair.value.name.hasPrefix(prefix) { body(pair.value) } }
        }
    }
}

/// One connection through the proxy.
private final class Pair {
    let client: any Channel
    let server: any Channel
    private let pairs: Pairs
    var name = ""
    var isHeld = false
    private var isSilent = false
    private var heldBack: [ByteBuffer] = []
    private var waiting: CircularBuffer<[String]> = []
    private var commands = RESPFrames()
    private var replies = RESPFrames()
    private var replyDelay = NIODeadline.now()

    init(client: any Channel, server: any Channel, pairs: Pairs) {
        self.client = client
        self.server = server
        self.pairs = pairs
    }

    func read(_ bytes: ByteBuffer, fromClient: Bool) {
        guard !isSilent else { return }
        if fromClient {
            commands.feed(bytes)
            while let command = commands.next() { pass(command) }
        } else {
            replies.feed(bytes)
            while !isSilent, client.isActive, let reply = replies.next() { answer(reply) }
        }
    }

    private func pass(_ command: ByteBuffer) {
        let words = RESPFrames.words(of: command)
        if words.prefix(2) == ["CLIENT", "SETNAME"], words.count > 2 { name = words[2] }
        waiting.append(words)
        if isHeld { heldBack.append(command) } else { server.writeAndFlush(command, promise: nil) }
    }

    private func answer(_ reply: ByteBuffer) {
        let command = waiting.popFirst() ?? []
        let rule = pairs.rule.withLock { $0 }
        switch rule(FaultProxy.Passing(client: name, command: command)) {
        case .pass: write(reply)
        case .delay(let time):
            replyDelay = max(replyDelay, .now() + TimeAmount(time))
            write(reply)
        case .lose: close()
        case .goSilent: isSilent = true
        }
    }

    private func write(_ reply: ByteBuffer) {
        guard replyDelay > .now() else { return client.writeAndFlush(reply, promise: nil) }
        let client = client
        client.eventLoop.scheduleTask(deadline: replyDelay) { client.writeAndFlush(reply, promise: nil) }
    }

    func release() {
        isHeld = false
        for command in heldBack { server.writeAndFlush(command, promise: nil) }
        heldBack = []
        if !client.isActive { server.close(promise: nil) }
    }

    func close() {
        client.close(promise: nil)
        if !isHeld { server.close(promise: nil) }
    }
}

private final class Half: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let pair: Pair
    private let isClient: Bool

    init(_ pair: Pair, isClient: Bool) {
        self.pair = pair
        self.isClient = isClient
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        pair.read(unwrapInboundIn(data), fromClient: isClient)
    }

    func channelInactive(context: ChannelHandlerContext) { pair.close() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
