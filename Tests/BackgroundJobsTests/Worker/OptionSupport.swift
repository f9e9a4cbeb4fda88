import BackgroundJobs
import Logging
import Synchronization
import TestSupport

/// A manager, a worker and a watcher of one process on a Redis of their own.
struct OptionStage: Sendable {
    let server: RedisServer
    let manager: Manager
    let records: Records
    let redis: RedisOptions

    init(server: RedisServer) throws {
        self.server = server
        redis = RedisOptions(url: server.url, connectTimeout: .seconds(30))
        manager = try Manager(redis: redis, logger: Self.quiet)
        records = try Records(url: server.url)
    }

    /// Runs `body` while a worker and a watcher run these jobs.
    static func with(
        _ jobs: JobRegistry,
        options: WorkerOptions? = nil,
        _ body: @escaping @Sendable (OptionStage) async throws -> Void
    ) async throws {
        try await withServer { stage in
            try await stage.working(jobs, options: options) { try await body(stage) }
        }
    }

    /// Runs `body` while nobody works.
    static func withServer(_ body: (OptionStage) async throws -> Void) async throws {
        let server = try await RedisServer.start(tcp: false)
        let stage = try OptionStage(server: server)
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await body(stage))
        } catch {
            outcome = .failure(error)
        }
        await stage.manager.close()
        await stage.records.close()
        await server.stop()
        try outcome.get()
    }

    func working(
        _ jobs: JobRegistry,
        options: WorkerOptions? = nil,
        _ body: @escaping @Sendable () async throws -> Void
    ) async throws {
        let options = try options ?? WorkerOptions(queues: .strict(["default", "slow"]), fibers: 10)
        let worker = try Worker(options, redis: redis, jobs: jobs, logger: quiet)
        let watcher = try Watcher(WatcherOptions(interval: .milliseconds(50)), redis: redis, logger: quiet)
        try await watcher.withRunning { try await worker.withRunning(body) }
    }

    /// Waits until the job has ended for good; returns its hash.
    @discardableResult
    func ended(_ job: String, as end: String) async throws -> [String: String] {
        try await eventually("\(job) ends as \(end)") {
            let fields = try await records.job(job)
            return fields["end"] == end ? fields : nil
        }
    }

    func completed(_ job: String) async throws {
        try await eventually("\(job) completes") {
            guard let last = try await records.job(job)["las"] else { return false }
            let attempt = try await records.attempt(last)
            return attempt["fin"] != nil && attempt["err"] == nil
        }
    }

    func errors(of job: String) async throws -> [String?] {
        try await records.attempts(of: job).map { $0["err"] }
    }

    private static var quiet: Logger { Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }) }
    private var quiet: Logger { Self.quiet }
}

/// What jobs have told, in order.
final class Told: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }
    func tell(_ line: String) { lines.withLock { $0.append(line) } }
}

struct Broken: Error, CustomStringConvertible {
    var description = "it is broken"
}
