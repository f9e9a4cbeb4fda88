import Dispatch
import Synchronization

/// The tasks of the running attempts, so that one of them can be cancelled alone.
final class RunningTasks: Sendable {
    private let attempts = Mutex<[String: RunningTask]>([:])
    /// Cancelling runs the cancellation handlers of the job, which may do anything: neither the thread that vouches for the
    /// attempts nor the pool, which the jobs may hold, is the place for it.
    private let cancellations = DispatchQueue(label: "background-jobs.cancellations", attributes: .concurrent)

    /// Announces an attempt whose task has not begun, so that it can be lost before it does.
    func expect(_ attempt: String) {
        attempts.withLock { $0[attempt] = RunningTask() }
    }

    /// Runs `body` as the task of an attempt that was announced; nil if the attempt was lost before it began.
    func tracking<Result>(_ attempt: String, _ body: (RunningTask) async -> Result) async -> Result? {
        guard let running = attempts.withLock({ $0[attempt] }) else { return nil }
        defer { forget(attempt) }
        return await running.run { await body(running) }
    }

    func forget(_ attempt: String) {
        attempts.withLock { _ = $0.removeValue(forKey: attempt) }
    }

    /// The number of tasks that have begun and not ended.
    var count: Int { attempts.withLock { $0.values.count { $0.hasBegun } } }

    /// How long the attempt has been running, in ms.
    func milliseconds(_ attempt: String) -> Double {
        attempts.withLock { $0[attempt]?.begun }?.duration(to: .now).fractionalMilliseconds ?? 0
    }

    /// Cancels an attempt's task and tells it why. One that has not begun does not begin.
    func cancel(_ attempt: String, because reason: JobContext.Cancellation) {
        guard let running = attempts.withLock({ $0[attempt] }) else { return }
        running.note(reason)
        cancellations.async { running.cancel() }
    }

    func cancelAll(because reason: JobContext.Cancellation) {
        let all = attempts.withLock { Array($0.values) }
        for running in all {
            running.note(reason)
            cancellations.async { running.cancel() }
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

    let begun = ContinuousClock.now
    private let held = Mutex(Held())
    /// The place of the reason in `Self.reasons`, from 1. No lock: cancellation handlers of jobs ask for it.
    private let reason = Atomic(0)
    private let started = Atomic(false)

    private static let reasons: [JobContext.Cancellation] = [.timeout, .cancelled, .shutdown, .lost]

    /// Why the task was cancelled; nil if it was not.
    var cancellation: JobContext.Cancellation? {
        let place = reason.load(ordering: .acquiring)
        return place == 0 ? nil : Self.reasons[place - 1]
    }
    var hasBegun: Bool { started.load(ordering: .acquiring) }

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

    fileprivate func run<Result>(_ body: () async -> Result) async -> Result? {
        await withUnsafeCurrentTask { task in
            let current = Held(task: task)
            held.withLock { $0 = current }
            started.store(true, ordering: .releasing)
            defer { held.withLock { $0.task = nil } }
            return cancellation == .lost ? nil : await body()
        }
    }
}
