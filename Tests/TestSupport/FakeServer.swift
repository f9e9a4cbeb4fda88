import NIOCore
import NIOPosix
import Synchronization

/// A server that says what a test wants it to, whatever it is asked.
package final class FakeServer: Sendable {
    /// What a connection does when bytes come: the replies to write, or nothing.
    package enum Answer: Sendable {
        case bytes([UInt8])
        case close
        case silence

        /// The bytes of a text.
        package static func text(_ text: String) -> Answer { .bytes(Array(text.utf8)) }
    }

    /// Is asked for each command that arrives: the number of the connection, and the command's words.
    package typealias Script = @Sendable (_ connection: Int, _ command: [String]) -> Answer

    private let channel: any Channel
    private let connections: Connections

    /// The port that it listens on.
    package var port: Int { channel.localAddress?.port ?? 0 }
    /// Its URL.
    package var url: String { "redis://127.0.0.1:\(port)" }
    /// How many connections have been made to it.
    package var connectionCount: Int { connections.count.withLock { $0 } }

    private init(channel: any Channel, connections: Connections) {
        self.channel = channel
        self.connections = connections
    }

    deinit {
        channel.close(promise: nil)
    }

    /// Starts a server on a free port of 127.0.0.1.
    package static func start(_ script: @escaping Script) async throws -> FakeServer {
        let connections = Connections()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let number = connections.count.withLock { count in
                        count += 1
                        return count
                    }
                    try channel.pipeline.syncOperations.addHandler(Conversation(number, script))
                }
            }
            .bind(host: "127.0.0.1", port: 0)
            .get()
        return FakeServer(channel: channel, connections: connections)
    }

    /// The replies of a real Redis to the commands of a handshake, else nil.
    package static func handshake(_ command: [String]) -> Answer? {
        switch command.prefix(2).map({ $0.uppercased() }) {
        case ["CLIENT", "ID"]: .text(":7\r\n")
        case ["CLIENT", "SETNAME"]: .text("+OK\r\n")
        case let words where words.first == "SELECT" || words.first == "AUTH": .text("+OK\r\n")
        default: nil
        }
    }

    /// Stops listening. The connections there are stay.
    package func stop() async {
        try? await channel.close()
    }
}

private final class Connections: Sendable {
    let count = Mutex(0)
}

/// Reads commands as a Redis does, and answers by the script.
private final class Conversation: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let number: Int
    private let script: FakeServer.Script
    private var received = ByteBuffer()

    init(_ number: Int, _ script: @escaping FakeServer.Script) {
        self.number = number
        self.script = script
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        received.writeImmutableBuffer(unwrapInboundIn(data))
        while let command = nextCommand() {
            switch script(number, command) {
            case .bytes(let bytes): context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
            case .close: return context.close(promise: nil)
            case .silence: break
            }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func nextCommand() -> [String]? {
        var rest = received
        guard let count = Self.number(after: "*", &rest) else { return nil }
        var words: [String] = []
        for _ in 0..<count {
            guard let length = Self.number(after: "$", &rest), let word = rest.readString(length: length),
                rest.readSlice(length: 2) != nil
            else { return nil }
            words.append(word)
        }
        received = rest
        return words
    }

    private static func number(after sign: Character, _ buffer: inout ByteBuffer) -> Int? {
        let line = buffer.readableBytesView.prefix { $0 != UInt8(ascii: "\r") }
        guard buffer.readableBytes >= line.count + 2 else { return nil }
        let text = buffer.readString(length: line.count + 2)
        return text?.first == sign ? text.flatMap { Int($0.dropFirst().prefix { $0.isNumber }) } : nil
    }
}
