import BackgroundJobs
import Foundation
import Logging
import Synchronization

/// Runs the jobs of a ``TestQueue``, one after the other, through the same code and the same transitions as a worker.
final class TestRunner: Sendable {
    private struct State {
        var duties = MemoryDuties()
        var runs: [JobRun] = []
        /// By attempt, what runs at present.
        var running: [String: AttemptTask] = [:]
        weak var manager: Manager?
    }

    /// How many jobs one claim takes at most.
    private static let batch = 128
    /// How many jobs may enqueue one another, each from inside of the one before it.
    private static let deepest = 100
    @TaskLocal private static var depth = 0
    /// The outermost call inside of which a job is run inline.
    @TaskLocal private static var call: InlineCall?

    // The store holds on to this, to run jobs inline.
    private unowned let store: MemoryStore
    private let jobs: JobRegistry
    private let queues: [String]
    private let voucher: Voucher
    private let defaults: ClaimDefaults
    private let isInline: Bool
    /// How many attempts one call runs at most.
    private let mostInline: Int
    private let logger: Logger
    private let state = Mutex(State())

    init(
        _ store: MemoryStore,
        jobs: JobRegistry,
        queues: [String],
        node: Node,
        manager: Manager,
        isInline: Bool,
        mostInline: Int,
        logger: Logger
    ) {
        self.store = store
        self.jobs = jobs
        self.queues = queues
        self.isInline = isInline
        self.mostInline = mostInline
        self.logger = logger
        voucher = Voucher(node: "\(node)", client: Int64(store.nextNumber()))
        defaults = jobs.claimDefaults(.atLeastOnce)
        state.withLock { $0.manager = manager }
        let cancel = "cancel:\(node)"
        _ = store.watch { [weak self] touched in
            if touched.contains(cancel) { self?.cancel(cancel) }
        }
        guard isInline else { return }
        store.runInline(
            MemoryStore.Inline(
                claim: { self.claimAll(&$0) },
                run: { claimed async throws(BackgroundError) in try await self.runInline(claimed) }
            )
        )
    }

    var runs: [JobRun] { state.withLock { $0.runs } }

    private func cancel(_ list: String) {
        for attempt in store.takeAll(list) {
            state.withLock { $0.running[attempt] }?.cancel(because: .cancelled)
        }
    }

    // MARK: Claiming

    private func scope(_ firesPeriodics: Bool) -> MemoryDuties.Scope {
        MemoryDuties.Scope(workers: [(Node.name(of: voucher.node), nil)], firesPeriodics: firesPeriodics)
    }

    /// Does what watchers do.
    private func promote(_ state: inout MemoryState, firesPeriodics: Bool) {
        let problems = self.state.withLock { $0.duties.carryOut(&state, scope(firesPeriodics)) }
        for problem in problems { logger.error("A periodic job can't be fired: \(problem)") }
    }

    /// Takes up to so many jobs that are ready.
    private func claim(_ wanted: Int, _ state: inout MemoryState) -> [ClaimedJob] {
        let known = state.data.sets["queues"] ?? []
        let names = queues + known.subtracting(queues).sorted()
        var claimed: [ClaimedJob] = []
        var isShort = false
        // What can't begin is recorded, and makes room for the next one.
        while claimed.count < wanted, !isShort {
            let claim = Claim(
                wanted: min(wanted - claimed.count, Self.batch),
                bytes: .max,
                queues: names,
                defaults: defaults,
                offered: (0..<min(wanted - claimed.count, Self.batch)).map { _ in .randomUUID() }
            )
            let exchange = state.exchange([], claim, as: voucher)
            for notice in exchange.notices { logger.warning("\(notice.sentence)") }
            claimed += exchange.jobs
            isShort = exchange.isShort
        }
        return claimed
    }

    /// Takes all that is due, for whoever has made it so.
    private func claimAll(_ state: inout MemoryState) -> [ClaimedJob] {
        promote(&state, firesPeriodics: false)
        return claim(.max, &state)
    }

    /// Puts jobs that have not begun back to where they were.
    private func giveBack(_ jobs: some BidirectionalCollection<ClaimedJob>) {
        let finishes = jobs.reversed().map { $0.finish(.unbegun) }
        _ = store.perform { $0.exchange(finishes, .none, as: voucher) }
    }

    // MARK: Running

    /// Runs one attempt and records its end.
    ///
    /// - Parameter claim: takes what its end has made ready, in the same step.
    @discardableResult
    private func run(
        _ job: ClaimedJob,
        claiming claim: @Sendable (inout MemoryState) -> [ClaimedJob] = { _ in [] }
    ) async -> (run: JobRun, claimed: [ClaimedJob]) {
        let startedAt = store.now
        let begun = ContinuousClock.now
        let task = AttemptTask()
        state.withLock { $0.running[job.attempt] = task }
        let (conclusion, error) = await task.run(within: limit(of: job)) { [self] in
            await jobs.perform(
                job,
                node: voucher.node,
                maximumResult: WorkerOptions.defaultMaximumResult,
                logger: logger,
                manager: { try self.manager() },
                cancellation: { task.cancellation }
            )
        }
        state.withLock { $0.running[job.attempt] = nil }
        let took = begun.duration(to: .now).fractionalMilliseconds
        let finish = job.finish(conclusion.ending, after: took, with: conclusion.fields)
        let (fields, claimed) = store.perform { state in
            let exchange = state.exchange([finish], .none, as: voucher)
            for notice in exchange.notices { logger.warning("\(notice.sentence)") }
            return (state.data.attempts[job.attempt]?.fields ?? [:], claim(&state))
        }
        let record = AttemptRecord(id: job.attempt, fields: fields)
        let run = JobRun(job, startedAt: startedAt, conclusion.ending, error, record)
        state.withLock { $0.runs.append(run) }
        return (run, claimed)
    }

    private func limit(of job: ClaimedJob) -> Duration? {
        var faults: [String] = []
        let defaults = jobs.entries[job.className ?? ""]?.options ?? JobOptions()
        // Faults are told when it runs.
        return JobOptions(fields: job.fields, faults: &faults).or(defaults).timeout
    }

    private func manager() throws -> Manager {
        guard let manager = state.withLock({ $0.manager }) else {
            throw BackgroundError(.unavailable, "The TestQueue is gone: keep it as long as its jobs run.")
        }
        return manager
    }

    /// Runs what a call has made ready, and what that makes ready in turn. Where that has no end, the outermost call and all inside
    /// of it end with the same error.
    private func runInline(_ claimed: [ClaimedJob]) async throws(BackgroundError) {
        let call = Self.call ?? InlineCall()
        if Self.depth >= Self.deepest { call.end(Self.nested(claimed[0])) }
        await Self.$call.withValue(call) {
            await Self.$depth.withValue(Self.depth + 1) {
                var waiting = claimed[...]
                while !call.isOver, !Task.isCancelled, let job = waiting.popFirst() {
                    guard call.count() <= mostInline else {
                        call.end(Self.endless(mostInline, job))
                        giveBack([job])
                        break
                    }
                    let run = await run(job) { call.isOver || Task.isCancelled ? [] : self.claimAll(&$0) }
                    waiting += run.claimed
                }
                giveBack(waiting)
            }
        }
        if let error = call.error { throw error }
    }

    private static func nested(_ next: ClaimedJob) -> BackgroundError {
        BackgroundError(
            .refused,
            "\(deepest) jobs have enqueued one another, each from inside of the one before it, and the next one, a "
                + "\(next.className ?? ""), was not run: does it enqueue itself for ever?"
        )
    }

    private static func endless(_ limit: Int, _ next: ClaimedJob) -> BackgroundError {
        BackgroundError(
            .timedOut,
            "After \(limit) attempts there is more to run, a \(next.className ?? "") next: does it enqueue itself for ever? "
                + "Give a higher limit if not."
        )
    }

    // MARK: Time

    /// What is to be run, and how far the clock may go for it.
    struct Course: Sendable {
        /// How far, ms; nil: as long as there is something to do.
        var until: Int64?
        var runsJobs: Bool
        var firesPeriodics: Bool
        /// How many attempts, or times, at most.
        var limit: Int
    }

    /// Goes from one time at which something is due to the next.
    func go(_ course: Course) async throws -> [JobRun] {
        var runs: [JobRun] = []
        var steps = 0
        while true {
            try Task.checkCancellation()
            let (claimed, next) = look(course)
            if !claimed.isEmpty {
                var waiting = claimed[...]
                while steps < course.limit, !Task.isCancelled, let job = waiting.popFirst() {
                    steps += 1
                    runs.append(await run(job).run)
                }
                giveBack(waiting)
                if let left = waiting.first, !Task.isCancelled { throw Self.endless(course.limit, left) }
            } else if let next, next <= course.until ?? .max {
                steps += 1
                guard steps <= course.limit else { throw tooLong(course.limit) }
                store.now = max(next, store.now)
            } else {
                break
            }
        }
        if let until = course.until { store.now = max(until, store.now) }
        return runs
    }

    /// Does what is due, and takes what is to be run next; where there is nothing, when there will be.
    private func look(_ course: Course) -> (claimed: [ClaimedJob], next: Int64?) {
        store.perform { state in
            promote(&state, firesPeriodics: course.firesPeriodics)
            // Inline, what is left in the queue would be run by whoever enqueues next.
            let claimed = isInline ? claim(.max, &state) : course.runsJobs ? claim(1, &state) : []
            guard claimed.isEmpty else { return (claimed, nil) }
            return ([], self.state.withLock { $0.duties.next(state, scope(course.firesPeriodics)) })
        }
    }

    private func tooLong(_ limit: Int) -> BackgroundError {
        BackgroundError(
            .timedOut,
            "After \(limit) steps the clock is at \(Date(milliseconds: store.now)), and there is more due: give a higher "
                + "limit, or go in shorter steps."
        )
    }
}

extension ClaimedJob {
    fileprivate func finish(
        _ ending: Ending,
        after milliseconds: Double = 0,
        with fields: [String: String] = [:]
    ) -> Finish {
        Finish(
            attempt: attempt,
            queue: queue,
            job: id,
            milliseconds: milliseconds,
            ending: ending,
            hasTies: hasTies,
            fields: fields
        )
    }
}
