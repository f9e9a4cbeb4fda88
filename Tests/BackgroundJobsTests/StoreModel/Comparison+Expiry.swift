import BackgroundJobsTesting
import BackgroundRedis

@testable import BackgroundJobs

/// When keys expire. Redis's own clock goes on where the scripts' stands still, so what counts is how long a key was given.
extension Comparison {
    /// The server's own time, in microseconds.
    func time() async throws -> Int64 { try Self.time(try await redis.send("TIME")) }

    private static func time(_ reply: RESPValue) throws -> Int64 {
        let parts = try reply.orThrow().array ?? []
        return (parts.first?.int ?? 0) * 1_000_000 + (parts.last?.int ?? 0)
    }

    /// The keys that were given a time to live in the last step, and another one in Redis than in the model.
    func wrongDeadlines() async throws -> [String] {
        let given = memory.deadlines.filter { deadlines[$0.key] != $0.value }.sorted { $0.key < $1.key }
        guard !given.isEmpty else { return [] }
        var pipeline = Pipeline()
        pipeline.command("MULTI")
        pipeline.command("TIME")
        for (key, _) in given { pipeline.command("PTTL", "\(redis.keys.namespace):\(key)") }
        pipeline.command("TIME")
        pipeline.command("EXEC")
        let replies = try await redis.send(pipeline).last?.orThrow().array ?? []
        guard replies.count == given.count + 2 else { return ["PTTL was answered \(replies)"] }
        let (first, last) = (try Self.time(replies[0]), try Self.time(replies[replies.count - 1]))
        return zip(given, replies.dropFirst()).compactMap { key, reply in
            let (left, time) = (1000 * (reply.int ?? -1), 1000 * (key.value - now))
            // It was given at some moment between the beginning of the step and now, and times are whole milliseconds.
            let isRight = left >= 0 && last + left + 2000 >= began + time && first + left - 2000 <= last + time
            return isRight ? nil : "\(key.key) was to live for \(time / 1000) ms, and has \(left / 1000) left"
        }
    }
}
