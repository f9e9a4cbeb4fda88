import Foundation
import TestSupport

/// Row N9: what answers is no Redis.
enum WrongServer {
    static let all: [(name: String, answer: FakeServer.Answer)] = [
        ("HTTP", .text("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")),
        ("TLS", .bytes([0x15, 3, 1, 0, 2, 2, 40])),
        ("a negative length", .text("$-2\r\n")), ("an endless array", .text("*2147483647\r\n")),
        ("a negative array", .text("*-5\r\n")),
        ("a number out of range", .text(":99999999999999999999\r\n")),
        ("an endless string", .text("$999999999999\r\n")),
        ("an error", .text("-ERR go away\r\n")), ("an error of RESP3", .text("!5\r\nERR x\r\n")),
        ("a map", .text("%1\r\n+a\r\n+b\r\n")),
        ("a push", .text(">1\r\n+a\r\n")), ("null of RESP3", .text("_\r\n")),
        ("NULs", .bytes(Array(repeating: 0, count: 1000))),
        ("every byte", .bytes(Array(0...255))),
        ("a line without an end", .bytes(Array(repeating: 0x2B, count: 1 << 20))),
        ("too many replies", .text(String(repeating: "+OK\r\n", count: 100_000))),
        ("only line ends", .text("\r\n\r\n")),
        ("deep arrays", .text(String(repeating: "*1\r\n", count: 100_000))), ("a hang-up", .close),
        ("silence", .silence),
    ]
}

extension Drill {
    /// No program traps; one that only asks gives up and says why, one that stays tries again, and ends when it is told to.
    static func wrongServers(_ run: DrillRun) async throws {
        let servers = some(Array(WrongServer.all.indices), run)
        let findings = try await concurrently(servers, lanes: 4) { _, index in
            let (name, answer) = WrongServer.all[index]
            var findings: [String] = []
            for isLate in [false, true] {
                // At once, or after a handshake as with a Redis.
                let server = try await FakeServer.start { _, command in
                    isLate ? FakeServer.handshake(command) ?? answer : answer
                }
                findings += try await ask(server, isLate: isLate).map { "\(name)\(isLate ? ", later" : ""): \($0)" }
            }
            return findings
        }
        run.figure("wrong servers", 2 * servers.count, atLeast: 2 * servers.count)
        run.none("programs that did not bear them", findings.flatMap(\.self))
    }

    private static func ask(_ server: FakeServer, isLate: Bool) async throws -> [String] {
        var wrong: [String] = []
        let outcome = try await Program.run("bg-cli", ["status", "-r", server.url, "--connect-timeout", "0.5"])
        guard case .status(let code) = outcome.exit, code != 0, !outcome.error.isEmpty else {
            return ["bg-cli: \(outcome.exit), \(outcome.error.prefix(200))"]
        }
        let options = ["-r", server.url, "--connect-timeout", "0.5"]
        for (name, more) in [("test-worker", ["--heartbeat", "0.2", "--dead-after", "0.6"]), ("bg-watcher", [])] {
            let connections = server.connectionCount
            let program = try Program(name, options + more)
            try await eventually("\(name) connects") { !program.isRunning || server.connectionCount > connections }
            // Those that a server refuses outright end by themselves; the others are to be there still. After a handshake they may
            // bear what they hear, without another connection, for as long as they like.
            do {
                try await eventually("it has tried again", within: .seconds(isLate ? 2 : 60)) {
                    !program.isRunning || server.connectionCount > connections + 1
                }
            } catch {
                if !isLate { wrong.append("\(name): \(error)") }
            }
            program.signal(SIGTERM)
            let exit = try await program.exit()
            guard case .status = exit else {
                wrong.append("\(name): \(exit), \(program.log.suffix(200))")
                continue
            }
        }
        return wrong
    }
}
