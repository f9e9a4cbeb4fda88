import BackgroundJobs
import BackgroundRedis
import Logging
import NIOPosix
import TestSupport
import Testing

struct OnyxJob: Job {
    func perform(_ context: JobContext) async throws {}
}

struct OnyxJobWithArguments: Job {
    enum CodingKeys: CodingKey { case foo, bar }

    var foo: String
    var bar: Int
    /// Not an argument.
    var ignored = 0

    func perform(_ context: JobContext) async throws {}
}

struct ArgumentError: Error {}

struct OnyxFailure: Job {
    func perform(_ context: JobContext) async throws { throw ArgumentError() }
}

/// A Redis, a manager, and what Onyx's own tests have besides.
final class Onyx: Sendable {
    let server: RedisServer
    let records: Records
    let manager: Manager
    /// How many jobs have been performed.
    let performed = TestSupport.Counter()
    private let quiet = Logger(label: "onyx", factory: { _ in SwiftLogNoOpLogHandler() })

    init() async throws {
        server = try await RedisServer.start(tcp: false)
        records = try Records(url: server.url)
        manager = try Manager(redis: RedisOptions(url: server.url, connectTimeout: .seconds(30)), logger: quiet)
    }

    func close() async {
        await manager.close()
        await records.close()
        await server.stop()
    }

    @discardableResult
    func enqueueDelayed() async throws -> String {
        try await manager.enqueue(
            OnyxJobWithArguments(foo: "baz", bar: 42, ignored: 43),
            in: .seconds(60),
            queue: "non-default"
        ).id
    }

    func worker() throws -> Worker {
        var jobs = JobRegistry()
        jobs.register("OnyxJob") { [performed] (job: OnyxJob, context: JobContext) in
            performed.next()
        }
        jobs.register(OnyxFailure.self)
        return try Worker(
            WorkerOptions(queues: .strict(["default"])),
            redis: RedisOptions(url: server.url, connectTimeout: .seconds(30)),
            jobs: jobs,
            logger: quiet
        )
    }

    func watcher() throws -> Watcher {
        try Watcher(
            WatcherOptions(interval: .milliseconds(100), grace: .milliseconds(500)),
            redis: RedisOptions(url: server.url, connectTimeout: .seconds(30)),
            logger: quiet
        )
    }

    func working(_ body: @escaping @Sendable () async throws -> Void) async throws {
        try await worker().withRunning(body)
    }

    func watching(_ body: @escaping @Sendable () async throws -> Void) async throws {
        let watcher = try watcher()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await watcher.run() }
            defer { watcher.stop() }
            try await body()
        }
    }

    func connected(_ name: String) async throws {
        try await eventually("\(name) is connected") { try await !records.clients(named: name).isEmpty }
    }

    /// Two attempts of a worker whose connection then ends, as that of a killed process does.
    func leaveTwoAttempts() async throws -> Set<String> {
        let node = Node()
        let client = RedisClient(
            RedisConfiguration(
                url: try RedisURL(server.url),
                clientName: ClientName.worker("bg", node: node, fibers: 2, queues: ["default"])
            ),
            eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
            logger: quiet
        )
        try await client.waitUntilReady()
        try await manager.enqueue(contentsOf: [OnyxJob(), OnyxJob()])
        let offered: [String] = [.randomUUID(), .randomUUID()]
        let claimed = try await RedisStore(client: client, namespace: "bg").exchange(
            [],
            Claim(wanted: 2, queues: ["default"], offered: offered),
            as: Voucher(node: "\(node)", client: client.session?.clientID ?? 0)
        )
        #expect(claimed.jobs.count == 2)
        await client.close()
        return Set(offered)
    }
}

func withOnyx(_ body: (Onyx) async throws -> Void) async throws {
    let onyx = try await Onyx()
    do {
        try await body(onyx)
    } catch {
        await onyx.close()
        throw error
    }
    await onyx.close()
}

/// Runs a job to its end and hands over the attempt's ID.
func withAttempt<J: Job>(of job: J, _ body: @escaping @Sendable (Onyx, String) async throws -> Void) async throws {
    try await withOnyx { onyx in
        try await onyx.working {
            let id = try await onyx.manager.enqueue(job).id
            let attempt = try await eventually("the attempt has ended") { () -> String? in
                guard let last = try await onyx.records.job(id)["las"] else { return nil }
                return try await onyx.records.attempt(last)["fin"] == nil ? nil : last
            }
            try await body(onyx, attempt)
        }
    }
}

/// Lets a worker vanish under the eyes of a watcher, and waits until its attempts are no longer processing.
func withGoneWorker(
    _ body: @escaping @Sendable (Onyx, Set<String>, _ gone: ContinuousClock.Instant) async throws -> Void
) async throws {
    try await withOnyx { onyx in
        try await onyx.watching {
            try await onyx.connected("bg-watcher:")
            // Longer than the watcher's grace: before, it judges nobody.
            try await Task.sleep(for: .milliseconds(700))
            let attempts = try await onyx.leaveTwoAttempts()
            let gone = ContinuousClock.now
            try await eventually("they have failed") { try await onyx.records.failed().count == 2 }
            try await body(onyx, attempts, gone)
        }
    }
}
