import BackgroundJobs
import BackgroundRedis

/// What a bare client reaches, which runs no job.
extension Yardstick {
    /// Which scripts the bare client sends.
    public enum Scripts: Sendable {
        /// The system's own: the ceiling.
        case own
        /// The leanest that write the same records, without any check.
        case leanest
    }

    /// The ceiling: claims and finishes all jobs of a queue on one connection, in batches, two calls in flight.
    public func ceiling(
        _ queue: String,
        jobs: Int,
        batch: Int = 64,
        scripts: Scripts = .own
    ) async throws {
        let voucher = try await voucher(queue, fibers: batch)
        let lean = scripts == .leanest ? try await LeanExchange(store, queue: queue, voucher: voucher) : nil
        try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    var finishes: [Finish] = []
                    var done = 0
                    repeat {
                        done += finishes.count
                        let offered = (0..<batch).map { _ in String.randomUUID() }
                        if let lean {
                            finishes = try await lean.exchange(finishes, offered: offered)
                        } else {
                            finishes = try await exchange(finishes, queue, offered, voucher)
                        }
                    } while !finishes.isEmpty
                    return done
                }
            }
            let done = try await group.reduce(0, +)
            guard done == jobs else { throw Failure("The yardstick finished \(done) of \(jobs) jobs.") }
        }
    }

    /// How long a bare client takes from the call that enqueues a job until it holds it, ms: it waits for the job on one
    /// connection, and claims it on another.
    public func pickUps(_ queue: String, rounds: Int, every pause: Duration) async throws -> [Double] {
        let voucher = try await voucher(queue, fibers: 1)
        let waiter = try Self.client(redis, name: "\(redis.namespace)-yardstick")
        var pipeline = Pipeline()
        pipeline.command("BLMOVE", store.keys.ready(queue), store.keys.handoff(queue), "LEFT", "RIGHT", "30")
        let wait = pipeline
        var times: [Double] = []
        for round in 0..<rounds {
            async let woken = waiter.send(wait)
            try await Task.sleep(for: pause)
            let called = ContinuousClock.now
            async let queued: Void = fill(queue, jobs: 1)
            _ = try await woken
            let finishes = try await exchange([], queue, [.randomUUID()], voucher)
            // The first one finds a connection that is still being made.
            if round > 0 { times.append(called.duration(to: .now).fractionalMilliseconds) }
            guard finishes.count == 1 else {
                throw Failure("The yardstick was handed \(finishes.count) jobs, not one.")
            }
            try await queued
            _ = try await store.exchange(finishes, .none, as: voucher)
        }
        await waiter.close()
        return times
    }

    /// Names this connection as a worker does, so that it may vouch for attempts.
    private func voucher(_ queue: String, fibers: Int) async throws -> Voucher {
        let node = Node(name: "yardstick")
        let name = ClientName.worker(redis.namespace, node: node, fibers: fibers, queues: [queue])
        try await store.send("CLIENT", "SETNAME", name)
        return Voucher(node: "\(node)", client: try await store.send("CLIENT", "ID").int ?? 0)
    }

    private func exchange(
        _ finishes: [Finish],
        _ queue: String,
        _ offered: [String],
        _ voucher: Voucher
    ) async throws -> [Finish] {
        let claim = Claim(wanted: offered.count, queues: [queue], offered: offered)
        return try await store.exchange(finishes, claim, as: voucher).jobs.map {
            Finish(attempt: $0.attempt, queue: queue, job: $0.id, milliseconds: 0.1, ending: .completed)
        }
    }

    /// A yardstick that is no measure.
    struct Failure: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }
}
