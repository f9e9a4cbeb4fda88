import NIOCore
import NIOPosix
import Synchronization

/// Stands on loopback in front of a Redis and does to its clients what networks do.
///
/// It passes on whole commands and replies, and asks its rule for each reply what is to become of it. Besides it cuts
/// conversations at a given byte, slows them down, and loses all that goes either way.
package final class FaultProxy: Sendable {
    /// A reply on its way to a client, and the command that it answers.
    package struct Passing: Sendable {
        /// The name that the connection gave itself, empty before it did.
        package var client: String
        /// The first words of the command.
        package var command: [String]
        /// Which command of its connection it is, from 1.
        package var number: Int
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

    package enum Direction: Sendable, CaseIterable {
        /// From the clients to Redis.
        case upstream
        /// From Redis to the clients.
        case downstream
    }

    package typealias Rule = @Sendable (Passing) -> Fate

    private let listener: any Channel
    private let traffic: Traffic

    package var port: Int { listener.localAddress?.port ?? 0 }
    package var url: String { "redis://127.0.0.1:\(port)" }

    private init(listener: any Channel, traffic: Traffic) {
        self.listener = listener
        self.traffic = traffic
    }

    deinit {
        listener.close(promise: nil)
        traffic.forEach("") { $0.close() }
    }

    /// Starts a proxy in front of a port of 127.0.0.1.
    package static func start(before port: Int, _ rule: @escaping Rule = { _ in .pass }) async throws -> FaultProxy {
        let traffic = Traffic(rule)
        let group = MultiThreadedEventLoopGroup.singleton
        let listener = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { client in
                // Both halves on one event loop, so that they may share what they know.
                ClientBootstrap(group: client.eventLoop).connect(host: "127.0.0.1", port: port).flatMap { server in
                    client.eventLoop.makeCompletedFuture {
                        let connection = ProxiedConnection(client: client, server: server, traffic: traffic)
                        try connection.join()
                        traffic.add(connection)
                    }
                }
            }
            .bind(host: "127.0.0.1", port: 0)
            .get()
        return FaultProxy(listener: listener, traffic: traffic)
    }

    /// Has another rule decide from here on.
    package func rule(_ rule: @escaping Rule) { traffic.state.withLock { $0.rule = rule } }

    // MARK: Cuts

    /// Cuts the connections of clients whose names begin so.
    package func cut(_ prefix: String = "") { traffic.forEach(prefix) { $0.close() } }

    /// Cuts a conversation when so many bytes of it have passed in one direction: the connection that brings the next byte is
    /// closed, and what came before goes through.
    ///
    /// Of a command or reply of more than 256 bytes the first and the last 32 count, and it is cut there only: the middle of a
    /// script on its way to Redis is one place.
    ///
    /// - Parameters:
    ///   - prefix: only connections of clients whose names begin so count.
    ///   - each: false: the bytes of all connections are counted together, and one is cut; true: those of each one, and each
    ///     is cut there, the later ones too.
    package func cut(_ direction: Direction, after bytes: Int, of prefix: String = "", each: Bool = false) {
        traffic.state.withLock {
            $0.cut = Traffic.Cut(direction: direction, after: bytes, prefix: prefix, isForEach: each)
        }
    }

    /// How many connections were cut by ``cut(_:after:of:each:)``.
    package var cuts: Int { traffic.state.withLock { $0.cuts } }

    /// How many replies were lost because the rule said so.
    package var losses: Int { traffic.state.withLock { $0.losses } }

    /// How many bytes have passed, counted as ``cut(_:after:of:each:)`` does.
    package func count(_ direction: Direction) -> Int { traffic.state.withLock { $0.passed[direction] ?? 0 } }

    // MARK: Slowness

    /// All that goes either way is on its way for so long.
    package func delay(_ latency: Duration) { traffic.state.withLock { $0.latency = latency } }

    /// So many bytes a second go through each connection in either direction; nil: as they come.
    package func throttle(bytesPerSecond rate: Int?) { traffic.state.withLock { $0.bytesPerSecond = rate } }

    /// Holds back all that comes from clients whose names begin so; what they have sent arrives after ``release()``,
    /// also when they have gone.
    package func hold(_ prefix: String) { traffic.forEach(prefix) { $0.isHeld = true } }

    /// Lets what was held back go on to Redis.
    package func release() { traffic.forEach("") { $0.release() } }

    // MARK: Silence

    /// The connections of clients whose names begin so are half open from here on: nothing goes either way, and neither side
    /// is told, also when the other one has gone.
    package func silence(_ prefix: String = "") { traffic.forEach(prefix) { $0.isSilent = true } }

    /// The network is away: all connections are half open, and those that are made meanwhile too.
    package func isolate() {
        traffic.state.withLock { $0.isIsolated = true }
        silence()
    }

    /// The network is back, for connections that are made from here on: the others stay half open.
    package func restore() { traffic.state.withLock { $0.isIsolated = false } }
}
