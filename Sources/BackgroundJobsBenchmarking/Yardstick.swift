public import BackgroundJobs
import BackgroundRedis
import Logging
import NIOPosix

/// What the benchmarks need of the system's inside: jobs made ready in bulk, and the ceiling.
///
/// A product with an underscore: not for users.
public struct Yardstick: Sendable {
    private let store: RedisStore

    /// Connects to the Redis that is measured.
    public init(redis: RedisOptions) throws {
        let client = RedisClient(
            try redis.configuration(clientName: "\(redis.namespace)-manager"),
            eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
            logger: Logger(label: "yardstick", factory: { _ in SwiftLogNoOpLogHandler() })
        )
        store = RedisStore(client: client, namespace: redis.namespace)
    }

    /// Empties the server.
    public func flush() async throws {
        try await store.send("FLUSHALL")
    }

    /// Queues so many jobs of the class `Noop`, with the arguments `{"n":i}`.
    public func fill(_ queue: String, jobs: Int) async throws {
        for start in stride(from: 0, to: jobs, by: 1000) {
            try await store.enqueue(
                (start..<min(start + 1000, jobs)).map { n in
                    NewJob(id: .randomUUID(), queue: queue, className: "Noop", arguments: Array("{\"n\":\(n)}".utf8))
                }
            )
        }
    }

    /// The number of attempts that completed.
    public func completed(_ queue: String) async throws -> Int {
        Int(try await store.send("ZCARD", store.keys.completed(queue)).int ?? 0)
    }

    /// How late each of these jobs began, in ms by the server's clock: the start of its attempt less its planned time.
    public func lateness(of jobs: [String]) async throws -> [Double] {
        var result: [Double] = []
        for start in stride(from: 0, to: jobs.count, by: 500) {
            let page = jobs[start..<min(start + 500, jobs.count)]
            var pipeline = Pipeline()
            for job in page { pipeline.command("HMGET", store.keys.job(job), "pat", "las") }
            let records = try await store.send(pipeline).map { $0.array ?? [] }
            pipeline = Pipeline()
            for record in records { pipeline.command("HGET", store.keys.attempt(record[1].text ?? ""), "sta") }
            for (record, begun) in zip(records, try await store.send(pipeline)) {
                guard let planned = record[0].int, let begun = begun.int else { continue }
                result.append(Double(begun - planned))
            }
        }
        return result
    }

    /// CPU time that Redis has spent, in seconds.
    public func cpuSeconds() async throws -> Double {
        let info = ServerInfo(try await store.send("INFO", "cpu").text ?? "")
        return (Double(info["used_cpu_user"]) ?? 0) + (Double(info["used_cpu_sys"]) ?? 0)
    }

    /// Forgets what was counted so far.
    public func resetStatistics() async throws {
        try await store.send("CONFIG", "RESETSTAT")
    }

    /// How many scripts were called since.
    public func scriptCalls() async throws -> Int {
        let info = ServerInfo(try await store.send("INFO", "commandstats").text ?? "")
        let calls = info["cmdstat_evalsha"].split(separator: ",").first?.dropFirst("calls=".count)
        return calls.flatMap { Int($0) } ?? 1
    }

    /// The ceiling: a bare client sends the very same script on one connection, in batches, two calls in flight, and runs
    /// no job.
    ///
    /// - Returns: how long it took to claim and finish all of them.
    public func ceiling(_ queue: String, jobs: Int, batch: Int = 64) async throws -> Duration {
        try await store.send("CLIENT", "SETNAME", "\(store.keys.namespace)-worker:bench-0-0:\(batch):\(queue)")
        let client = try await store.send("CLIENT", "ID").int ?? 0
        let voucher = Voucher(node: "bench-0-0", client: client)
        let begun = ContinuousClock.now
        try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    var finishes: [Finish] = []
                    var done = 0
                    repeat {
                        let offered = (0..<batch).map { _ in String.randomUUID() }
                        let claim = Claim(wanted: batch, queues: [queue], offered: offered)
                        let reply = try await store.exchange(finishes, claim, as: voucher)
                        done += finishes.count
                        finishes = reply.jobs.map {
                            Finish(attempt: $0.attempt, queue: queue, job: $0.id, milliseconds: 0.1, ending: .completed)
                        }
                    } while !finishes.isEmpty
                    return done
                }
            }
            let done = try await group.reduce(0, +)
            precondition(done == jobs, "the yardstick finished \(done) of \(jobs) jobs")
        }
        return begun.duration(to: .now)
    }

    /// Ends the connection.
    public func close() async {
        await store.client.close()
    }
}
