import BackgroundJobs
import BackgroundRedis

/// Connections that look like workers', and attempts that they vouch for.
public struct Crowd: Sendable {
    private let clients: [RedisClient]

    init(_ clients: [RedisClient]) {
        self.clients = clients
    }

    /// Ends the connections.
    public func close() async {
        for client in clients { await client.close() }
    }
}

extension Yardstick {
    /// Connects so many workers, which do nothing but show now and then that they live, and writes so many running attempts.
    public func crowd(_ queue: String, connections: Int, attempts: Int) async throws -> Crowd {
        var clients: [RedisClient] = []
        var vouchers: [Voucher] = []
        for number in 0..<connections {
            let node = Node(name: "crowd\(number)")
            let name = ClientName.worker(redis.namespace, node: node, fibers: 10, queues: [queue])
            let client = try Self.client(redis, name: name, heartbeat: .seconds(10))
            try await client.waitUntilReady(for: .seconds(10))
            clients.append(client)
            vouchers.append(Voucher(node: "\(node)", client: client.session?.clientID ?? 0))
        }
        let now = try await serverTime()
        for start in stride(from: 0, to: attempts, by: 500) {
            var pipeline = Pipeline()
            for number in start..<min(start + 500, attempts) {
                let (attempt, voucher) = (String.randomUUID(), vouchers[number % connections])
                pipeline.command(
                    ["HSET", store.keys.attempt(attempt), "sta", "\(now)", "job", .randomUUID()]
                        + ["wrk", "\(voucher.client)", "que", queue, "nod", voucher.node, "num", "1"]
                )
                pipeline.command("SADD", store.keys.processing(queue), attempt)
            }
            for reply in try await store.send(pipeline) { _ = try reply.orThrow() }
        }
        try await store.send("SADD", store.keys.queues, queue)
        return Crowd(clients)
    }
}
