import BackgroundJobs
import BackgroundRedis
import TestSupport
import Testing

/// What a program finds out when it starts, of the commands that scripts run.
@Suite("The rights that a Redis user lacks", .timeLimit(.minutes(20)))
struct RightsTests {
    private static let commands = [
        ["DEL", "bg:jobs:!", "bg:dead:!"], ["HSET", "bg:jobs:!", "end", "-"], ["ZADD", "bg:dead:!", "0", "-"],
        ["HGET", "bg:jobs:!", "end"], ["SMEMBERS", "bg:queues"], ["DEL", "bg:jobs:!", "bg:dead:!"],
    ]

    /// Runs `body` where these rights are taken from the user.
    private func without(_ rights: String..., body: (RedisStore) async throws -> Void) async throws {
        let server = try await RedisServer.start(tcp: false)
        try await withRedisStore(server) { redis in
            if !rights.isEmpty { try await redis.send(command: ["ACL", "SETUSER", "default"] + rights) }
            try await body(redis)
        }
        await server.stop()
    }

    private func denied(_ redis: RedisStore) async throws -> [Int64] {
        let arguments = Self.commands.flatMap { ["\($0.count - 1)"] + $0 }
        let reply = try await redis.run(redis.scripts.rights, arguments: arguments.count) { pipeline in
            for argument in arguments { pipeline.append(argument) }
        }
        return (reply.array ?? []).compactMap(\.int)
    }

    @Test("are named, each by its place")
    func named() async throws {
        try await without("-zadd", "-hget", "-smembers") { redis in
            let denied = try await denied(redis)
            #expect(denied == [2, 3, 4])
            #expect(try await redis.send(command: ["DBSIZE"]).int == 0, "nothing stays")
        }
    }

    @Test("are none where something else is wrong")
    func wrongTypes() async throws {
        try await without { redis in
            try await redis.send(command: ["SET", "bg:queues", "x"])
            #expect(try await denied(redis) == [])
            #expect(try await redis.send(command: ["DBSIZE"]).int == 1)
        }
    }

    @Test("are not looked for where what is tried could not be deleted again")
    func noDeletion() async throws {
        try await without("-del", "-zadd") { redis in
            let denied = try await denied(redis)
            #expect(denied == [0])
            #expect(try await redis.send(command: ["DBSIZE"]).int == 0)
        }
    }
}
