import BackgroundRedis
import Logging
import NIOCore
import TestSupport
import Testing

/// The client against a real Redis that behaves.
@Suite(.serialized, .timeLimit(.minutes(20))) struct RedisClientTests {
    @Test func overUnixSocketAndTCP() async throws {
        let server = try await RedisServer.start()
        for url in [server.url, server.tcpURL] {
            try await withClient(url) { client in
                try await client.waitUntilReady()
                #expect(try await client.command("PING").text == "PONG")
                #expect(try await client.command("SET", "k", "\r\n\u{0}é") == .string(Array("OK".utf8)))
                #expect(try await client.command("GET", "k").text == "\r\n\u{0}é")
                #expect(client.session?.number == 1)
                #expect(try await client.command("CLIENT", "ID").int == client.session?.clientID)
            }
        }
        await server.stop()
    }

    @Test func aPipelineGetsOneReplyForEachCommand() async throws {
        let server = try await RedisServer.start()
        try await withClient(server.url) { client in
            var pipeline = Pipeline()
            pipeline.command("MULTI")
            pipeline.command("SET", "a", "1")
            pipeline.command("EXEC")
            pipeline.command("NO-SUCH")
            pipeline.command("GET", "a")
            let replies = try await client.send(pipeline)
            #expect(replies.count == 5)
            #expect(replies[2].array?.first?.text == "OK")
            #expect(throws: RedisError.self) { try replies[3].get() }
            #expect(replies[4].int == 1)
            #expect(try await client.send(Pipeline()).isEmpty)
        }
        await server.stop()
    }

    @Test func aThousandSendersEachGetTheirOwn() async throws {
        let server = try await RedisServer.start()
        try await withClient(server.url) { client in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for sender in 0..<1000 {
                    group.addTask {
                        for round in 0..<10 {
                            let text = "\(sender)-\(round)"
                            let reply = try await client.command("ECHO", text)
                            #expect(reply.text == text)
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
        await server.stop()
    }

    /// Large replies between small ones, more than one read each.
    @Test func largeValues() async throws {
        let server = try await RedisServer.start()
        try await withClient(server.url) { client in
            let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            var pipeline = Pipeline()
            pipeline.begin(argumentCount: 3)
            pipeline.append("SET")
            pipeline.append("large")
            pipeline.append(bytes)
            pipeline.command("GET", "large")
            pipeline.command("PING")
            let replies = try await client.send(pipeline)
            #expect(replies[1] == .string(bytes))
        }
        await server.stop()
    }

    /// One sender's commands are carried out in the order in which it sent them.
    @Test func orderOfOneSender() async throws {
        let server = try await RedisServer.start()
        try await withClient(server.url) { client in
            let replies = Record<Int64>()
            for _ in 0..<5000 {
                client.send(Pipeline("INCR", "n")) { result in
                    if case .success(let values) = result { replies.append(values[0].int ?? -1) }
                }
            }
            let last = try await client.command("INCR", "n")
            #expect(last.int == 5001)
            #expect(replies.all == Array(1...5000))
        }
        await server.stop()
    }

    @Test func aCancelledCallerDisturbsNobody() async throws {
        let server = try await RedisServer.start()
        try await withClient(server.url) { client in
            try await client.waitUntilReady()
            let blocked = Task { try await client.command("BLPOP", "none", "0.3") }
            let echo = Task { try await client.command("ECHO", "still here").text }
            try await Task.sleep(for: .milliseconds(50))
            blocked.cancel()
            await #expect { try await blocked.value } throws: { ($0 as? RedisError)?.code == .cancelled }
            #expect(try await echo.value == "still here")
            #expect(client.session?.number == 1)
            let late = Task {
                withUnsafeCurrentTask { $0?.cancel() }
                return try await client.command("INCR", "never")
            }
            await #expect { try await late.value } throws: { ($0 as? RedisError)?.fate == .notSent }
            #expect(try await client.command("EXISTS", "never").int == 0)
        }
        await server.stop()
    }

    /// Knows ali with the password `ses@me`, and wants `open` from everybody else.
    private func serverWithUsers() async throws -> RedisServer {
        let server = try await RedisServer.start()
        _ = try await server.command("ACL", "SETUSER", "ali", "on", ">ses@me", "~*", "&*", "+@all")
        _ = try await server.command("CONFIG", "SET", "requirepass", "open")
        return server
    }

    @Test func userPasswordDatabaseAndName() async throws {
        let server = try await serverWithUsers()
        for (credentials, user) in [("ali:ses%40me", "ali"), (":open", "default")] {
            try await withClient(
                "redis://\(credentials)@127.0.0.1:\(server.port)/3",
                configure: { $0.clientName = "me" }
            ) {
                let info = try await $0.command("CLIENT", "INFO").text ?? ""
                #expect(info.contains(" db=3 "))
                #expect(info.contains(" name=me "))
                #expect(info.contains(" user=\(user) "))
            }
        }
        await server.stop()
    }

    @Test(arguments: ["ali:wrong", "nobody:ses%40me", ":wrong", ""])
    func wrongCredentialsAtTheFirstConnectAreFinal(_ credentials: String) async throws {
        let server = try await serverWithUsers()
        let separator = credentials.isEmpty ? "" : "@"
        try await withClient("redis://\(credentials)\(separator)127.0.0.1:\(server.port)") { client in
            let error = await #expect(throws: RedisError.self) { try await client.waitUntilReady() }
            #expect(error?.code == .authenticationFailed)
            #expect(error?.isTransient == false)
            for secret in ["wrong", "ses@me"] { #expect(!"\(error as Any)".contains(secret)) }
            await #expect { try await client.command("PING") } throws: {
                ($0 as? RedisError)?.code == .authenticationFailed && ($0 as? RedisError)?.fate == .notSent
            }
        }
        await server.stop()
    }

    @Test func afterCloseNothingIsSent() async throws {
        let server = try await RedisServer.start()
        try await withClient(server.url) { client in
            try await client.waitUntilReady()
            let blocked = Task { try await client.command("BLPOP", "none", "0") }
            try await eventually("blocked") {
                try await server.command("INFO", "clients").text?.contains("blocked_clients:1") == true
            }
            await client.close()
            await #expect { try await blocked.value } throws: {
                ($0 as? RedisError)?.code == .closed && ($0 as? RedisError)?.fate == .unknown
            }
            await #expect { try await client.command("PING") } throws: {
                ($0 as? RedisError)?.code == .closed && ($0 as? RedisError)?.fate == .notSent
            }
            await #expect(throws: RedisError.self) { try await client.waitUntilReady() }
            #expect(client.session == nil)
            await client.close()
        }
        await server.stop()
    }

    /// A client that is forgotten closes its connection.
    @Test func aForgottenClient() async throws {
        let server = try await RedisServer.start()
        func forget() async throws {
            let client = RedisClient(
                RedisConfiguration(url: try RedisURL(server.url), clientName: "forgotten"),
                eventLoop: try await withClient(server.url) { $0.eventLoop },
                logger: .init(label: "test")
            )
            try await client.waitUntilReady()
        }
        try await forget()
        try await eventually("closed") {
            try await server.command("CLIENT", "LIST").text?.contains("forgotten") == false
        }
        await server.stop()
    }

    @Test func theLimitOfPendingCommands() async throws {
        let server = try await RedisServer.start()
        try await withClient(server.url, configure: { $0.maximumPendingCommands = 3 }) { client in
            try await client.waitUntilReady()
            server.pause()
            let results = Record<Result<[RESPValue], RedisError>>()
            for _ in 0..<4 { client.send(Pipeline("PING")) { results.append($0) } }
            try await eventually("one refused") { results.all.count == 1 }
            guard case .failure(let error) = results.all[0] else { return #expect(Bool(false)) }
            #expect(error.code == .overloaded)
            #expect(error.fate == .notSent)
            server.resume()
            try await eventually("the others answered") { results.all.count == 4 }
            // Whoever has its reply may send again at once, up to the limit.
            for _ in 0..<100 {
                var pipeline = Pipeline()
                for _ in 0..<3 { pipeline.command("PING") }
                #expect(try await client.send(pipeline).count == 3)
            }
        }
        await server.stop()
    }
}
