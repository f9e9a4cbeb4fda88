import BackgroundJobs
import BackgroundJobsBenchmarking
import Foundation

/// What all benchmarks stand on: a Redis, and processes that work on it.
struct Stage: Sendable {
    let url: String
    let isQuick: Bool
    let runs: Int
    let yardstick: Yardstick
    let queue = "default"

    init(url: String, isQuick: Bool, runs: Int) throws {
        self.url = url
        self.isQuick = isQuick
        self.runs = runs
        yardstick = try Yardstick(redis: RedisOptions(url: url))
    }

    /// How much of something: all, or little.
    func volume(_ full: Int, quick: Int) -> Int { isQuick ? quick : full }

    func manager() throws -> Manager { try Manager(redis: RedisOptions(url: url), logger: .warnings) }

    /// Starts a worker in a process of its own.
    func worker(
        _ fibers: Int,
        queues: String = "default",
        at url: String? = nil,
        endsWhenEmpty: Bool = false
    ) throws -> Child {
        let flags = endsWhenEmpty ? ["--ends-when-empty"] : []
        return try Child([Work.word, "--redis", url ?? self.url, "--fibers", "\(fibers)", "--queues", queues] + flags)
    }

    /// Starts a watcher in a process of its own.
    func watcher(at url: String? = nil, keep: Int? = nil) throws -> Child {
        try Child([Watch.word, "--redis", url ?? self.url] + (keep.map { ["--keep", "\($0)"] } ?? []))
    }

    /// Waits until something is so; looks every few ms.
    func until(
        _ what: String,
        every pause: Duration = .milliseconds(5),
        within limit: Duration = .seconds(300),
        _ isSo: () async throws -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + limit
        while try await !isSo() {
            guard ContinuousClock.now < deadline else { throw Failure("Not within \(limit): \(what).") }
            try await Task.sleep(for: pause)
        }
    }

    /// The number of attempts that completed.
    func completed() async throws -> Int { try await yardstick.integer("ZCARD", "bg:completed:\(queue)") }

    // MARK: Draining a queue

    /// How a queue was drained.
    struct Drained {
        /// Jobs a second, by the server's clock.
        var rate: Double
        /// CPU time a job.
        var redisMicroseconds: Double
        var workerMicroseconds: Double
        /// Jobs a call of the script.
        var batch: Double
    }

    /// Fills the emptied server, and has workers drain the queue.
    func drained(
        _ jobs: Int,
        fibers: Int,
        processes: Int = 1,
        through proxy: String? = nil,
        with filling: Yardstick.Filling = Yardstick.Filling()
    ) async throws -> Drained {
        try await yardstick.flush()
        try await yardstick.fill(queue, jobs: jobs, with: filling)
        return try await drain(jobs, fibers: fibers, processes: processes, through: proxy)
    }

    /// Has workers drain a queue that holds so many jobs.
    func drain(
        _ jobs: Int,
        fibers: Int,
        processes: Int = 1,
        through proxy: String? = nil
    ) async throws -> Drained {
        try await yardstick.resetStatistics()
        let (since, before) = (try await yardstick.serverTime(), try await yardstick.cpuSeconds())
        let children = try (0..<processes).map { _ in try worker(fibers, at: proxy, endsWhenEmpty: true) }
        var workers = 0.0
        for child in children { workers += try await child.end().cpu }
        let cpu = try await yardstick.cpuSeconds() - before
        let calls = try await yardstick.commands().first { $0.name == "evalsha" }?.calls ?? 0
        let span = try await yardstick.span(queue, since: since)
        guard span.count == jobs else { throw Failure("The worker completed \(span.count) of \(jobs) jobs.") }
        return Drained(
            rate: span.rate,
            redisMicroseconds: cpu / Double(jobs) * 1e6,
            workerMicroseconds: workers / Double(jobs) * 1e6,
            batch: Double(jobs) / Double(max(1, calls))
        )
    }

    /// Fills the emptied server, and has the bare client drain the queue: jobs a second.
    func ceiling(
        _ jobs: Int,
        batch: Int = 64,
        scripts: Yardstick.Scripts = .own,
        with filling: Yardstick.Filling = Yardstick.Filling()
    ) async throws -> Double {
        try await yardstick.flush()
        try await yardstick.fill(queue, jobs: jobs, with: filling)
        let since = try await yardstick.serverTime()
        try await yardstick.ceiling(queue, jobs: jobs, batch: batch, scripts: scripts)
        return try await yardstick.span(queue, since: since).rate
    }
}
