import Synchronization

/// The tasks of the running attempts, so that one of them can be cancelled alone.
final class RunningTasks: Sendable {
    private let attempts = Mutex<[String: RunningTask]>([:])
    private let aside: SideThreads

    /// - Parameter aside: where tasks are cancelled, since that runs the cancellation handlers of the jobs.
    init(aside: SideThreads) {
        self.aside = aside
    }

    /// Announces an attempt whose task has not begun, so that it can be kept from beginning.
    func expect(_ attempt: String) {
        attempts.withLock { $0[attempt] = RunningTask() }
    }

    /// Runs `body` as the task of an attempt that was announced, unless it has been kept from beginning.
    func tracking(_ attempt: String, _ body: (RunningTask) async -> Void) async {
        defer { forget(attempt) }
        guard let running = self[attempt], running.begin() else { return }
        await running.run { await body(running) }
    }

    func forget(_ attempt: String) {
        attempts.withLock { _ = $0.removeValue(forKey: attempt) }
    }

    subscript(_ attempt: String) -> RunningTask? { attempts.withLock { $0[attempt] } }

    /// The number of tasks that have begun and not ended.
    var count: Int { attempts.withLock { $0.values.count(where: \.hasBegun) } }
    /// The number of those that have been abandoned.
    var abandonedCount: Int { attempts.withLock { $0.values.count(where: \.isAbandoned) } }
    /// Of these, those that may hold a thread of the pool.
    var abandonedInPool: Int {
        attempts.withLock { $0.values.count { $0.isAbandoned && $0.attempt?.isOnThread != true } }
    }

    /// Those that have been told to end, for any of these reasons, and have not.
    func cancelled(because reasons: JobContext.Cancellation...) -> [RunningTask] {
        attempts.withLock { attempts in
            attempts.values.filter { task in task.cancellation.map { reasons.contains($0) } ?? false }
        }
    }

    /// Keeps an attempt's task from beginning; false if it has begun.
    func prevent(_ attempt: String) -> Bool {
        self[attempt]?.prevent() ?? false
    }

    /// Cancels an attempt's task and tells it why; returns it if there is one.
    @discardableResult
    func cancel(_ attempt: String, because reason: JobContext.Cancellation) -> RunningTask? {
        guard let running = self[attempt] else { return nil }
        running.note(reason)
        aside.run { running.cancel() }
        return running
    }

    func cancelAll(because reason: JobContext.Cancellation) {
        for running in attempts.withLock({ Array($0.values) }) {
            running.note(reason)
            aside.run { running.cancel() }
        }
    }
}

/// The task of one attempt.
///
/// A child of a task group has no handle of its own. `UnsafeCurrentTask.cancel()` may be called from any task as long as the
/// scope that it was handed to has not ended; the lock sees to that.
final class RunningTask: Sendable {
    // Not Sendable by itself because it must not outlive its scope: `run` takes it out before that ends.
    private struct Held: @unchecked Sendable {
        var task: UnsafeCurrentTask?
    }

    private struct Facts {
        var attempt: JobRunner.Attempt?
        var begun: ContinuousClock.Instant?
        var ending: Ending?
    }

    private enum Phase: UInt8, AtomicRepresentable {
        case expected, prevented
        /// The job runs; whoever makes it `over` says how it ended.
        case begun
        /// How it ended is somebody's to say, though its task may go on.
        case over
    }

    /// Held for as long as cancelling takes, which runs the cancellation handlers of the job: nobody else may wait for it.
    private let held = Mutex(Held())
    private let facts = Mutex(Facts())
    private let phase = Atomic(Phase.expected)
    /// The place of the reason in `Self.reasons`, from 1. No lock: cancellation handlers of jobs ask for it.
    private let reason = Atomic(0)
    private let abandoned = Atomic(false)

    private static let reasons: [JobContext.Cancellation] = [.timeout, .cancelled, .shutdown, .lost]

    // MARK: How far it is

    /// expected → begun; false if it was prevented.
    fileprivate func begin() -> Bool { move(from: .expected, to: .begun) }

    /// expected → prevented; false if it has begun.
    fileprivate func prevent() -> Bool { move(from: .expected, to: .prevented) }

    /// begun → over: true for the one who may say how the attempt ended.
    func takeEnd() -> Bool { move(from: .begun, to: .over) }

    private func move(from: Phase, to: Phase) -> Bool {
        phase.compareExchange(expected: from, desired: to, ordering: .acquiringAndReleasing).exchanged
    }

    var hasBegun: Bool {
        switch phase.load(ordering: .acquiring) {
        case .expected, .prevented: false
        case .begun, .over: true
        }
    }
    var isAbandoned: Bool { abandoned.load(ordering: .acquiring) }

    /// False if it was abandoned before.
    func abandon() -> Bool { !abandoned.exchange(true, ordering: .acquiringAndReleasing) }

    /// What it runs, from when it has begun until it is over.
    var attempt: JobRunner.Attempt? { facts.withLock { $0.attempt } }
    func runs(_ attempt: JobRunner.Attempt, since begun: ContinuousClock.Instant) {
        facts.withLock { facts in
            facts.attempt = attempt
            facts.begun = begun
        }
    }

    /// How its attempt ended, from when that is known, though its hooks may still run.
    var ending: Ending? { facts.withLock { $0.ending } }
    func conclude(_ ending: Ending) { facts.withLock { $0.ending = ending } }

    /// How long it has been running, in ms.
    var milliseconds: Double { facts.withLock { $0.begun }?.duration(to: .now).fractionalMilliseconds ?? 0 }

    // MARK: Cancelling

    /// Why the task was cancelled; nil if it was not.
    var cancellation: JobContext.Cancellation? {
        let place = reason.load(ordering: .acquiring)
        return place == 0 ? nil : Self.reasons[place - 1]
    }

    /// The first reason stays, but that the attempt was lost outdoes all others.
    func note(_ cancellation: JobContext.Cancellation) {
        guard let place = Self.reasons.firstIndex(of: cancellation) else { return }
        if cancellation == .lost {
            reason.store(place + 1, ordering: .releasing)
        } else {
            _ = reason.compareExchange(expected: 0, desired: place + 1, ordering: .acquiringAndReleasing)
        }
    }

    func cancel() { held.withLock { $0.task?.cancel() } }

    fileprivate func run(_ body: () async -> Void) async {
        await withUnsafeCurrentTask { task in
            let current = Held(task: task)
            held.withLock { $0 = current }
            defer {
                held.withLock { $0.task = nil }
                // Its context holds this task.
                facts.withLock { $0.attempt = nil }
            }
            // It may have been told to end before there was a task to cancel.
            if cancellation != nil { cancel() }
            await body()
        }
    }
}
