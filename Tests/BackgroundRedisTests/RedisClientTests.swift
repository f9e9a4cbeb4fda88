import BackgroundRedis
import Logging
import NIOCore
import NIOPosix
import TestSupport
import Testing

@Suite struct SmokeTests {
    @Test func pingAndThroughput() async throws {
        let server = try await RedisServer.start()
        for url in [server.url, server.tcpURL] {
            let client = RedisClient(
                RedisConfiguration(url: try RedisURL(url), clientName: "x"),
                eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
                logger: Logger(label: "t")
            )
            try await client.waitUntilReady()
            var p = Pipeline()
            p.command("PING")
            print(try await client.send(p))
            let clock = ContinuousClock()
            let pipeline = p
            let time = try await clock.measure {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<50 {
                        group.addTask { for _ in 0..<6000 { _ = try await client.send(pipeline) } }
                    }
                    try await group.waitForAll()
                }
            }
            print(url, 300_000 / (time / .seconds(1)), "per second")
            await client.close()
        }
        await server.stop()
    }
}
