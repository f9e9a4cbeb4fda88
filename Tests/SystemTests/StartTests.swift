import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// What a worker and a watcher find wrong at their start, and how they say so (rows S8, R9, N7; issue "The programs").
    @Suite("At their start", .serialized)
    struct Starts {
        static let programs = [("bg-worker", ["--demo"]), ("bg-watcher", [])]

        private func start(
            _ program: (String, [String]),
            _ arguments: [String],
            environment: [String: String] = [:]
        ) throws -> Program {
            try Program(program.0, program.1 + arguments, environment: environment)
        }

        @Test(
            "worker and watcher refuse to go on with a wrong password, and don't print it",
            arguments: programs,
            [true, false]
        )
        func wrongPassword(program: (String, [String]), inEnvironment: Bool) async throws {
            let server = try await RedisServer.start(options: ["--requirepass", "right-secret"])
            let url = "redis://:wrong-secret@127.0.0.1:\(server.port)"
            let started =
                inEnvironment
                ? try start(program, ["--verbose"], environment: ["REDIS_URL": url])
                : try start(program, ["--verbose", "--redis", url])
            #expect(try await started.exit() == .status(77))
            #expect(started.log.contains("refused the password"))
            #expect(!started.log.contains("secret"))
            #expect(started.log.split(separator: "\n").last?.hasPrefix("Error: ") == true)
        }

        @Test("a wrong password is told once", arguments: programs)
        func wrongPasswordOnce(program: (String, [String])) async throws {
            let server = try await RedisServer.start(options: ["--requirepass", "right-secret"])
            let started = try start(program, ["--redis", "redis://:wrong-secret@127.0.0.1:\(server.port)"])
            #expect(try await started.exit() == .status(77))
            #expect(started.count(of: "refused the password") == 1)
        }

        @Test("a worker with a watcher in it says once what it finds")
        func preflightOnce() async throws {
            let server = try await RedisServer.start()
            let started = try start(("bg-worker", ["--demo", "--with-watcher"]), ["--redis", server.tcpURL])
            try await started.logged("Working on")
            try await started.logged("Watching")
            #expect(started.count(of: "maxmemory-policy") == 1)
        }

        @Test("a file of settings counts, and one that is wrong is told of", arguments: programs)
        func configuration(program: (String, [String])) async throws {
            let server = try await RedisServer.start()
            let path = server.directory + "/bg.yml"
            let text = "redis: \(server.tcpURL)\nname: told\nworker:\n  queues: [x, y]\nwatcher:\n  queues: [x, y]\n"
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            let started = try start(program, [], environment: ["BG_CONFIG": path])
            try await started.logged(program.0 == "bg-worker" ? "Working on x, y" : "Watching x, y")
            let shown = try await Program.run(program.0, program.1 + ["--config", path, "--print-config"])
            #expect(shown.exit == .status(0) && shown.error == "")
            #expect(
                shown.lines.contains {
                    $0.hasPrefix("queues ") && $0.contains("x,y")
                        && $0.hasSuffix(path + ":\(program.0 == "bg-worker" ? 4 : 6)")
                }
            )
            try "nmae: x".write(toFile: path, atomically: true, encoding: .utf8)
            let wrong = try await Program.run(program.0, program.1 + ["--config", path])
            #expect(wrong.exit == .status(64))
            #expect(wrong.error == "Error: \(path):1: there is no setting nmae. Did you mean name?\n")
        }

        @Test("a file for TLS that is not there is a mistake of the command line", arguments: programs)
        func missingFile(program: (String, [String])) async throws {
            let started = try start(program, ["--redis", "rediss://127.0.0.1:1", "--tls-ca", "/nowhere/ca.pem"])
            #expect(try await started.exit() == .status(64))
            #expect(started.log.contains("--tls-ca /nowhere/ca.pem: there is no such file."))
        }

        @Test("worker and watcher say that the password is missing", arguments: programs)
        func noPassword(program: (String, [String])) async throws {
            let server = try await RedisServer.start(options: ["--requirepass", "right-secret"])
            let started = try start(program, ["--redis", server.tcpURL])
            #expect(try await started.exit() == .status(77))
            #expect(started.log.contains("NOAUTH"))
        }

        @Test("worker and watcher name what their Redis user may not do", arguments: programs)
        func missingRights(program: (String, [String])) async throws {
            let stage = try await Stage()
            try await stage.records(
                "ACL",
                "SETUSER",
                "limited",
                "on",
                ">limited-secret",
                "~*",
                "&*",
                "+@all",
                "-evalsha",
                "-client|kill"
            )
            let url = "redis://limited:limited-secret@127.0.0.1:\(stage.server.port)"
            let started = try start(program, [], environment: ["REDIS_URL": url])
            #expect(try await started.exit() == .status(77))
            #expect(started.log.contains("may not use: EVALSHA, CLIENT KILL"))
            #expect(!started.log.contains("secret"))
        }

        @Test("a worker whose user may not watch does not go on without its watcher")
        func missingRightsOfTheWatcher() async throws {
            let stage = try await Stage()
            try await stage.records(
                "ACL",
                "SETUSER",
                "limited",
                "on",
                ">limited-secret",
                "~*",
                "&*",
                "+@all",
                "-client|list"
            )
            let url = "redis://limited:limited-secret@127.0.0.1:\(stage.server.port)"
            let started = try start(("bg-worker", ["--demo", "--with-watcher"]), [], environment: ["REDIS_URL": url])
            #expect(try await started.exit() == .status(77))
            #expect(started.log.contains("may not use: CLIENT LIST"))
        }

        @Test("worker and watcher that have not even the right to name themselves say so", arguments: programs)
        func noRights(program: (String, [String])) async throws {
            let stage = try await Stage()
            try await stage.records("ACL", "SETUSER", "nobody", "on", ">nobody-secret")
            let url = "redis://nobody:nobody-secret@127.0.0.1:\(stage.server.port)"
            let started = try start(program, [], environment: ["REDIS_URL": url])
            #expect(try await started.exit() == .status(77))
            #expect(started.log.contains("CLIENT SETNAME"))
            #expect(!started.log.contains("secret"))
        }

        @Test("worker and watcher refuse a Redis that evicts jobs, and say why", arguments: programs)
        func eviction(program: (String, [String])) async throws {
            let server = try await RedisServer.start(options: ["--maxmemory-policy", "allkeys-random"])
            let refused = try start(program, ["--redis", server.url])
            #expect(try await refused.exit() == .status(69))
            #expect(refused.log.contains("maxmemory-policy allkeys-random"))
            #expect(refused.log.contains("--allow-eviction"))

            let allowed = try start(program, ["--redis", server.url, "--allow-eviction"])
            try await allowed.logged(program.0 == "bg-worker" ? "Working on" : "Watching")
            #expect(allowed.count(of: "may evict jobs") == 1)
        }

        @Test("worker and watcher refuse a newer protocol", arguments: programs)
        func newerProtocol(program: (String, [String])) async throws {
            let stage = try await Stage()
            try await stage.records("SET", "bg:protocol", "2")
            let refused = try start(program, ["--redis", stage.server.url])
            #expect(try await refused.exit() == .status(69))
            #expect(refused.log.contains("version 2 of the protocol"))
            #expect(try await stage.records("GET", "bg:protocol").text == "2")
        }

        /// Row N7: a supervisor may start them before Redis.
        @Test("worker and watcher wait for a Redis that is not there yet, and say so", arguments: programs)
        func noRedisYet(program: (String, [String])) async throws {
            let server = try await RedisServer.start()
            server.kill()
            let started = try start(program, ["--redis", server.tcpURL])
            let line = try await started.logged("Cannot connect to Redis")
            #expect(line.contains("127.0.0.1:\(server.port)"))
            try await server.restart()
            try await started.logged(program.0 == "bg-worker" ? "Working on" : "Watching")
            #expect(started.count(of: "Cannot connect to Redis") == 1, "said once, not at each try")
        }

        @Test("worker and watcher can be stopped while they wait for Redis", arguments: programs)
        func stoppedBeforeRedis(program: (String, [String])) async throws {
            let port = try FreePort.next()
            let started = try start(program, ["--redis", "redis://127.0.0.1:\(port)"])
            try await started.logged("Cannot connect to Redis")
            started.signal(SIGTERM)
            #expect(try await started.exit(within: .seconds(10)) == .status(0))
        }

        @Test("a worker with nothing to run says what to do")
        func nothingToRun() async throws {
            let started = try Program("bg-worker")
            #expect(try await started.exit() == .status(64))
            #expect(started.log.contains("--handlers DIR"))
        }
    }
}
