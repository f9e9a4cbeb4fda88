package import BackgroundJobs
import BackgroundRedis
import Logging
import NIOPosix

/// Reads the keys of a namespace over one connection, and sends any other command.
package final class Records: Sendable {
    package let keys: Keys
    private let client: RedisClient

    package init(url: String, namespace: String = "bg") throws {
        keys = Keys(namespace: namespace)
        client = RedisClient(
            RedisConfiguration(url: try RedisURL(url), connectTimeout: .seconds(10), commandTimeout: .seconds(120)),
            eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
            logger: Logger(label: "records", factory: { _ in SwiftLogNoOpLogHandler() })
        )
    }

    package func close() async {
        await client.close()
    }

    // MARK: Any command

    /// Sends a command; an error reply is thrown.
    @discardableResult
    package func callAsFunction(_ parts: String...) async throws -> Reply {
        try await send([parts])[0]
    }

    /// Sends many commands at once; an error reply is thrown.
    @discardableResult
    package func send(_ commands: [[String]]) async throws -> [Reply] {
        var pipeline = Pipeline()
        for command in commands { pipeline.command(command) }
        return try await client.send(pipeline).map { Reply(try $0.get()) }
    }

    package struct Reply: Sendable {
        private let value: RESPValue
        fileprivate init(_ value: RESPValue) { self.value = value }

        package var text: String? { value.text }
        package var int: Int { value.int.map(Int.init) ?? 0 }
        package var isNull: Bool { value.isNull }
        package var texts: [String] { (value.array ?? []).map { $0.text ?? $0.int.map(String.init) ?? "" } }
        package var replies: [Reply] { (value.array ?? []).map(Reply.init) }
        package var fields: [String: String] {
            let all = texts
            return Dictionary(
                stride(from: 0, to: all.count - 1, by: 2).map { (all[$0], all[$0 + 1]) },
                uniquingKeysWith: { $1 }
            )
        }
    }

    // MARK: The protocol's keys

    package func job(_ id: String) async throws -> [String: String] { try await self("HGETALL", keys.job(id)).fields }

    package func attempt(_ id: String) async throws -> [String: String] {
        try await self("HGETALL", keys.attempt(id)).fields
    }

    /// All attempts of a job, the oldest first.
    package func attempts(of job: String) async throws -> [[String: String]] {
        var chain: [[String: String]] = []
        var next = try await self.job(job)["las"]
        while let id = next, chain.count < 100 {
            let fields = try await attempt(id)
            chain.append(fields)
            next = fields["prv"]
        }
        return chain.reversed()
    }

    package func ready(_ queue: String = "default") async throws -> Int {
        try await self("LLEN", keys.ready(queue)).int
    }

    package func processing(_ queue: String = "default") async throws -> [String] {
        try await self("SMEMBERS", keys.processing(queue)).texts
    }

    package func completed(_ queue: String = "default") async throws -> Int {
        try await self("ZCARD", keys.completed(queue)).int
    }

    package func failed(_ queue: String = "default") async throws -> [String] {
        try await self("ZRANGE", keys.failed(queue), "0", "-1").texts
    }

    package func dead(_ queue: String = "default") async throws -> [String] {
        try await self("ZRANGE", keys.dead(queue), "0", "-1").texts
    }

    package func stats(_ queue: String = "default") async throws -> [String: Int] {
        try await self("HGETALL", "\(keys.namespace):stats:\(queue)").fields.compactMapValues(Int.init)
    }

    /// All clients whose names begin so: ID and name.
    package func clients(named prefix: String) async throws -> [ListedClient] {
        let list = try await self("CLIENT", "LIST").text ?? ""
        return ClientList.parse(Array(list.utf8)).filter { $0.name.hasPrefix(prefix) }
    }
}
