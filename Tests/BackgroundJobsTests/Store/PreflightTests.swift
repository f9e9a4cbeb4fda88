import Logging
import Synchronization
import TestSupport
import Testing

@testable import BackgroundJobs

@Suite("A look at a Redis before work begins", .timeLimit(.minutes(20)))
struct PreflightTests {
    private static let info = "redis_version:7.2.0\r\nrole:master\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n"

    /// Looks at a server that answers `get` to the nth question for the protocol's version.
    private func look(_ get: @escaping @Sendable (Int) -> FakeServer.Answer) async throws -> Int {
        let asked = Mutex(0)
        let server = try await FakeServer.start { _, command in
            if let answer = FakeServer.handshake(command) { return answer }
            switch command[0].uppercased() {
            case "INFO": return .text("$\(Self.info.utf8.count)\r\n\(Self.info)\r\n")
            case "GET":
                return get(
                    asked.withLock { asked in
                        asked += 1
                        return asked
                    }
                )
            case "EVALSHA": return .text("*0\r\n")
            case "SCRIPT": return .text("$40\r\n\(String(repeating: "a", count: 40))\r\n")
            default: return .text("+OK\r\n")
            }
        }
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        do {
            try await Preflight(RedisOptions(url: server.url, connectTimeout: .seconds(30)), logger: logger)
                .check(Rights.watcher(Keys(namespace: "bg")), allowsEviction: false)
        } catch {
            await server.stop()
            throw error
        }
        await server.stop()
        return asked.withLock { $0 }
    }

    @Test(
        "a Redis that can't answer yet is asked again",
        arguments: [
            "-LOADING Redis is loading the dataset in memory\r\n", "-BUSY Redis is busy running a script\r\n",
            "-MASTERDOWN Link with MASTER is down\r\n", nil,
        ]
    )
    func notYet(reply: String?) async throws {
        let asked = try await look { count in
            count < 3 ? reply.map { .text($0) } ?? .close : .text("$1\r\n1\r\n")
        }
        #expect(asked == 3)
    }

    @Test("what can't be mended by waiting ends it", arguments: ["-NOPERM no\r\n", "$1\r\n2\r\n"])
    func unsuitable(reply: String) async throws {
        let asked = TestSupport.Counter()
        await #expect {
            try await look { _ in
                asked.next()
                return .text(reply)
            }
        } throws: { error in
            [.notPermitted, .unsuitable].contains((error as? BackgroundError)?.code)
        }
        #expect(asked.value == 1)
    }

    @Test("it can be cancelled while it waits")
    func cancelled() async throws {
        let asked = TestSupport.Counter()
        let looking = Task {
            try await look { _ in
                asked.next()
                return .text("-LOADING Redis is loading the dataset in memory\r\n")
            }
        }
        try await eventually("asked twice") { asked.value >= 2 }
        looking.cancel()
        await #expect(throws: (any Error).self) { try await looking.value }
    }
}
