import Logging
import NIOCore
import Synchronization

extension WorkerDriver {
    struct Stopping {
        var graceTimer: Scheduled<Void>?
        /// When the rest is given back.
        var releaseTimer: Scheduled<Void>?
        var releaseTime: ContinuousClock.Instant?
        /// It was told to stop.
        var isAsked = false
        /// All tasks have been told to end.
        var isReleasing = false
        var hasReleased = false
        /// The loop has ended, or whoever is to end the process has been told.
        var hasLeft = false
        /// The worker has run: its event loop takes no more timers.
        var isOver = false
        /// Why it leaves by itself.
        var stall: BackgroundError?
    }

    /// How long the last reports may take when the worker leaves.
    private static let lastReports = Duration.seconds(3)
    /// How long cancelled jobs may take to end by themselves before they are given back, where the worker is to leave at once.
    private static let unwinding = Duration.milliseconds(250)
    /// What is added to `killAfter`: what was killed by then has to be cleared away.
    private static let clearing = Duration.seconds(1)
    /// How long the pool may take to turn the loop before the event loop does without it.
    private static let loopPatience = Duration.milliseconds(100)
    /// How long it may take to leave, when all is done, before whoever can end the process is told.
    private static let leavePatience = Duration.milliseconds(500)

    var onStragglers: (@Sendable (BackgroundError?) -> Void)? {
        get { stragglers.withLock { $0 } }
        set { stragglers.withLock { $0 = newValue } }
    }

    /// A timer on the event loop, unless that takes no more.
    @discardableResult
    func schedule(in delay: Duration, _ body: @escaping @Sendable () -> Void) -> Scheduled<Void>? {
        stopping.withLock { $0.isOver ? nil : eventLoop.scheduleTask(in: TimeAmount(delay), body) }
    }

    func quiet() {
        machine.withLock { $0.quiet() }
        logger.info("Quiet: claiming no more jobs")
    }

    /// Closes the connections of a worker that did not get to work.
    func close() async {
        await link.close()
    }

    func settle() async {
        await link.settle()
    }

    /// The worker's run is over, whatever ended it: a stop that comes after it has nothing to do.
    func end() {
        stopping.withLock { stopping in
            stopping.isOver = true
            stopping.graceTimer?.cancel()
            stopping.releaseTimer?.cancel()
        }
    }

    func stop() {
        guard !stopping.withLock({ $0.isOver }) else { return }
        stopSignal.stop()
        let running = machine.withLock { machine in
            machine.stop()
            return machine.runningCount
        }
        stopping.withLock { stopping in
            guard !stopping.isAsked, !stopping.isReleasing, !stopping.isOver else { return }
            stopping.isAsked = true
            stopping.graceTimer = eventLoop.scheduleTask(in: TimeAmount(options.gracePeriod)) { [self] in
                leave(within: options.killAfter + Self.clearing)
            }
        }
        wakeup.signal()
        logger.info("Stopping: \(running) jobs are running")
    }

    func releaseNow() {
        stopping.withLock { $0.isAsked = true }
        leave(within: Self.unwinding)
    }

    /// 1. Gives back what has not begun, and cancels the tasks of all running jobs. 2. When they have had their time, gives back
    /// those that have not ended. 3. Leaves when Redis has taken the reports, or after a few seconds without them.
    private func leave(within patience: Duration) {
        let time = ContinuousClock.now + patience
        let isFirst: Bool? = stopping.withLock { stopping in
            guard !stopping.isOver, !stopping.hasReleased, stopping.releaseTime.map({ time < $0 }) ?? true else {
                return nil
            }
            stopping.graceTimer?.cancel()
            stopping.releaseTimer?.cancel()
            stopping.releaseTime = time
            stopping.releaseTimer = eventLoop.scheduleTask(in: TimeAmount(patience)) { self.release() }
            defer { stopping.isReleasing = true }
            return !stopping.isReleasing
        }
        guard isFirst == true else { return }
        stopSignal.stop()
        machine.withLock { machine in
            machine.beginRelease()
            _ = machine.release { tasks.prevent($0) ? (0, .unbegun) : nil }
        }
        tasks.cancelAll(because: .shutdown)
        pressOn()
    }

    private func release() {
        stopping.withLock { $0.hasReleased = true }
        aside.run { [self] in
            settleAllOverdue()
            _ = machine.withLock { $0.release(givenBack) }
            pressOn()
        }
        schedule(in: Self.lastReports) { [self] in
            let left = machine.withLock { $0.giveUp() }
            if left > 0 { logger.error("Redis did not take \(left) last reports; watchers will run those jobs again") }
            pressOn()
        }
    }

    /// What becomes of an attempt that has not ended when the worker leaves.
    private func givenBack(_ attempt: String) -> (milliseconds: Double, ending: Ending)? {
        let overdue = overdue.withLock { $0.removeValue(forKey: attempt) }
        guard let task = overdue?.task ?? tasks[attempt] else { return (0, .shutdown) }
        // Those that have not begun went first.
        let isUnsettled = task.takeEnd()
        let isCancelled = isUnsettled && task.cancellation == .cancelled
        let ending = task.ending ?? (isCancelled ? .cancelled(message: "") : .shutdown)
        return (overdue?.milliseconds ?? task.milliseconds, ending)
    }

    // MARK: A worker that can't go on

    /// Leaves when abandoned jobs hold, for all one knows, every thread of the pool, or every one for jobs that block.
    func checkStall() {
        let (inPool, onThreads) = (tasks.abandonedInPool, threads.abandonedCount)
        let (abandoned, most) =
            inPool >= options.poolWidth ? (inPool, options.poolWidth) : (onThreads, threads.mostAbandoned)
        guard abandoned >= most else { return }
        let stall = BackgroundError(
            .stalled,
            "\(abandoned) jobs ignore their cancellation, and \(most) threads run the jobs: this process "
                + "can't go on and is to be started again. Its other jobs are given back."
        )
        let isFirst = stopping.withLock { stopping in
            guard stopping.stall == nil, !stopping.isAsked, !stopping.isOver else { return false }
            stopping.stall = stall
            return true
        }
        guard isFirst else { return }
        logger.error("\(stall.message)")
        leave(within: options.killAfter + Self.clearing)
        // Where they do hold every thread, no other job can end any more.
        let turn = turns.load(ordering: .relaxed)
        wakeup.signal()
        schedule(in: Self.unwinding) { [self] in
            if turns.load(ordering: .relaxed) == turn { leave(within: .zero) }
        }
    }

    // MARK: Without the pool

    /// Has the loop go on; if it does not, since its jobs hold every thread, what waits is reported without it.
    func pressOn() {
        let turn = turns.load(ordering: .relaxed)
        wakeup.signal()
        let begun = ContinuousClock.now
        schedule(in: Self.loopPatience) { self.goOnWithoutPool(turn, since: begun) }
    }

    private func goOnWithoutPool(_ turn: Int, since begun: ContinuousClock.Instant) {
        guard turns.load(ordering: .relaxed) == turn else { return }
        takeAnswers()
        let isLeaving = stopping.withLock { $0.isReleasing }
        let (call, isReporting, isDone) = machine.withLock { machine in
            (machine.report(now: .now), machine.isReporting, machine.isSettled || machine.hasEnded)
        }
        if let call {
            exchange(call) { self.goOnWithoutPool(turn, since: begun) }
        } else if isLeaving, isDone, begun.duration(to: .now) >= Self.leavePatience {
            _ = leaveBehind()
        } else if isLeaving || isReporting {
            schedule(in: Self.loopPatience) { self.goOnWithoutPool(turn, since: begun) }
        }
    }

    /// The worker has done all it could: tells whoever can end the process if there are tasks that can't be waited for.
    ///
    /// - Returns: why it leaves by itself.
    func leaveBehind() -> BackgroundError? {
        let (isFirst, stall) = stopping.withLock { stopping in
            defer { stopping.hasLeft = true }
            return (!stopping.hasLeft, stopping.stall)
        }
        guard isFirst else { return stall }
        let givenBack = machine.withLock { $0.givenBack }
        if givenBack > 0 { logger.info("Gave back \(givenBack) jobs that had not ended") }
        let left = tasks.count + hooks.load(ordering: .relaxed)
        guard left > 0 else { return stall }
        logger.error("\(left) jobs ignore their cancellation; they were given back or abandoned")
        onStragglers?(stall)
        return stall
    }
}
