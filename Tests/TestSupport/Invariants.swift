package import BackgroundJobs
import BackgroundJobsTesting
import BackgroundRedis
import Logging
import NIOPosix

/// What is not as it must be in a namespace of a Redis (failures, Invariants I1 to I4 and I8), a sentence each; keys of a
/// wrong type among them. Reads key by key, so nothing else may change the namespace meanwhile.
package func invariantViolations(_ store: RedisStore) async throws -> [String] {
    let (snapshot, faults) = try await RedisSnapshot(store).read()
    return faults + snapshot.invariantViolations()
}

/// The same, over a connection of its own.
package func invariantViolations(_ server: RedisServer, namespace: String = "bg") async throws -> [String] {
    try await withRedisStore(server, namespace: namespace) { try await invariantViolations($0) }
}

/// Runs `body` with a store on a connection of its own.
///
/// - Parameter database: the number of the database; a server has 16 unless it was started with more.
package func withRedisStore<Result: Sendable>(
    _ server: RedisServer,
    namespace: String = "bg",
    database: Int = 0,
    scripts: Scripts = .underTest,
    _ body: (RedisStore) async throws -> Result
) async throws -> Result {
    let client = RedisClient(
        RedisConfiguration(url: try RedisURL(server.url + "?db=\(database)"), commandTimeout: .seconds(30)),
        eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
        logger: Logger(label: "test-support", factory: { _ in SwiftLogNoOpLogHandler() })
    )
    let result: Result
    do {
        result = try await body(RedisStore(client: client, namespace: namespace, scripts: scripts))
    } catch {
        await client.close()
        throw error
    }
    await client.close()
    return result
}
