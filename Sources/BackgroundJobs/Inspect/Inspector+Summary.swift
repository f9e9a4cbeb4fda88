import BackgroundRedis
import Foundation

extension Inspector {
    /// What there is in all, of each queue and of each worker, and what has happened since the beginning.
    ///
    /// - Throws: ``BackgroundError``.
    public func summary() async throws(BackgroundError) -> SystemSummary {
        let status = try await status()
        let workers = try await workers()
        let counters = try await counters(of: status.queues.map(\.name))
        let queues = zip(status.queues, counters).map { QueueSummary(status: $0, counters: $1) }
        let names = Set(status.queues.map(\.name) + workers.flatMap(\.queues)).sorted()
        let runs = try await runs(on: names)
        let named = if let runs { try await withClasses(runs) } else { [WorkerRun]?.none }
        let summaries = workers.map { worker in
            let own = named?.filter { $0.node == worker.node }
                .sorted { ($0.since ?? .distantFuture, $0.attempt) < ($1.since ?? .distantFuture, $1.attempt) }
            return WorkerSummary(worker: worker, running: own)
        }
        return SystemSummary(status, queues, summaries)
    }

    /// The counters of queues; what is no number in them is left out.
    private func counters(of queues: [String]) async throws(BackgroundError) -> [[String: Int]] {
        var pipeline = Pipeline()
        for queue in queues { pipeline.command("HGETALL", keys.statistics(queue)) }
        return try await read(pipeline).map { reply in
            var fields = HashFields(all: reply.array ?? [])
            var counters: [String: Int] = [:]
            for name in fields.rest().keys { counters[name] = fields.int(name) }
            return counters
        }
    }

    private func withClasses(_ runs: [WorkerRun]) async throws(BackgroundError) -> [WorkerRun] {
        var pipeline = Pipeline()
        for run in runs { pipeline.command("HGET", keys.job(run.job ?? ""), "cls") }
        return zip(runs, try await read(pipeline)).map { run, reply in
            var run = run
            run.className = reply.text
            return run
        }
    }
}
