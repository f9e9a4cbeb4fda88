import BackgroundRedis
import Logging
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

extension Pipeline {
    /// One command.
    init(_ parts: String...) {
        self.init()
        command(parts)
    }
}

extension RedisClient {
    /// Sends one command and returns its reply.
    func command(_ parts: String...) async throws(RedisError) -> RESPValue {
        var pipeline = Pipeline()
        pipeline.command(parts)
        return try await send(pipeline)[0].get()
    }
}

/// Runs a test with a client on an event loop of its own, and closes it.
func withClient<T>(
    _ url: String,
    prepare: RedisClient.Prepare? = nil,
    heartbeat: (@Sendable () -> Pipeline)? = nil,
    onDisconnect: (@Sendable (RedisError) -> Void)? = nil,
    configure: (inout RedisConfiguration) -> Void = { _ in },
    _ body: (RedisClient) async throws -> T
) async throws -> T {
    var configuration = RedisConfiguration(url: try RedisURL(url))
    // A machine that is busy with other tests may take long to shake hands.
    configuration.connectTimeout = .seconds(10)
    configuration.commandTimeout = .seconds(60)
    configure(&configuration)
    let client = RedisClient(
        configuration,
        eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
        logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
        heartbeat: heartbeat,
        prepare: prepare,
        onDisconnect: onDisconnect
    )
    do {
        let result = try await body(client)
        await client.close()
        return result
    } catch {
        await client.close()
        throw error
    }
}

/// Waits until something is so, looking every few milliseconds; fails after half a minute.
func eventually(_ what: Comment, _ isSo: () async throws -> Bool) async throws {
    for _ in 0..<6000 {
        if try await isSo() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("never: \(what)")
}

/// A list that tests append to from anywhere.
final class Record<Element: Sendable>: Sendable {
    private let elements = Mutex<[Element]>([])

    var all: [Element] { elements.withLock { $0 } }

    func append(_ element: Element) {
        elements.withLock { $0.append(element) }
    }
}
