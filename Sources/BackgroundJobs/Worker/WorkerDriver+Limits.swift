import NIOCore
import Synchronization

/// An attempt that ran longer than its time limit and whose task is out of the way, to be settled once: in a task of its
/// own, since its hooks are not to run in one that is cancelled; or, where the pool does not come to that, without hooks.
final class Overdue: Sendable {
    let attempt: JobRunner.Attempt
    let task: RunningTask
    let milliseconds: Double
    /// What the job threw when it was cancelled.
    let error: any Error
    private let isTaken = Atomic(false)

    init(
        _ attempt: JobRunner.Attempt,
        _ task: RunningTask,
        after milliseconds: Double,
        _ error: any Error = CancellationError()
    ) {
        self.error = error
        self.attempt = attempt
        self.task = task
        self.milliseconds = milliseconds
    }

    var id: String { attempt.job.attempt }

    /// True for the first who asks.
    func take() -> Bool { !isTaken.exchange(true, ordering: .acquiringAndReleasing) }
}

/// Time limits, cancelling one attempt, and what comes of jobs that ignore it.
///
/// 1. At its limit, or when its job is cancelled or the attempt is lost, an attempt's task is cancelled. 2. If it has not ended
/// after `killAfter` it is abandoned: the attempt ends as over its limit or cancelled, its fiber is free, whatever the task
/// does later is refused. 3. When as many abandoned tasks run as the pool has threads, the worker is stalled and leaves.
/// Those that run on threads of their own are replaced there, up to a point.
extension WorkerDriver {
    /// How long the pool has to come to the hooks of an attempt that was over its limit, until it ends without them.
    private static let patience = Duration.seconds(1)

    /// The timer of an attempt that has a limit.
    func limit(_ attempt: JobRunner.Attempt) -> Scheduled<Void>? {
        guard let limit = attempt.options.timeout else { return nil }
        return schedule(in: limit) { self.cancel(attempt.job.attempt, because: .timeout) }
    }

    /// Cancels an attempt's task, and abandons it if that does not end it.
    func cancel(_ attempt: String, because reason: JobContext.Cancellation) {
        guard let task = tasks.cancel(attempt, because: reason) else { return }
        let unwinding = task.attempt?.unwinding ?? .zero
        schedule(in: options.killAfter + unwinding) { self.abandon(attempt) }
    }

    private func abandon(_ id: String) {
        guard let task = tasks[id], let attempt = task.attempt, let reason = task.cancellation, task.abandon() else {
            return
        }
        let took = task.milliseconds
        let isUnsettled = task.takeEnd()
        if attempt.isOnThread { threads.replace(id) }
        logAbandoned(attempt.job, reason, running: tasks.abandonedCount)
        switch reason {
        case .timeout where isUnsettled:
            settle(Overdue(attempt, task, after: took))
        case .cancelled where isUnsettled:
            let ending = Ending.cancelled(message: "it ignored its cancellation")
            ended(attempt.job, after: took, as: ending, with: attempt.context.notes.fields)
            pressOn()
        case .timeout, .cancelled:
            // Its hooks hang.
            guard let ending = task.ending else { break }
            ended(attempt.job, after: took, as: ending, with: attempt.context.notes.fields)
            pressOn()
        case .lost, .shutdown:
            // It has ended already, or does so when all are given back.
            break
        }
        checkStall()
    }

    // MARK: Over the limit

    /// Has the loop settle it, or sees to it without the pool.
    func settle(_ overdue: Overdue) {
        self.overdue.withLock { $0[overdue.id] = overdue }
        wakeup.signal()
        schedule(in: Self.patience) { [self] in
            if overdue.take() { aside.run { self.settleWithoutHooks(overdue) } }
        }
        // Hooks that hang are not waited for.
        schedule(in: Self.patience + options.killAfter) { [self] in
            if let ending = overdue.task.ending { ended(overdue, as: ending) }
        }
    }

    /// On the pool: each in a task of its own, with its hooks.
    func settleOverdue(in group: inout DiscardingTaskGroup) {
        for overdue in overdue.withLock({ Array($0.values) }) where overdue.take() {
            group.addTask { [self] in
                let settlement = runner.settlement(of: overdue.attempt, overdue.error)
                overdue.task.conclude(settlement.ending)
                hooks.add(1, ordering: .relaxed)
                await runner.tell(overdue.attempt, of: settlement)
                hooks.subtract(1, ordering: .relaxed)
                ended(overdue, as: settlement.ending)
            }
        }
    }

    /// Ends those over their limit, for a worker that leaves and can't wait for their hooks.
    ///
    /// On a thread beside the pool, since rules of the jobs are asked.
    func settleAllOverdue() {
        for task in tasks.cancelled(because: .timeout) {
            guard let attempt = task.attempt, task.takeEnd() else { continue }
            settleWithoutHooks(Overdue(attempt, task, after: task.milliseconds))
        }
        for overdue in overdue.withLock({ Array($0.values) }) where overdue.take() { settleWithoutHooks(overdue) }
    }

    private func settleWithoutHooks(_ overdue: Overdue) {
        self.overdue.withLock { $0[overdue.id] = overdue }
        ended(overdue, as: runner.settlement(of: overdue.attempt, overdue.error).ending)
    }

    /// Once: with its hooks called or without.
    private func ended(_ overdue: Overdue, as ending: Ending) {
        guard self.overdue.withLock({ $0.removeValue(forKey: overdue.id) }) != nil else { return }
        ended(
            overdue.attempt.job,
            after: overdue.milliseconds,
            as: ending,
            with: overdue.attempt.context.notes.fields
        )
        pressOn()
    }
}
