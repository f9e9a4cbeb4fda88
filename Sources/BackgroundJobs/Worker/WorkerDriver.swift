import Logging
import NIOCore
import Synchronization

/// Holds the worker's state machine and carries out what it says: sends its calls, runs its jobs, tells it what happened.
final class WorkerDriver: Sendable {
    let node: String
    private let options: WorkerOptions
    private let link: any WorkerLink
    private let runner: JobRunner
    private let logger: Logger
    private let eventLoop: any EventLoop
    private let wakeup: Wakeup
    private let tasks = RunningTasks()
    private let notices = NoticeLog()
    private let machine: Mutex<WorkerMachine>
    /// Jobs that an adoption granted, for the loop to start: they were begun on a connection whose reply was lost.
    private let granted = Mutex<[ClaimedJob]>([])
    private let stopping = Mutex(Stopping())
    private let stopSignal: StopSignal
    private let stragglers = Mutex<(@Sendable () -> Void)?>(nil)

    private struct Stopping {
        var releaseTimer: Scheduled<Void>?
        var isReleasing = false
        /// The worker has run: its event loop takes no more timers.
        var isOver = false
    }

    /// How long the last reports may take when the worker leaves.
    private static let lastReports = TimeAmount.seconds(3)
    /// How long cancelled jobs may take to end by themselves before they are given back.
    private static let unwinding = TimeAmount.milliseconds(250)

    init(
        _ options: WorkerOptions,
        node: Node,
        link: any WorkerLink,
        eventLoop: any EventLoop,
        jobs: JobRegistry,
        stopSignal: StopSignal,
        logger: Logger
    ) {
        self.stopSignal = stopSignal
        self.node = "\(node)"
        self.options = options
        self.link = link
        self.eventLoop = eventLoop
        var logger = logger
        logger[metadataKey: LogKey.node] = "\(node)"
        self.logger = logger
        runner = JobRunner(entries: jobs.entries, logger: logger)
        wakeup = Wakeup(eventLoop: eventLoop)
        machine = Mutex(
            WorkerMachine(
                queues: options.queues,
                fibers: options.fibers,
                defaults: jobs.claimDefaults(options.delivery),
                endsWhenEmpty: options.endsWhenEmpty
            )
        )
    }

    var onStragglers: (@Sendable () -> Void)? {
        get { stragglers.withLock { $0 } }
        set { stragglers.withLock { $0 = newValue } }
    }

    // MARK: The loop

    func run() async throws {
        let isLinked = try await stopSignal.unlessStopped { [self] in
            try await link.start(for: self)
            return true
        }
        guard isLinked == true else { return await link.close() }
        logger.info(
            "Working on \(options.queues.names.joined(separator: ", ")) with \(options.fibers) fibers"
        )
        await withDiscardingTaskGroup { group in
            var action = next()
            while action != .end {
                await carryOut(action, in: &group)
                action = next()
            }
            await link.close()
            let left = machine.withLock { $0.giveUp() }
            if left > 0 { logger.error("Left with \(left) ends unreported; watchers will run those jobs again") }
            let stragglers = tasks.count
            if stragglers > 0 {
                logger.error("\(stragglers) jobs ignore their cancellation; they were given back")
                onStragglers?()
            }
        }
        stopping.withLock { $0.releaseTimer?.cancel() }
        logger.info("Stopped")
    }

    private func next() -> WorkerMachine.Action {
        machine.withLock { $0.next(now: .now) }
    }

    private func carryOut(_ action: WorkerMachine.Action, in group: inout DiscardingTaskGroup) async {
        startGranted(in: &group)
        switch action {
        case .exchange(let call):
            group.addTask { await self.exchange(call) }
        case .arm(let queues):
            link.arm(queues)
        case .sweep:
            group.addTask { await self.sweep() }
        case .sleep(let deadline):
            await wakeup.sleep(until: deadline)
            // Let the jobs that are about to end do so first: they then share one report.
            await Task.yield()
        case .end:
            break
        }
    }

    private func exchange(_ call: WorkerMachine.Call) async {
        do {
            let reply = try await link.exchange(call.finishes, call.claim, session: call.session)
            let settlement = machine.withLock { $0.answered(call.number, reply, now: .now) }
            for job in settlement.start { tasks.expect(job.attempt) }
            granted.withLock { $0.append(contentsOf: settlement.start) }
            wakeup.signal()
            report(settlement, reply)
        } catch {
            let failure = WorkerMachine.CallFailure(error)
            machine.withLock { $0.failed(call.number, failure, now: .now) }
            wakeup.signal()
            // Of a connection that broke the connection tells itself.
            let level: Logger.Level = error.isOfConnection ? .debug : .warning
            notices.log("\(error.code)", error.message) { logger.log(level: level, "Redis did not take a call: \($0)") }
        }
    }

    private func report(_ settlement: WorkerMachine.Settlement, _ reply: Exchange) {
        for finish in settlement.lost { refused(finish) }
        for sentence in settlement.damaged {
            notices.log("damaged", sentence) { logger.error("An end can't be recorded and is kept: \($0)") }
        }
        for notice in reply.notices {
            notices.log(notice.queue, notice.sentence) {
                logger.warning("\($0)", metadata: [LogKey.queue: "\(notice.queue)"])
            }
        }
    }

    private func refused(_ finish: Finish) {
        logger.warning(
            "A result was refused: the attempt had been taken away",
            metadata: [
                LogKey.attempt: "\(finish.attempt)", LogKey.job: "\(finish.job)", LogKey.queue: "\(finish.queue)",
            ]
        )
    }

    // MARK: Jobs

    /// Starts what was claimed, but for what has been lost or given back meanwhile.
    private func startGranted(in group: inout DiscardingTaskGroup) {
        let claimed = granted.withLock { granted in
            defer { granted = [] }
            return granted
        }
        guard !claimed.isEmpty else { return }
        let current = machine.withLock { machine in claimed.filter { machine.isRunning($0.attempt) } }
        for job in current { group.addTask { await self.perform(job) } }
        guard current.count < claimed.count else { return }
        let kept = Set(current.map(\.attempt))
        for job in claimed where !kept.contains(job.attempt) { tasks.forget(job.attempt) }
    }

    private func perform(_ job: ClaimedJob) async {
        let begun = ContinuousClock.now
        let ending = await tasks.tracking(job.attempt) { task in
            await runner.run(runner.attempt(job) { task.cancellation })
        }
        guard let ending else { return }
        let took = begun.duration(to: .now).fractionalMilliseconds
        let isReleasing = stopping.withLock { $0.isReleasing }
        let reported: Ending = isReleasing && ending != .completed ? .shutdown : ending
        let (isOurs, isDue) = machine.withLock { ($0.ended(job.attempt, after: took, as: reported), $0.isDue) }
        if isDue || isReleasing { wakeup.signal() }
        log(reported, of: job, after: took, isOurs: isOurs)
    }

    private func log(_ ending: Ending, of job: ClaimedJob, after milliseconds: Double, isOurs: Bool) {
        if !isOurs {
            return refused(
                Finish(attempt: job.attempt, queue: job.queue, job: job.id, milliseconds: milliseconds, ending: ending)
            )
        }
        guard let (error, message) = ending.failure else {
            return logger.debug(
                "Attempt ended",
                metadata: [
                    LogKey.attempt: "\(job.attempt)", LogKey.job: "\(job.id)", LogKey.milliseconds: "\(milliseconds)",
                ]
            )
        }
        logger.warning(
            "Job failed\(ending.sequel): \(message)",
            metadata: [
                LogKey.attempt: "\(job.attempt)", LogKey.job: "\(job.id)", LogKey.queue: "\(job.queue)",
                LogKey.className: "\(job.className ?? "")", LogKey.error: "\(error)",
            ]
        )
    }

    private func sweep() async {
        do {
            let revived = try await link.sweep(options.queues.names) { attempt in
                machine.withLock { $0.answersFor(attempt) }
            }
            for reaped in revived where reaped.outcome != .spared {
                logger.warning(
                    "Redis had rolled back: an attempt of this worker that had ended was running again; ended once more",
                    metadata: [LogKey.job: "\(reaped.job ?? "")"]
                )
            }
        } catch {
            logger.warning("Could not look for revived attempts; a watcher will", metadata: [LogKey.error: "\(error)"])
        }
    }

    // MARK: Stopping

    func quiet() {
        machine.withLock { $0.quiet() }
        logger.info("Quiet: claiming no more jobs")
    }

    /// Closes the connections of a worker that did not get to work.
    func close() async {
        await link.close()
    }

    /// The worker's run is over, whatever ended it: a stop that comes after it has nothing to do.
    func end() {
        stopping.withLock { stopping in
            stopping.isOver = true
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
            guard stopping.releaseTimer == nil, !stopping.isReleasing, !stopping.isOver else { return }
            stopping.releaseTimer = eventLoop.scheduleTask(in: TimeAmount(options.gracePeriod)) { self.releaseNow() }
        }
        wakeup.signal()
        logger.info("Stopping: \(running) jobs are running")
    }

    /// 1. Cancels the tasks of all running jobs. 2. A moment later gives back those that have not ended. 3. Leaves when
    /// Redis has taken the reports, or after a few seconds without them.
    func releaseNow() {
        let isFirst = stopping.withLock { stopping in
            stopping.releaseTimer?.cancel()
            defer { stopping.isReleasing = true }
            return !stopping.isReleasing && !stopping.isOver
        }
        guard isFirst else { return }
        stopSignal.stop()
        machine.withLock { $0.beginRelease() }
        tasks.cancelAll(because: .shutdown)
        eventLoop.scheduleTask(in: Self.unwinding) { [self] in
            let released = machine.withLock { machine in machine.release { tasks.milliseconds($0) } }
            for attempt in released { tasks.cancel(attempt, because: .lost) }
            if !released.isEmpty { logger.info("Gave back \(released.count) jobs that had not ended") }
            wakeup.signal()
        }
        eventLoop.scheduleTask(in: Self.lastReports) { [self] in
            let left = machine.withLock { $0.giveUp() }
            if left > 0 { logger.error("Redis did not take \(left) last reports; watchers will run those jobs again") }
            wakeup.signal()
        }
        wakeup.signal()
    }
}

extension WorkerDriver: WorkerLinkHost {
    func linkIsAdopting() -> Adoption {
        machine.withLock { $0.adopting() }
    }

    func linkAdopted(_ adopted: Adopted, session: UInt64, mayHaveRolledBack: Bool) {
        let result = machine.withLock {
            $0.adopted(adopted, session: session, mayHaveRolledBack: mayHaveRolledBack)
        }
        for job in result.start { tasks.expect(job.attempt) }
        granted.withLock { $0.append(contentsOf: result.start) }
        for attempt in result.cancel {
            tasks.cancel(attempt, because: .lost)
            logger.warning("Lost an attempt: it was taken away", metadata: [LogKey.attempt: "\(attempt)"])
        }
        for finish in result.refused { refused(finish) }
        for sentence in result.damaged { logger.error("An attempt could not be adopted: \(sentence)") }
        wakeup.signal()
    }

    func linkBroke() {
        machine.withLock { $0.unlinked() }
    }

    func linkWoke(_ queue: String) -> WorkerMachine.Woken {
        let woken = machine.withLock { $0.woke(queue) }
        if woken == .claim { wakeup.signal() }
        return woken
    }

    func linkWaitEnded(_ queue: String) {
        machine.withLock { $0.waitEnded(queue) }
        wakeup.signal()
    }

    func linkWaitRefused(_ queue: String, because error: BackgroundError) {
        machine.withLock { $0.waitRefused(queue, now: .now) }
        notices.log("wait", error.message) { logger.notice("Can't wait for jobs, asking for them instead: \($0)") }
        wakeup.signal()
    }
}

extension Ending {
    /// What went wrong, where something did.
    fileprivate var failure: (error: String, message: String)? {
        switch self {
        case .retried(let error, let message, _, _), .dead(let error, let message), .discarded(let error, let message):
            (error, message)
        case .crashed(let message): ("Crashed", message)
        case .completed, .snoozed, .shutdown, .unbegun, .cancelled: nil
        }
    }

    /// What becomes of the job, for the log.
    fileprivate var sequel: String {
        switch self {
        case .retried(_, _, let delay, _): " (again in \(Duration.milliseconds(delay)))"
        case .dead: " (for good)"
        case .discarded: " (and is forgotten)"
        default: ""
        }
    }
}

extension WorkerMachine.CallFailure {
    fileprivate init(_ error: BackgroundError) {
        self =
            switch error.code {
            case .unknownFate: .unanswered
            case .unavailable: .notSent
            default: .refused
            }
    }
}
