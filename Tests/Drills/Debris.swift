import BackgroundJobs
import TestSupport

/// What others have left behind in a queue, and a watcher is to put right: a job that is due, an ID in `handoff`, an attempt
/// of a worker that is gone, and an old record.
enum Debris {
    private static let due = "due", handed = "handed", orphan = "orphan", attempt = "attempt-of-nobody"

    static func leave(_ records: Records) async throws {
        let keys = records.keys
        let queue = "default"
        func job(_ id: String, _ more: String...) -> [String] {
            ["HSET", keys.job(id), "que", queue, "cls", LocalSystem.jobClass, "arg", "{}", "qat", "1"] + more
        }
        try await records.send([
            ["MULTI"], ["SADD", keys.queues, queue],
            job(due, "pat", "2"), ["ZADD", keys.scheduled(queue), "2", due],
            job(handed), ["RPUSH", keys.handoff(queue), handed],
            job(orphan, "att", "1", "las", attempt),
            [
                "HSET", keys.attempt(attempt), "sta", "1", "job", orphan, "wrk", "1000000", "que", queue, "num", "1",
                "nod", "gone-1-00000000",
            ],
            ["SADD", keys.processing(queue), attempt], ["EXEC"],
        ])
    }

    /// Whether all of it is where it belongs.
    static func isGone(_ records: Records) async throws -> Bool { try await faults(records).isEmpty }

    /// What is not where it belongs: the three jobs wait to be run, and the attempt has failed.
    static func faults(_ records: Records) async throws -> [String] {
        let keys = records.keys
        var wrong: [String] = []
        let ready = try await records("LRANGE", keys.ready("default"), "0", "-1").texts
        if ready.sorted() != [due, handed, orphan].sorted() { wrong.append("in ready: \(ready)") }
        if try await records.failed() != [attempt] { wrong.append("failed: \(try await records.failed())") }
        let others = try await records.send([
            ["LLEN", keys.handoff("default")], ["ZCARD", keys.scheduled("default")],
            ["SCARD", keys.processing("default")],
            ["LLEN", keys.suspects("default")],
        ]).map(\.int)
        if others != [0, 0, 0, 0] { wrong.append("in handoff, scheduled, processing, suspects: \(others)") }
        return wrong
    }

    static let jobs = [due, handed, orphan]
}
