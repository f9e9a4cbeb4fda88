import BackgroundJobs
import BackgroundRedis
import Synchronization
import TestSupport

/// A server that shakes hands as a Redis does and answers all else with values that are well formed and mean nothing.
actor WrongReplies {
    static let shared = WrongReplies()

    private final class Chance: Sendable {
        let state = Mutex(SplitMix64(seed: 0))
    }

    private let chance = Chance()
    private var server: FakeServer?

    /// Asks it all that producers and people ask; whatever comes back, each call returns or throws.
    ///
    /// - Returns: nil: there is nothing wrong but to trap, or not to end.
    func answer(by bytes: [UInt8]) async throws -> String? {
        let seed = bytes.reduce(UInt64(5381)) { $0 &* 33 &+ UInt64($1) }
        chance.state.withLock { $0 = SplitMix64(seed: seed) }
        let redis = RedisOptions(url: try await url(), connectTimeout: .milliseconds(200))
        let manager = try Manager(redis: redis, logger: LocalSystem.quiet)
        let inspector = try Inspector(redis: redis, logger: LocalSystem.quiet)
        let calls: [@Sendable () async throws -> Void] = [
            { _ = try await manager.enqueue("Nap", id: "x") },
            {
                _ = try await manager.enqueue(
                    "Nap",
                    in: .seconds(5),
                    options: JobOptions(unique: .unique(for: .seconds(1)))
                )
            },
            { _ = try await manager.dequeue("x") }, { _ = try await manager.cancel("x") },
            { _ = try await inspector.job("x") }, { _ = try await inspector.attempt("x") },
            { _ = try await inspector.status() },
            { _ = try await inspector.workers() }, { _ = try await inspector.summary() },
            { _ = try await inspector.jobs(in: .ready, queue: "q") },
            { _ = try await inspector.jobs(in: .dead, queue: "q") },
            { _ = try await inspector.periodicJobs() }, { _ = try await inspector.retry(["x", "y"]) },
            { _ = try await inspector.prunable() }, { _ = try await inspector.delete(["x"], from: .dead, queue: "q") },
        ]
        // One of them each time, since a good many wait for a server that says it is loading.
        try? await calls[Int(seed % UInt64(calls.count))]()
        await manager.close()
        await inspector.close()
        return nil
    }

    private func url() async throws -> String {
        if let server { return server.url }
        let server = try await FakeServer.start { [chance] _, command in
            if let answer = FakeServer.handshake(command) { return answer }
            return .text(chance.state.withLock { Self.value(&$0, depth: 0) })
        }
        self.server = server
        return server.url
    }

    private static func value(_ random: inout SplitMix64, depth: Int) -> String {
        let texts = [
            "", "x", "-1", "1795000000000", "9223372036854775807", "99999999999999999999", "nan", "1e400", "yours",
            "running",
            "redis_version:7.0.15\r\nrole:master\r\nrun_id:a", "id=1 name=bg-worker:a-1-00000000:5:q db=0 idle=0",
            "\u{202E}", "{}", "0",
        ]
        switch Int.random(in: 0...(depth > 3 ? 4 : 7), using: &random) {
        case 0: return "$-1\r\n"
        case 1:
            let numbers: [Int64] = [0, 1, -1, .max, .min, 1_795_000_000_000, 2, 7]
            return ":\(numbers.randomElement(using: &random) ?? 0)\r\n"
        case 2, 3:
            let text = texts.randomElement(using: &random) ?? ""
            return "$\(text.utf8.count)\r\n\(text)\r\n"
        case 4:
            let errors = [
                "ERR wrong", "WRONGTYPE of a value", "NOPERM no", "OOM full", "READONLY you", "NOSCRIPT no",
                "EXECABORT x",
            ]
            return "-\(errors.randomElement(using: &random) ?? "ERR")\r\n"
        default:
            let count = Int.random(in: 0...9, using: &random)
            return "*\(count)\r\n" + (0..<count).map { _ in value(&random, depth: depth + 1) }.joined()
        }
    }
}
