import BackgroundRedis
import NIOCore
import TestSupport
import Testing

/// The client and servers that no Redis would be.
@Suite(.serialized, .timeLimit(.minutes(20))) struct FakeServerTests {
    @Test(arguments: [
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "$-2\r\n", "*2147483648\r\n", "\u{15}\u{3}\u{1}",
        "?\r\n",
        "+PONG\r\n+PONG\r\n", "$3\r\nabcde\r\n", String(repeating: "*1\r\n", count: 9),
    ])
    func whatIsNoReplyEndsTheConnection(_ text: String) async throws {
        let server = try await FakeServer.start { connection, command in
            FakeServer.handshake(command) ?? .text(connection == 1 && command == ["PING"] ? text : "+PONG\r\n")
        }
        try await withClient(server.url) { client in
            let result = Record<RedisError>()
            do throws(RedisError) { _ = try await client.command("PING") } catch { result.append(error) }
            // The reply in front of the one that nobody asked for is delivered.
            if text.hasPrefix("+") {
                #expect(result.all.isEmpty)
            } else {
                #expect(result.all.map(\.code) == [.protocolViolation])
                #expect(result.all.map(\.fate) == [.unknown])
            }
            try await eventually("another session") { client.session?.number == 2 }
            #expect(try await client.command("PING").text == "PONG")
        }
        await server.stop()
    }

    @Test(arguments: ["HTTP/1.1 400 Bad Request\r\n\r\n", "+OK\r\n", "*2147483647\r\n"])
    func aWrongServerFromTheStart(_ text: String) async throws {
        let server = try await FakeServer.start { _, _ in .text(text) }
        try await withClient(server.url, configure: { $0.connectTimeout = .milliseconds(300) }) { client in
            let error = await #expect(throws: RedisError.self) { try await client.command("PING") }
            #expect(error?.code == .protocolViolation || error?.code == .connectFailed)
        }
        await server.stop()
    }

    @Test func aSilentServerIsLeftAfterTheCommandTimeout() async throws {
        let server = try await FakeServer.start { connection, command in
            FakeServer.handshake(command) ?? (connection == 1 ? .silence : .text("+PONG\r\n"))
        }
        try await withClient(
            server.url,
            configure: {
                $0.commandTimeout = .milliseconds(300)
                $0.connectTimeout = .seconds(20)
            }
        ) { client in
            try await client.waitUntilReady()
            let results = Record<RedisError>()
            let time = try await ContinuousClock().measure {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<3 {
                        group.addTask {
                            do throws(RedisError) { _ = try await client.command("PING") } catch {
                                results.append(error)
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            }
            #expect(results.all.map(\.code) == [.timeout, .timeout, .timeout])
            #expect(results.all.allSatisfy { $0.fate == .unknown && $0.isTransient })
            #expect(time >= .milliseconds(300) && time < .seconds(15))
            #expect(try await client.command("PING").text == "PONG")
            #expect(client.session?.number == 2)
        }
        await server.stop()
    }

    /// Each heartbeat is written although the one before has not been answered.
    @Test func heartbeatsDoNotWaitForReplies() async throws {
        let pings = Record<Int>()
        let server = try await FakeServer.start { connection, command in
            if command == ["PING"] { pings.append(connection) }
            return FakeServer.handshake(command) ?? .silence
        }
        try await withClient(
            server.url,
            configure: {
                $0.commandTimeout = .seconds(1)
                $0.heartbeatInterval = .milliseconds(100)
            },
            { client in
                try await client.waitUntilReady()
                try await eventually("given up") { client.session?.number == 2 }
                #expect((5...12).contains(pings.all.count { $0 == 1 }))
            }
        )
        await server.stop()
    }

    @Test func aServerThatDoesNotShakeHands() async throws {
        let server = try await FakeServer.start { _, _ in .silence }
        try await withClient(server.url, configure: { $0.connectTimeout = .milliseconds(200) }) { client in
            let error = await #expect(throws: RedisError.self) { try await client.command("PING") }
            #expect(error?.code == .connectFailed)
            #expect(error?.fate == .notSent)
            try await eventually("tried again") { server.connectionCount >= 3 }
        }
        await server.stop()
    }

    @Test(arguments: [
        "-ERR max number of clients reached\r\n",
        "-DENIED Redis is running in protected mode because protected mode is enabled\r\n",
    ])
    func whatAServerSaysBeforeItHangsUp(_ text: String) async throws {
        let server = try await FakeServer.start { _, command in command[0] == "AUTH" ? .text(text) : .close }
        try await withClient("redis://:sesame@127.0.0.1:\(server.port)", configure: { $0.clientName = "me" }) {
            client in
            let error = await #expect(throws: RedisError.self) {
                try await client.command("PING")
            }
            #expect(error?.code == .connectFailed)
            #expect(error?.message.contains(text.dropFirst().prefix(20)) == true)
        }
        await server.stop()
    }

    /// Wrong credentials end the client at its first connect only; later they may be those of a server that is being
    /// set up anew.
    @Test func credentialsThatAreRefusedLater() async throws {
        let server = try await FakeServer.start { connection, command in
            if command[0] == "AUTH", (2...5).contains(connection) {
                return .text("-WRONGPASS sesame is wrong\r\n")
            }
            if command == ["QUIT"] { return .close }
            return FakeServer.handshake(command) ?? .text("+PONG\r\n")
        }
        try await withClient("redis://:sesame@127.0.0.1:\(server.port)") { client in
            try await client.waitUntilReady()
            await #expect(throws: RedisError.self) { try await client.command("QUIT") }
            let error = await #expect(throws: RedisError.self) { try await client.command("PING") }
            #expect(error?.code == .authenticationFailed)
            #expect(error?.message.contains("sesame") == false)
            try await eventually("back") { client.session != nil }
            #expect(server.connectionCount == 6)
        }
        await server.stop()
    }

    @Test func aLoadingRedisIsAskedAgainOnTheSameConnection() async throws {
        let tries = Record<Int>()
        let server = try await FakeServer.start { _, command in
            if command[0] == "SELECT" {
                tries.append(1)
                if tries.all.count < 5 { return .text("-LOADING Redis is loading the dataset in memory\r\n") }
            }
            return FakeServer.handshake(command) ?? .text("+PONG\r\n")
        }
        try await withClient(server.url + "/1", configure: { $0.clientName = "me" }) { client in
            try await client.waitUntilReady()
            #expect(server.connectionCount == 1)
            #expect(tries.all.count == 5)
            #expect(client.session?.number == 1)
        }
        await server.stop()
    }

    @Test func aWriteThatMeetsAClosedSocketIsNoEndOfTheProcess() async throws {
        let server = try await FakeServer.start { _, command in FakeServer.handshake(command) ?? .close }
        try await withClient(server.url) { client in
            for _ in 0..<6 {
                for _ in 0..<10 { client.send(Pipeline("PING")) { _ in } }
                let result = Record<RedisError>()
                do throws(RedisError) { _ = try await client.command("PING") } catch { result.append(error) }
                #expect(result.all.count == 1)
            }
        }
        await server.stop()
    }
}
