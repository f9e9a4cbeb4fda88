public import BackgroundJobs
public import Foundation
public import Logging

/// Jobs without Redis, for tests: a real ``Manager`` over a store in memory, and a clock that is set by hand.
///
/// ```swift
/// let queue = TestQueue(jobs)
/// try await signUp("ada@example.org", queue.manager)
/// #expect(try queue.enqueued(Welcome.self).map(\.job.to) == ["ada@example.org"])
///
/// let runs = try await queue.drain()
/// #expect(runs.map(\.ending) == [.completed])
/// ```
///
/// What is enqueued is recorded, and waits until it is run by ``runDue(limit:)``, ``run(for:limit:)`` or ``drain(limit:)``; or it is
/// run at once, with the mode ``Mode-swift.enum/inline``. Jobs are run one after the other, by the code that runs them in a
/// worker and through the same transitions as with Redis. So retries, snoozes, chains, batches, results, middleware,
/// uniqueness and periodic jobs are what they are there; only the time that they wait is none. The time limit of a job is
/// real time, and so is what a job sleeps.
///
/// Run the jobs before you await a handle: nobody else does, and one whose job is never run is awaited for ever.
public final class TestQueue: Sendable {
    /// When jobs are run.
    public enum Mode: Sendable, Hashable {
        /// When the test says so.
        case manual
        /// Those that are due at once: before the call that enqueues them returns, as children of the task of the
        /// caller; so are those that follow from them. What is for later waits for the clock, retries too.
        ///
        /// What a job throws is no error of the call, as it is none with Redis: it is in ``TestQueue/runs``, and thrown by
        /// ``JobHandle/value``.
        case inline
    }

    /// Enqueues to this queue, waits for results, cancels.
    public let manager: Manager

    private let store: MemoryStore
    private let runner: TestRunner

    /// Makes a queue; the periodic jobs of the registry are declared.
    ///
    /// - Parameters:
    ///   - jobs: the jobs that can be run, with their middleware.
    ///   - mode: when they are.
    ///   - date: what the clock shows until it is set forward.
    ///   - queues: the names of queues that go before all others, in this order. The others follow by name.
    ///   - name: by what name jobs are placed (``JobOptions/on``, ``JobOptions/avoiding``).
    ///   - limit: with the mode ``Mode-swift.enum/inline``, how many attempts one call may lead to.
    ///   - maximumArguments: bytes of a job's arguments.
    ///   - middleware: what is done before each job is enqueued, in this order.
    ///   - logger: what jobs log with.
    public init(
        _ jobs: JobRegistry,
        mode: Mode = .manual,
        startingAt date: Date = Date(),
        queues: [String] = [],
        name: String = "test",
        limit: Int = 10_000,
        maximumArguments: Int = 1 << 20,
        middleware: [EnqueueMiddleware] = [],
        logger: Logger = Logger(label: "background-jobs.test")
    ) {
        precondition(limit > 0, "at least one attempt may be run")
        store = MemoryStore(now: date.milliseconds)
        store.perform { $0.recorded = [] }
        var jobs = jobs
        if jobs.endsPeriodic == nil { jobs.endPeriodics(on: store) }
        store.declare(jobs)
        manager = Manager(store, maximumArguments: maximumArguments, middleware: middleware)
        runner = TestRunner(
            store,
            jobs: jobs,
            queues: queues,
            node: Node(name: name),
            manager: manager,
            isInline: mode == .inline,
            mostInline: limit,
            logger: logger
        )
    }

    // MARK: What was enqueued

    /// All jobs that were enqueued, in order: those that have been run too, but for retries. Jobs that found another of their kind
    /// in the queue, by their uniqueness, are not among them.
    public var enqueued: [EnqueuedJob] { store.perform { $0.recorded ?? [] } }

    /// Those of one type, decoded.
    ///
    /// - Throws: ``BadArguments`` for arguments that are not those of the type, as a job enqueued by class name may have.
    public func enqueued<J: Job>(_ type: J.Type) throws -> [Enqueued<J>] {
        try enqueued.filter { $0.className == J.name }.map { record in
            Enqueued(job: try J.decoded(from: Array(record.arguments.utf8)), record: record)
        }
    }

    /// Where a job stands.
    ///
    /// - Parameter id: its ID.
    /// - Returns: nil if there is no such job.
    public func state(of id: String) -> JobState? {
        store.perform { $0.place(of: id) }
    }

    // MARK: Running them

    /// All attempts that were run, in the order in which they ended.
    public var runs: [JobRun] { runner.runs }

    /// Runs all that is due now, and what becomes due by that. The clock stands still.
    ///
    /// - Parameter limit: how many attempts at most.
    /// - Returns: what was run, in order.
    /// - Throws: ``BackgroundError`` with the code `timedOut` if there is more to run than that; `CancellationError` if the task is
    ///   cancelled: the job that runs is given back.
    @discardableResult
    public func runDue(limit: Int = 10_000) async throws -> [JobRun] {
        try await runner.go(.init(until: store.now, runsJobs: true, firesPeriodics: true, limit: limit))
    }

    /// Lets time pass, and runs all that becomes due in it at its time: delays, retries, periodic jobs.
    ///
    /// - Parameters:
    ///   - duration: how far the clock is set forward.
    ///   - limit: how many attempts, and times at which something is due, at most.
    /// - Returns: what was run, in order.
    /// - Throws: as ``runDue(limit:)``.
    @discardableResult
    public func run(for duration: Duration, limit: Int = 10_000) async throws -> [JobRun] {
        let until = store.now + duration.ceilingMilliseconds
        return try await runner.go(.init(until: until, runsJobs: true, firesPeriodics: true, limit: limit))
    }

    /// Runs all jobs until none is left that could be run, with all retries and delays: the clock jumps from one time at which a
    /// job is due to the next.
    ///
    /// Periodic jobs are not fired meanwhile, since that would never end: see ``run(for:limit:)``. What is left are jobs of
    /// queues that are paused, jobs for other nodes, and dead ones.
    ///
    /// - Parameter limit: how many attempts and jumps at most.
    /// - Returns: what was run, in order, and how it ended.
    /// - Throws: as ``runDue(limit:)``.
    @discardableResult
    public func drain(limit: Int = 10_000) async throws -> [JobRun] {
        try await runner.go(.init(until: nil, runsJobs: true, firesPeriodics: false, limit: limit))
    }

    // MARK: The clock

    /// What the clock shows.
    public var now: Date { Date(milliseconds: store.now) }

    /// Sets the clock forward. What is scheduled becomes ready, and periodic jobs are fired, each at its time. Nothing is run, unless
    /// the mode is ``Mode-swift.enum/inline``.
    ///
    /// - Parameters:
    ///   - duration: how far.
    ///   - limit: how many times may lie in between at which something is due.
    /// - Throws: as ``runDue(limit:)``.
    public func advance(by duration: Duration, limit: Int = 10_000) async throws {
        let until = store.now + duration.ceilingMilliseconds
        _ = try await runner.go(.init(until: until, runsJobs: false, firesPeriodics: true, limit: limit))
    }
}

extension MemoryState {
    /// Where a job stands; nil if there is none.
    func place(of job: String) -> JobState? {
        guard let standing = standing(of: job), let record = data.jobs[job] else { return nil }
        if standing.isRunning { return .running }
        if standing.hasEnded {
            switch standing.end {
            case nil: return .completed
            case "Dead": return .dead
            case let end?: return .ended(how: end)
            }
        }
        let queue = standing.queue
        if let due = data.sortedSets["scheduled:\(queue)"]?[job] { return .scheduled(due: Date(milliseconds: due)) }
        if list("ready", queue).contains(job) { return .ready }
        if list("suspects", queue).contains(job) { return .suspect }
        return record.present("pla") == nil ? .unknown : .placed
    }
}
