import BackgroundRedis
import Foundation
import Logging
import NIOCore
import NIOPosix
import TestSupport
import Testing

/// The client and a Redis that goes and comes back.
@Suite(.serialized, .timeLimit(.minutes(20))) struct ReconnectTests {
    #if os(Linux)
    /// An event loop that has ended meanwhile would be scheduled on.
    @Test func aConnectionThatIsBeingMadeIsWaitedForBeforeTheEventLoopEnds() async throws {
        let (port, sockets) = try fullListener()
        defer { for socket in sockets { close(socket) } }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var configuration = RedisConfiguration(url: try RedisURL("redis://127.0.0.1:\(port)"))
        configuration.connectTimeout = .seconds(4)
        let client = RedisClient(
            configuration,
            eventLoop: group.next(),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        )
        client.start()
        let begin = ContinuousClock.now
        await client.close()
        #expect(begin.duration(to: .now) < .seconds(3), "to close waits for nothing")
        await client.settle()
        #expect(begin.duration(to: .now) > .seconds(3), "the connection was being made until its time was over")
        try await group.shutdownGracefully()
    }

    /// A socket that listens, and whose queue of connections is full: further ones come to nothing, and are told nothing.
    private func fullListener() throws -> (port: Int, sockets: [Int32]) {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        var sockets = [listener]
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                _ = bind(listener, address, length)
                _ = listen(listener, 0)
                _ = getsockname(listener, address, &length)
                for _ in 0..<4 {
                    let filler = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
                    _ = connect(filler, address, length)
                    sockets.append(filler)
                }
            }
        }
        return (Int(in_port_t(bigEndian: address.sin_port)), sockets)
    }
    #endif

    @Test func afterClientKillNameAndDatabaseAreRestored() async throws {
        let server = try await RedisServer.start()
        let losses = Record<RedisError>()
        try await withClient(
            server.url + "?db=5",
            onDisconnect: { losses.append($0) },
            configure: { $0.clientName = "me" }
        ) { client in
            try await client.waitUntilReady()
            for round in 1...5 {
                let session = try #require(client.session)
                #expect(session.number == UInt64(round))
                let blocked = Task { try await client.send(Pipeline("BLPOP", "none", "0"), session: session.number) }
                try await eventually("blocked") {
                    try await server.command("INFO", "clients").text?.contains("blocked_clients:1") == true
                }
                _ = try await server.command("CLIENT", "KILL", "ID", "\(session.clientID)")
                await #expect { try await blocked.value } throws: {
                    ($0 as? RedisError)?.code == .connectionLost && ($0 as? RedisError)?.fate == .unknown
                }
                let info = try await client.command("CLIENT", "INFO").text ?? ""
                #expect(info.contains(" name=me "))
                #expect(info.contains(" db=5 "))
                #expect(losses.all.count == round)
                await #expect { try await client.send(Pipeline("INCR", "never"), session: session.number) } throws: {
                    ($0 as? RedisError)?.code == .connectionLost && ($0 as? RedisError)?.fate == .notSent
                }
            }
            #expect(try await client.command("EXISTS", "never").int == 0)
        }
        await server.stop()
    }

    @Test func whatIsBoundToASessionNeverReachesAnother() async throws {
        let server = try await RedisServer.start()
        try await withClient(server.url) { client in
            try await client.waitUntilReady()
            let fates = Record<String>()
            let stop = Record<Bool>()
            let senders = Task {
                await withTaskGroup(of: Void.self) { group in
                    for _ in 0..<8 {
                        group.addTask {
                            while stop.all.isEmpty {
                                guard let session = client.session else {
                                    await Task.yield()
                                    continue
                                }
                                var pipeline = Pipeline()
                                pipeline.command("CLIENT", "ID")
                                do throws(RedisError) {
                                    let reply = try await client.send(pipeline, session: session.number)
                                    if reply[0].int != session.clientID { fates.append("on another connection") }
                                } catch {
                                    fates.append("\(error.code) \(error.fate)")
                                }
                            }
                        }
                    }
                }
            }
            // At least 20 cuts, and until one met a command that had been written.
            var cuts = 0
            while cuts < 20 || (cuts < 400 && !fates.all.contains("connectionLost unknown")) {
                cuts += 1
                try await Task.sleep(for: .milliseconds(30))
                if let session = client.session {
                    _ = try? await server.command("CLIENT", "KILL", "ID", "\(session.clientID)")
                }
            }
            stop.append(true)
            await senders.value
            #expect(Set(fates.all).isSubset(of: ["connectionLost unknown", "connectionLost notSent"]))
            #expect(fates.all.contains("connectionLost unknown"))
        }
        await server.stop()
    }

    @Test func aServerThatRestarts() async throws {
        let server = try await RedisServer.start()
        for url in [server.url, server.tcpURL] {
            try await withClient(url) { client in
                try await client.waitUntilReady()
                server.kill()
                // While it is down commands fail within the connect time-out and have not been sent.
                try await eventually("lost") { client.session == nil }
                let time = await ContinuousClock().measure {
                    await #expect { try await client.command("PING") } throws: {
                        ($0 as? RedisError)?.code == .connectFailed && ($0 as? RedisError)?.fate == .notSent
                    }
                }
                #expect(time < .milliseconds(1500))
                try await server.restart()
                try await eventually("back") { (try? await client.command("PING"))?.text == "PONG" }
            }
        }
        await server.stop()
    }

    @Test func waitingForAServerThatIsNotThereYet() async throws {
        let server = try await RedisServer.start()
        server.kill()
        try await withClient(server.url) { client in
            let error = await #expect(throws: RedisError.self) {
                try await client.waitUntilReady(for: .milliseconds(200))
            }
            #expect(error?.code == .connectFailed)
            #expect(error?.message.contains("no such socket") == true || error?.message.contains("refused") == true)
            let cancelled = Task { try await client.waitUntilReady() }
            cancelled.cancel()
            await #expect { try await cancelled.value } throws: { ($0 as? RedisError)?.code == .cancelled }
            async let ready: Void = client.waitUntilReady()
            try await server.restart()
            try await ready
            #expect(client.session != nil)
        }
        await server.stop()
    }

    @Test func preparationComesBeforeEverybodyElse() async throws {
        let server = try await RedisServer.start()
        let prepare: RedisClient.Prepare = { session in
            session.send(Pipeline("RPUSH", "log", "prepare \(session.number)"))
                .flatMap { _ in session.send(Pipeline("RPUSH", "log", "prepared \(session.number)")) }
                .map { _ in }
        }
        try await withClient(server.url, prepare: prepare) { client in
            _ = try await client.command("RPUSH", "log", "first")
            client.disconnect(reason: "a test")
            try await eventually("another session") { client.session?.number == 2 }
            _ = try await client.command("RPUSH", "log", "second")
            let log = try await client.command("LRANGE", "log", "0", "-1").array?.compactMap(\.text)
            #expect(log == ["prepare 1", "prepared 1", "first", "prepare 2", "prepared 2", "second"])
        }
        await server.stop()
    }

    @Test func aPreparationThatFailsIsTriedAgainOnAnotherConnection() async throws {
        let server = try await RedisServer.start()
        let sessions = Record<UInt64>()
        let prepare: RedisClient.Prepare = { session in
            sessions.append(session.number)
            return session.number < 3
                ? session.eventLoop.makeFailedFuture(RedisError.server("ERR not today"))
                : session.eventLoop.makeSucceededVoidFuture()
        }
        try await withClient(server.url, prepare: prepare) { client in
            try await client.waitUntilReady()
            #expect(client.session?.number == 3)
            #expect(sessions.all == [1, 2, 3])
        }
        await server.stop()
    }

    /// A script that runs for long is no reason to leave: the worker has named itself and is seen to be alive.
    @Test func aPreparationThatRedisIsTooBusyForIsRepeatedOnTheSameConnection() async throws {
        let server = try await RedisServer.start()
        let sessions = Record<UInt64>()
        let prepare: RedisClient.Prepare = { session in
            sessions.append(session.number)
            return sessions.all.count < 4
                ? session.eventLoop.makeFailedFuture(RedisError.server("LOADING Redis is loading"))
                : session.eventLoop.makeSucceededVoidFuture()
        }
        try await withClient(server.url, prepare: prepare) { client in
            try await client.waitUntilReady()
            #expect(client.session?.number == 1)
            #expect(sessions.all == [1, 1, 1, 1])
        }
        await server.stop()
    }

    @Test func aReplicaIsLeftAtOnce() async throws {
        let server = try await RedisServer.start()
        try await withClient(server.url) { client in
            try await client.waitUntilReady()
            _ = try await server.command("REPLICAOF", "127.0.0.1", "1")
            await #expect { try await client.command("SET", "a", "1") } throws: {
                ($0 as? RedisError)?.serverCode == "READONLY" && ($0 as? RedisError)?.fate == .answered
            }
            try await eventually("another session") { (client.session?.number ?? 0) > 1 }
            _ = try await server.command("REPLICAOF", "NO", "ONE")
            #expect(try await client.command("SET", "a", "1").text == "OK")
        }
        await server.stop()
    }

    /// The server ends idle connections after a second; the heartbeat keeps this one.
    @Test func theHeartbeat() async throws {
        // Without beats the server would hang up before so many of them.
        let server = try await RedisServer.start(options: ["--timeout", "3"])
        let beats = Record<Int>()
        try await withClient(
            server.url,
            heartbeat: {
                beats.append(1)
                var pipeline = Pipeline()
                pipeline.command("INCR", "beats")
                pipeline.command("NO-SUCH")
                return pipeline
            },
            configure: { $0.heartbeatInterval = .milliseconds(200) }
        ) { client in
            try await client.waitUntilReady()
            let time = try await ContinuousClock().measure { try await eventually("beats") { beats.all.count >= 25 } }
            #expect(client.session?.number == 1)
            #expect(time >= .seconds(4), "25 beats, one in 200 ms at most")
            let count = try await client.command("GET", "beats").int ?? 0
            #expect(abs(Int(count) - beats.all.count) <= 1)
        }
        await server.stop()
    }

    /// What was read after a gap is out of date and must reach nobody.
    @Test func aStalledEventLoopReadsNothingOld() async throws {
        let server = try await RedisServer.start()
        try await withClient(server.url, configure: { $0.stallLimit = .milliseconds(200) }) { client in
            try await client.waitUntilReady()
            let claim = Task { try await client.command("BLPOP", "list", "0") }
            try await eventually("blocked") {
                try await server.command("INFO", "clients").text?.contains("blocked_clients:1") == true
            }
            let frozen = Task {
                try await client.eventLoop.submit {
                    let end = ContinuousClock.now + .milliseconds(600)
                    while ContinuousClock.now < end {}
                }.get()
            }
            try await Task.sleep(for: .milliseconds(100))
            let pusher = Task { try await server.command("RPUSH", "list", "old") }
            await #expect { try await claim.value } throws: {
                ($0 as? RedisError)?.code == .connectionLost && ($0 as? RedisError)?.fate == .unknown
            }
            try await frozen.value
            _ = try await pusher.value
            try await eventually("another session") { client.session?.number == 2 }
            #expect(try await client.command("PING").text == "PONG")
        }
        await server.stop()
    }
}
