import BackgroundJobs
import BackgroundRedis
import Logging
import TestSupport
import Testing

@Suite("Enqueuing under a Redis that is restarted", .timeLimit(.minutes(20)))
struct RestartTests {
    @Test("each job is there exactly once, and no caller is bothered")
    func restarts() async throws {
        let server = try await RedisServer.start(
            options: ["--appendonly yes", "--appendfsync always"],
            tcp: false
        )
        // Longer than a restart takes, however busy the machine is.
        let manager = try Manager(
            redis: RedisOptions(url: server.url, connectTimeout: .seconds(30)),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        )
        let restarting = TestSupport.Counter()
        let ids = try await withThrowingTaskGroup(of: [String].self) { group in
            for _ in 0..<8 {
                group.addTask {
                    var ids: [String] = []
                    while restarting.value < 4 { ids.append(try await manager.enqueue("C").id) }
                    return ids
                }
            }
            for _ in 0..<4 {
                try await Task.sleep(for: .milliseconds(200))
                server.kill()
                try await Task.sleep(for: .milliseconds(300))
                try await server.restart()
                restarting.next()
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        await manager.close()
        let queued = try await server.command("LRANGE", "bg:ready:default", "0", "-1").array ?? []
        #expect(queued.compactMap(\.text).sorted() == ids.sorted())
        await server.stop()
    }

    @Test("many large arguments are several transactions")
    func largeArguments() async throws {
        let server = try await RedisServer.start(tcp: false)
        let manager = try Manager(
            redis: RedisOptions(url: server.url, connectTimeout: .seconds(30)),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        )
        let large = "\"" + String(repeating: "x", count: 1_000_000) + "\""
        let ids = try await manager.enqueue("C", contentsOf: repeatElement(large, count: 10)).map(\.id)
        let stats = try await server.command("INFO", "commandstats").text ?? ""
        // 4 MiB hold four of them.
        #expect(stats.contains("cmdstat_exec:calls=3,"))
        let queued = try await server.command("LRANGE", "bg:ready:default", "0", "-1").array ?? []
        #expect(queued.compactMap(\.text) == ids)
        await manager.close()
        await server.stop()
    }
}
