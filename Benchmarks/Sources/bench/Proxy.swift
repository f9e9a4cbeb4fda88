import Foundation
import NIOCore
import NIOPosix
import Synchronization

/// Stands on loopback in front of a Redis: it delays replies, counts commands, and notes how long exchanges take.
final class Proxy: Sendable {
    /// Bytes to and fro without a pause of 200 ms.
    struct Exchange: Sendable {
        var begun: ContinuousClock.Instant
        var ended: ContinuousClock.Instant
        var bytes = 0
        var duration: Duration { begun.duration(to: ended) }
    }

    private let group: MultiThreadedEventLoopGroup
    private let counts: Counts
    private let listener: any Channel

    var url: String { "redis://127.0.0.1:\(listener.localAddress?.port ?? 0)" }
    /// How many commands have come through; a script is one.
    var commands: Int { counts.state.withLock { $0.commands } }

    /// The exchanges so far, which are then forgotten.
    func takeExchanges() -> [Exchange] {
        counts.state.withLock { state in
            defer { state.exchanges = [] }
            return state.exchanges
        }
    }

    static func start(before url: String, delay: TimeAmount = .zero) async throws -> Proxy {
        guard let url = URL(string: url), let host = url.host else { throw Failure("\(url) is no URL of a Redis.") }
        let port = url.port ?? 6379
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let counts = Counts()
        let listener = try await ServerBootstrap(group: group)
            .childChannelInitializer { client in
                ClientBootstrap(group: client.eventLoop).connect(host: host, port: port).flatMapThrowing { server in
                    try client.pipeline.syncOperations.addHandler(Half(server, counts, delay: .zero, isClient: true))
                    try server.pipeline.syncOperations.addHandler(Half(client, counts, delay: delay, isClient: false))
                }
            }
            .bind(host: "127.0.0.1", port: 0)
            .get()
        return Proxy(group, counts, listener)
    }

    private init(_ group: MultiThreadedEventLoopGroup, _ counts: Counts, _ listener: any Channel) {
        self.group = group
        self.counts = counts
        self.listener = listener
    }

    func stop() async {
        // Whatever is still connected goes with it.
        try? await listener.close()
        try? await group.shutdownGracefully()
    }
}

private final class Counts: Sendable {
    struct State {
        var commands = 0
        var exchanges: [Proxy.Exchange] = []
    }

    let state = Mutex(State())

    func note(bytes: Int, commands: Int) {
        let now = ContinuousClock.now
        state.withLock { state in
            state.commands += commands
            if state.exchanges.last.map({ $0.ended.duration(to: now) > .milliseconds(200) }) ?? true {
                state.exchanges.append(Proxy.Exchange(begun: now, ended: now))
            }
            state.exchanges[state.exchanges.count - 1].ended = now
            state.exchanges[state.exchanges.count - 1].bytes += bytes
        }
    }
}

private final class Half: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let other: any Channel
    private let counts: Counts
    private let delay: TimeAmount
    private let isClient: Bool
    private var counter = CommandCounter()

    init(_ other: any Channel, _ counts: Counts, delay: TimeAmount, isClient: Bool) {
        self.other = other
        self.counts = counts
        self.delay = delay
        self.isClient = isClient
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        counts.note(bytes: bytes.readableBytes, commands: isClient ? counter.count(bytes.readableBytesView) : 0)
        guard delay > .zero else { return other.writeAndFlush(bytes, promise: nil) }
        context.eventLoop.scheduleTask(in: delay) { [other] in other.writeAndFlush(bytes, promise: nil) }
    }

    func channelInactive(context: ChannelHandlerContext) { other.close(promise: nil) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// Counts commands in what a client sends: `*` and the number of words, then for each `$`, its length, and its bytes.
private struct CommandCounter {
    private var line: [UInt8] = []
    /// Bytes of a word that are still to come, with the line end.
    private var skipping = 0

    mutating func count(_ bytes: ByteBufferView) -> Int {
        var commands = 0
        var at = bytes.startIndex
        while at < bytes.endIndex {
            let step = min(skipping, bytes.endIndex - at)
            skipping -= step
            at += step
            while skipping == 0, at < bytes.endIndex {
                let byte = bytes[at]
                at += 1
                guard byte == UInt8(ascii: "\n") else {
                    line.append(byte)
                    continue
                }
                if line.first == UInt8(ascii: "*") { commands += 1 }
                if line.first == UInt8(ascii: "$") {
                    skipping = (Int(String(decoding: line.dropFirst().dropLast(), as: UTF8.self)) ?? 0) + 2
                }
                line.removeAll(keepingCapacity: true)
            }
        }
        return commands
    }
}
