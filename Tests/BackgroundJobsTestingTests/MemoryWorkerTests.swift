import BackgroundJobs
import BackgroundJobsTesting
import Foundation
import Logging
import TestSupport
import Testing

/// Log lines of level warning and above.
private struct Lines: LogHandler {
    let told: Told
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.warning

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { told.tell("\(event.message)") }
}

private let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

private func makeWorker(
    _ jobs: JobRegistry = registry(),
    fibers: Int = 10,
    name: String? = nil,
    store: MemoryStore? = nil,
    logger: Logger = quiet
) throws -> MemoryWorker {
    let options = WorkerOptions(
        queues: try .strict(["default", "mail"]),
        fibers: fibers,
        name: name,
        gracePeriod: .zero,
        killAfter: .seconds(5)
    )
    return try MemoryWorker(options, jobs: jobs, store: store, logger: logger)
}

@Suite("A worker in memory", .timeLimit(.minutes(20)))
struct MemoryWorkerTests {
    @Test("runs jobs, tells of their results and progress, and says once that it loses all")
    func works() async throws {
        let (told, log) = (Told(), Told())
        try await Here.$told.withValue(told) {
            let worker = try makeWorker(logger: Logger(label: "test") { _ in Lines(told: log) })
            let before = try await worker.manager.enqueue(Sum(of: [1, 2]))
            try await worker.withRunning {
                #expect(try await before.value == 3)
                #expect(try await worker.manager.enqueue(Sum(of: [4])).value == 4)
                let delayed = try await worker.manager.enqueue(Sum(of: [5]), in: .milliseconds(20))
                #expect(try await delayed.value == 5)
                let chain = try await worker.manager.enqueue(
                    Sum(of: [5]).then(Next(), in: .milliseconds(5)).then(Next())
                )
                #expect(try await chain.last.value == 7)
                let flaky = try await worker.manager.enqueue(
                    Flaky(failures: 2),
                    options: JobOptions(backoff: .fixed(.milliseconds(5)))
                )
                #expect(try await flaky.value == "attempt 3")
                try await worker.manager.enqueue(Parent()).value
                try await eventually("the child was run") { told.all.contains("mail child") }
                let batch = try await worker.manager.batch(onSuccess: Report(name: "all")) { batch in
                    try await batch.enqueue(contentsOf: (0..<50).map { Sum(of: [$0]) })
                    try await batch.enqueue(Adding())
                }
                try await eventually("the batch calls back") { told.all.contains("all 53 of 53") }
                #expect(try await batch.status()?.counts.completed == 53)
            }
        }
        #expect(log.all.count { $0.contains("lost when it ends") } == 1)
    }

    @Test("cancels a job that runs")
    func cancels() async throws {
        let told = Told()
        try await Here.$told.withValue(told) {
            let worker = try makeWorker()
            try await worker.withRunning {
                let handle = try await worker.manager.enqueue(Sleeper())
                try await eventually("it sleeps") { told.all.contains("sleeps") }
                #expect(try await worker.manager.cancel(handle.id) == .told)
                #expect(try await handle.end().end == "Cancelled")
            }
        }
        #expect(told.all.contains("woken: cancelled"))
    }

    @Test(
        "stops gracefully: what runs is cancelled after the grace period and given back, for the next worker of the store"
    )
    func stops() async throws {
        let told = Told()
        try await Here.$told.withValue(told) {
            let store = MemoryStore()
            let first = try makeWorker(store: store)
            try await first.withRunning {
                try await first.manager.enqueue(Sleeper())
                try await eventually("it sleeps") { told.all.contains("sleeps") }
            }
            #expect(told.all == ["sleeps", "woken: shutdown"])
            let second = try makeWorker(store: store)
            try await second.withRunning {
                try await eventually("it sleeps again") { told.all.count { $0 == "sleeps" } == 2 }
            }
        }
    }

    @Test("cancelling its task is the hard stop")
    func hardStop() async throws {
        let told = Told()
        try await Here.$told.withValue(told) {
            let worker = try makeWorker()
            let running = Task { try await worker.run() }
            try await worker.manager.enqueue(Sleeper())
            try await eventually("it sleeps") { told.all.contains("sleeps") }
            running.cancel()
            try await running.value
            await #expect(throws: BackgroundError.self) { try await worker.run() }
        }
        #expect(told.all == ["sleeps", "woken: shutdown"])
    }

    @Test("fires periodic jobs, and ends one that says so")
    func periodic() async throws {
        let told = Told()
        try await Here.$told.withValue(told) {
            var jobs = registry()
            jobs.periodic("beat", .every(.milliseconds(100)), Beat(), count: 3)
            jobs.periodic("last", .every(.milliseconds(100)), Report(name: "never"), count: 1)
            let worker = try makeWorker(jobs)
            try await worker.withRunning {
                try await eventually("it has beaten three times") { told.all.count { $0.hasPrefix("beat") } == 3 }
            }
        }
    }

    @Test(
        "several workers of one store share its jobs, each gets those that are for it, and others when it is not there"
    )
    func places() async throws {
        let store = MemoryStore()
        let (north, south) = (try placed("north", store), try placed("south", store))
        try await north.withRunning {
            try await south.withRunning {
                for (options, node) in [
                    (JobOptions(on: "north"), "north-"), (JobOptions(on: "south"), "south-"),
                    (JobOptions(avoiding: "north"), "south-"),
                ] {
                    for _ in 0..<100 {
                        let handle = try await north.manager.enqueue(Where(), options: options)
                        #expect(try await handle.value.hasPrefix(node))
                    }
                }
                let options = JobOptions(on: "west", fallback: .after(.milliseconds(20)))
                _ = try await north.manager.enqueue(Where(), options: options).value
            }
        }
    }

    private func placed(_ name: String, _ store: MemoryStore) throws -> MemoryWorker {
        var jobs = registry()
        jobs.register(Where.self)
        return try makeWorker(jobs, name: name, store: store)
    }

    @Test("refuses reserves that do not fit")
    func refuses() throws {
        let options = WorkerOptions(queues: try .strict(["a"]), fibers: 2, reserve: ["b": 1])
        #expect(throws: BackgroundError.self) { try MemoryWorker(options, jobs: registry(), logger: quiet) }
    }
}

/// Says on which node it runs.
private struct Where: Job {
    func perform(_ context: JobContext) async throws -> String { context.node }
}
