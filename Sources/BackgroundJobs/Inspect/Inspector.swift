import BackgroundRedis
public import Logging
import NIOPosix

/// Shows what is in Redis, queues, jobs, attempts and workers, and steers the jobs that stopped.
///
/// ```swift
/// let inspector = try Inspector(redis: RedisOptions(url: "redis://127.0.0.1:6379"))
/// let status = try await inspector.status()
/// await inspector.close()
/// ```
///
/// It reads with plain commands, a page at a time: no call makes Redis go through all of a long list or set, so it may be
/// used on a busy server. To read takes no right to run scripts. What it shows may have changed before it is shown.
///
/// What changes something (``cancel(_:)``, ``retry(_:)``, ``delete(_:from:queue:)``, ``copy(_:arguments:)``,
/// ``retryAll(in:queue:matching:progress:)``, ``deleteAll(in:queue:matching:progress:)``) goes in bounded, atomic steps,
/// each of which is harmless when it is repeated.
///
/// All calls wait about ``RedisOptions/connectTimeout`` for a Redis that is away, as one is that is restarted.
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
        store = RedisStore(client: client, namespace: redis.namespace, patience: redis.connectTimeout)
        namespace = redis.namespace
        server = "\(configuration.url)"
        database = configuration.url.database
    }

    /// Closes the connection; calls that are under way throw.
    public func close() async {
        await client.close()
    }

    // MARK: Reading, for the parts of this class

    /// The replies to a pipeline of commands that only read; error replies are values here.
    func replies(to pipeline: Pipeline) async throws(BackgroundError) -> [RESPValue] {
        try await store.patiently(where: \.mayBeRepeated) { () async throws(BackgroundError) in
            let replies = try await store.send(pipeline)
            for case .error(let text) in replies {
                let error = BackgroundError(RedisError.server(text))
                if error.mayBeRepeated { throw error }
            }
            return replies
        }
    }

    /// The replies to a pipeline. An error reply is thrown unless it only says that a key is of a wrong type: one damaged key
    /// does not hide the others.
    func read(_ pipeline: Pipeline) async throws(BackgroundError) -> [RESPValue] {
        let replies = try await replies(to: pipeline)
        for reply in replies where !reply.isWrongType { _ = try reply.orThrow() }
        return replies
    }

    /// The reply to one command about one key; an error reply is thrown, and names the key that is of a wrong type.
    func read(_ command: String, _ key: String, _ rest: String...) async throws(BackgroundError) -> RESPValue {
        var pipeline = Pipeline()
        pipeline.command([command, key] + rest)
        return try await replies(to: pipeline)[0].orThrow(naming: key)
    }

    /// The server's time in ms.
    func serverTime() async throws(BackgroundError) -> Int64 {
        var pipeline = Pipeline()
        pipeline.command("TIME")
        return try await read(pipeline)[0].serverTime()
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
        let reply = try await read("SSCAN", key, cursor, "COUNT", "\(count)")
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

    /// The value, or the error that the reply is.
    func orThrow(naming key: String) throws(BackgroundError) -> RESPValue {
        guard case .error(let text) = self, isWrongType else { return try orThrow() }
        throw BackgroundError(
            .damaged,
            "The key \(key) is of another type than it should be.",
            cause: RedisError.server(text)
        )
    }
}
