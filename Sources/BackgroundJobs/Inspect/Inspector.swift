import BackgroundRedis
public import Logging
import NIOPosix

/// Shows what is in Redis: queues, jobs, attempts, workers.
///
/// ```swift
/// let inspector = try Inspector(redis: RedisOptions(url: "redis://127.0.0.1:6379"))
/// let status = try await inspector.status()
/// await inspector.close()
/// ```
///
/// It only reads, with plain commands, a page at a time: no call makes Redis go through all of a long list or set, so it may
/// be used on a busy server. It needs no right to run scripts. What it shows may have changed before it is shown.
public final class Inspector: Sendable {
    let store: RedisStore
    /// The namespace that it looks at.
    public let namespace: String
    /// Where it looks, as a URL without the password.
    public let server: String
    let database: Int
    private let client: RedisClient

    var keys: Keys { store.keys }

    /// Makes an inspector. It connects at the first call.
    ///
    /// - Parameters:
    ///   - redis: where Redis is.
    ///   - logger: where lost and found connections are told.
    /// - Throws: ``BackgroundError`` for a URL or namespace that is not one.
    public init(
        redis: RedisOptions = RedisOptions(),
        logger: Logger = Logger(label: "background-jobs.inspector")
    ) throws(BackgroundError) {
        let configuration = try redis.configuration(
            clientName: ClientName.manager(redis.namespace),
            maximumBackoff: .seconds(1)
        )
        client = RedisClient(
            configuration,
            eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
            logger: logger
        )
        store = RedisStore(client: client, namespace: redis.namespace)
        namespace = redis.namespace
        server = "\(configuration.url)"
        database = configuration.url.database
    }

    /// Closes the connection; calls that are under way throw.
    public func close() async {
        await client.close()
    }

    // MARK: Reading, for the parts of this class

    /// The replies to a pipeline. An error reply is thrown unless it only says that a key is of a wrong type: one damaged key
    /// does not hide the others.
    func read(_ pipeline: Pipeline) async throws(BackgroundError) -> [RESPValue] {
        let replies = try await store.send(pipeline)
        for reply in replies where !reply.isWrongType { _ = try reply.orThrow() }
        return replies
    }

    /// The members of a set, as many as there are up to about `limit`.
    func members(of key: String, limit: Int) async throws(BackgroundError) -> (members: [String], isComplete: Bool) {
        var members: Set<String> = []
        var cursor = "0"
        repeat {
            let page = try await scan(key, from: cursor, count: 500)
            members.formUnion(page.members)
            cursor = page.next
        } while cursor != "0" && members.count < limit
        return (members.sorted(), cursor == "0")
    }

    /// One step through a set.
    func scan(
        _ key: String,
        from cursor: String,
        count: Int
    ) async throws(BackgroundError) -> (members: [String], next: String) {
        let reply = try await store.send("SSCAN", key, cursor, "COUNT", "\(count)")
        guard let parts = reply.array, parts.count == 2, let next = parts[0].text, let found = parts[1].array else {
            throw BackgroundError(.damaged, "Redis answered SSCAN with something else than a cursor and members.")
        }
        return (found.compactMap(\.text), next)
    }
}

extension RESPValue {
    var isWrongType: Bool {
        guard case .error(let text) = self else { return false }
        return text.hasPrefix("WRONGTYPE")
    }
}
