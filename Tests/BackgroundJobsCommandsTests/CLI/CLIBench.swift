import BackgroundJobs
import Foundation
import TestSupport
import Testing

/// Everything that runs the built `bg-cli`.
@Suite("bg-cli", .serialized, .timeLimit(.minutes(20))) struct CLI {}

/// A namespace of its own on a Redis that the tests share, and `bg-cli` as a process of its own.
final class CLIBench: Sendable {
    private static let starting = Task { try await RedisServer.start(tcp: false) }

    let server: RedisServer
    let namespace = "t\(UInt32.random(in: 0 ... .max))"
    let records: Records
    let manager: Manager

    private init(_ server: RedisServer) throws {
        self.server = server
        records = try Records(url: server.url, namespace: namespace)
        manager = try Manager(redis: RedisOptions(url: server.url, namespace: namespace, connectTimeout: .seconds(60)))
    }

    static func with(_ body: (CLIBench) async throws -> Void) async throws {
        let bench = try CLIBench(try await starting.value)
        do {
            try await body(bench)
        } catch {
            await bench.close()
            throw error
        }
        await bench.close()
    }

    private func close() async {
        await manager.close()
        await records.close()
    }

    // MARK: The program

    /// Runs `bg-cli`; what it needs to find Redis is added.
    func cli(_ arguments: [String], input: String = "") async throws -> Program.Outcome {
        try await Program.run(
            "bg-cli",
            arguments + ["-r", server.url, "-n", namespace, "--connect-timeout", "60s"],
            input: input
        )
    }

    func cli(_ arguments: String..., input: String = "") async throws -> Program.Outcome {
        try await cli(arguments, input: input)
    }

    /// Runs `bg-cli`, which is to succeed without a word on standard error; returns the lines of standard output.
    func lines(
        _ arguments: [String],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> [String] {
        let ran = try await cli(arguments)
        #expect(ran.exit == .status(0), sourceLocation: sourceLocation)
        #expect(ran.error == "", sourceLocation: sourceLocation)
        return ran.lines
    }

    func lines(_ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation) async throws -> [String] {
        try await lines(arguments, sourceLocation: sourceLocation)
    }

    // MARK: What is there

    func key(_ name: String) -> String { "\(namespace):\(name)" }

    /// A job that is dead since then, with one failed attempt, whose ID is `a-` and the job's.
    func dead(
        _ id: String,
        _ className: String = "Mail",
        error: String = "Timeout",
        queue: String = "q",
        at time: Int
    ) async throws {
        try await failed("a-\(id)", of: id, className, error: error, queue: queue, at: time)
        try await records.send([
            ["HSET", key("jobs:\(id)"), "end", "Dead"], ["ZADD", key("dead:\(queue)"), "\(time)", id],
        ])
    }

    /// A failed attempt, which becomes the last one of its job.
    func failed(
        _ attempt: String,
        of job: String,
        _ className: String = "Mail",
        error: String = "Timeout",
        queue: String = "q",
        at time: Int
    ) async throws {
        try await records.send([
            [
                "HSET", key("jobs:\(job)"), "que", queue, "cls", className, "arg", "{}", "qat", "1", "att", "1", "ers",
                "1",
                "las", attempt,
            ],
            [
                "HSET", key("attempts:\(attempt)"), "job", job, "que", queue, "num", "1", "sta", "1", "fin", "2", "err",
                error, "msg", "no such host",
            ],
            ["ZADD", key("failed:\(queue)"), "\(time)", attempt],
        ])
    }

    /// A job that runs on a worker.
    func running(_ id: String, queue: String = "q") async throws {
        try await records.send([
            ["HSET", key("jobs:\(id)"), "que", queue, "cls", "Mail", "qat", "1", "att", "1", "las", "a-\(id)"],
            ["HSET", key("attempts:a-\(id)"), "job", id, "que", queue, "num", "1", "sta", "1", "nod", "n-1-00000000"],
            ["SADD", key("processing:\(queue)"), "a-\(id)"],
        ])
    }

    func ready(_ queue: String = "q") async throws -> [String] {
        try await records("LRANGE", key("ready:\(queue)"), "0", "-1").texts
    }
}
