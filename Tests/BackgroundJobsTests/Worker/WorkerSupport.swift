import BackgroundJobs
import Foundation
import Logging
import Synchronization
import TestSupport
import Testing

/// Holds back jobs that ignore their cancellation, without a thread, until it is opened.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var waiting: [UnsafeContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func wait() async {
        await withUnsafeContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiting.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }

    func open() {
        let waiting = state.withLock { state in
            state.isOpen = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }
}

/// What jobs did, in their order.
final class Notes: Sendable {
    private let lines = Mutex<[String]>([])

    func add(_ line: String) { lines.withLock { $0.append(line) } }
    var all: [String] { lines.withLock { $0 } }
    func count(_ line: String) -> Int { all.count { $0 == line } }
}

/// Log lines, to be awaited.
struct NotingLogHandler: LogHandler {
    let notes: Notes
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { notes.add("\(event.message)") }
}

/// A Redis, a producer, and jobs of several temperaments.
final class Workshop: Sendable {
    let server: RedisServer
    let records: Records
    let manager: Manager
    let gate = Gate()
    let notes = Notes()
    let log = Notes()

    init() async throws {
        server = try await RedisServer.start(tcp: false)
        records = try Records(url: server.url)
        manager = try Manager(redis: RedisOptions(url: server.url, connectTimeout: .seconds(30)), logger: Self.quiet)
    }

    static let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

    struct None: Codable, Sendable {}
    struct Failure: Error {}

    /// - `Sleeps` ends when it is cancelled, `Ignores` when the gate is opened, `Quick` at once.
    private var jobs: JobRegistry {
        var jobs = JobRegistry()
        jobs.register("Sleeps") { [notes] (_: None, context: JobContext) in
            notes.add("begun \(context.jobID)")
            do {
                try await Task.sleep(for: .seconds(600))
            } catch {
                notes.add("\(context.cancellation.map { "\($0)" } ?? "nothing") \(context.jobID)")
                throw error
            }
        }
        jobs.register("Ignores") { [notes, gate] (_: None, context: JobContext) in
            notes.add("begun \(context.jobID)")
            await gate.wait()
            notes.add("over \(context.jobID)")
        }
        jobs.register("Quick") { [notes] (_: None, context: JobContext) in
            notes.add("begun \(context.jobID)")
        }
        jobs.register(Limited.self)
        jobs.register(Mourned.self)
        return jobs
    }

    /// - Parameter width: how many abandoned jobs it takes to stall it.
    func worker(fibers: Int = 10, killAfter: Duration = .seconds(10), width: Int = 1000) throws -> Worker {
        var options = WorkerOptions(
            queues: try .strict(["default"]),
            fibers: fibers,
            gracePeriod: .zero,
            killAfter: killAfter
        )
        options.poolWidth = width
        let logger = Logger(label: "test") { [log] _ in NotingLogHandler(notes: log) }
        return try Worker(
            options,
            redis: RedisOptions(url: server.url, connectTimeout: .seconds(30)),
            jobs: jobs,
            logger: logger
        )
    }

    func enqueue(_ className: String, _ options: JobOptions = JobOptions()) async throws -> String {
        try await manager.enqueue(className, options: options).id
    }

    func begun(_ job: String, times: Int = 1) async throws {
        try await eventually("\(job) has begun") { notes.count("begun \(job)") >= times }
    }

    /// The IDs in `ready`, the head first.
    func ready() async throws -> [String] {
        try await records("LRANGE", records.keys.ready("default"), "0", "-1").texts
    }

    /// The errors of a job's attempts, the oldest first; waits until so many have ended.
    func errors(of job: String, _ count: Int = 1) async throws -> [String?] {
        try await eventually("\(count) attempts have ended") {
            let attempts = try await records.attempts(of: job)
            return attempts.filter { $0["fin"] != nil }.count >= count ? attempts.map { $0["err"] } : nil
        }
    }

    func nothingIsStuck() async throws {
        try await eventually("nothing is in processing") { try await records.processing().isEmpty }
        #expect(try await invariantViolations(server) == [])
    }
}

func withWorkshop(_ body: @escaping @Sendable (Workshop) async throws -> Void) async throws {
    let workshop = try await Workshop()
    let result: Result<Void, any Error>
    do {
        result = .success(try await body(workshop))
    } catch {
        result = .failure(error)
    }
    workshop.gate.open()
    await workshop.manager.close()
    await workshop.records.close()
    await workshop.server.stop()
    try result.get()
}

/// Has a time limit by its class, and hooks.
struct Limited: Job {
    static let options = JobOptions(retries: 1, backoff: .fixed(.seconds(3600)), timeout: .milliseconds(200))

    static let notes = Notes()

    static func onFailure(_ failure: JobFailure) async {
        notes.add("failed \(failure.context.jobID) \(type(of: failure.error)) cancelled: \(Task.isCancelled)")
    }

    func perform(_ context: JobContext) async throws { try await Task.sleep(for: .seconds(600)) }
}

/// Has a hook that hangs.
struct Mourned: Job {
    static let options = JobOptions(retries: 0, timeout: .milliseconds(50))

    static let gate = Gate()

    static func onDeath(_ failure: JobFailure) async { await gate.wait() }

    func perform(_ context: JobContext) async throws { try await Task.sleep(for: .seconds(600)) }
}
