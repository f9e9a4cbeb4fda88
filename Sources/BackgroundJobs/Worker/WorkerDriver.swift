import Logging
import NIOCore
import Synchronization

/// Holds the worker's state machine and carries out what it says: sends its calls, runs its jobs, tells it what happened.
///
/// Its loop and its jobs run on Swift's pool of threads, which the jobs may hold. What must not wait for them runs on the
/// event loop: answers of the link, time limits, giving back, and where the pool does not answer, reports.
final class WorkerDriver: Sendable {
    let node: String
    let options: WorkerOptions
    let link: any WorkerLink
    let runner: JobRunner
    let logger: Logger
    let eventLoop: any EventLoop
    let wakeup: Wakeup
    let aside = SideThreads()
    let tasks: RunningTasks
    /// Where jobs run that block or compute.
    let threads: JobThreads
    let notices = NoticeLog()
    let machine: Mutex<WorkerMachine>
    /// Answers to calls that nobody has read yet, by the number of the call.
    private let arrived = Mutex<[Int: (call: WorkerMachine.Call, answer: WorkerLink.Answer)]>([:])
    /// Jobs that this worker was granted, for the loop to start.
    let granted = Mutex<[ClaimedJob]>([])
    /// Attempts over their time limit, until they have ended.
    let overdue = Mutex<[String: Overdue]>([:])
    /// How many tasks call the hooks of such attempts.
    let hooks = Atomic(0)
    let stopping = Mutex(Stopping())
    let stopSignal: StopSignal
    let stragglers = Mutex<(@Sendable (BackgroundError?) -> Void)?>(nil)
    /// How often the loop has turned: whoever has woken it sees by this whether the pool answers.
    let turns = Atomic(0)
    let beats = Mutex(Beats())
    /// Running attempts whose jobs have said something of themselves that has not been sent.
    let noted = Mutex<Set<String>>([])

    init(
        _ options: WorkerOptions,
        node: Node,
        link: any WorkerLink,
        eventLoop: any EventLoop,
        jobs: JobRegistry,
        manager: @escaping @Sendable () throws -> Manager,
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
        runner = JobRunner(
            entries: jobs.entries,
            middleware: jobs.middleware,
            logger: logger,
            node: "\(node)",
            maximumResult: options.maximumResult,
            manager: manager,
            isolation: jobs.isolation,
            endsPeriodic: jobs.endsPeriodic
        )
        wakeup = Wakeup(eventLoop: eventLoop)
        tasks = RunningTasks(aside: aside)
        threads = JobThreads(count: options.threads)
        machine = Mutex(
            WorkerMachine(
                queues: options.queues,
                fibers: options.fibers,
                reserve: options.reserve,
                defaults: jobs.claimDefaults(options.delivery),
                endsWhenEmpty: options.endsWhenEmpty
            )
        )
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
        // What ignores its cancellation can't be waited for. A worker that is stalled by such jobs leaves them behind: nowhere
        // else may the task of a job outlive its scope.
        try await withUnsafeThrowingContinuation { continuation in
            Task { await work { continuation.resume(with: $0) } }
        }
        logger.info("Stopped")
    }

    /// Works until the machine has ended and all tasks have, or `leave` was called with an error.
    private func work(_ leave: (Result<Void, any Error>) -> Void) async {
        var stall: BackgroundError?
        await withDiscardingTaskGroup { group in
            var action = next()
            while action != .end {
                await carryOut(action, in: &group)
                action = next()
            }
            await link.close()
            let left = machine.withLock { $0.giveUp() }
            if left > 0 { logger.error("Left with \(left) ends unreported; watchers will run those jobs again") }
            // Hooks that still run: all that they could be told of has been reported.
            group.cancelAll()
            stall = leaveBehind()
            if let stall { leave(.failure(stall)) }
        }
        if stall == nil { leave(.success(())) }
    }

    private func next() -> WorkerMachine.Action {
        turns.add(1, ordering: .relaxed)
        return machine.withLock { $0.next(now: .now) }
    }

    private func carryOut(_ action: WorkerMachine.Action, in group: inout DiscardingTaskGroup) async {
        startGranted(in: &group)
        settleOverdue(in: &group)
        switch action {
        case .exchange(let call):
            let answered = Wakeup(eventLoop: eventLoop)
            exchange(call) { answered.signal() }
            group.addTask {
                await answered.sleep(until: nil)
                self.takeAnswer(call.number)
            }
        case .arm(let queues):
            link.arm(queues)
        case .sweep:
            group.addTask { await self.sweep() }
        case .sleep(let deadline):
            link.listen()
            await wakeup.sleep(until: deadline)
            // Let the jobs that are about to end do so first: they then share one report.
            await Task.yield()
        case .end:
            break
        }
    }

    // MARK: Calls

    /// - Parameter then: is called on the event loop when there is an answer to be taken.
    func exchange(_ call: WorkerMachine.Call, then: @escaping @Sendable () -> Void) {
        link.exchange(call.finishes, call.claim, session: call.session) { [self] answer in
            arrived.withLock { $0[call.number] = (call, answer) }
            then()
        }
    }

    /// Sees to an answer, unless that has been done.
    func takeAnswer(_ number: Int) {
        guard let (call, answer) = arrived.withLock({ $0.removeValue(forKey: number) }) else { return }
        do throws(BackgroundError) {
            answered(call, try answer())
        } catch {
            failed(call, error)
        }
        wakeup.signal()
    }

    /// Sees to those that have come, where the pool does not.
    func takeAnswers() {
        for number in arrived.withLock({ $0.keys.sorted() }) { takeAnswer(number) }
    }

    private func answered(_ call: WorkerMachine.Call, _ reply: Exchange) {
        let settlement = machine.withLock { machine in
            let settlement = machine.answered(call.number, reply, now: .now)
            expect(settlement.start)
            return settlement
        }
        granted.withLock { $0.append(contentsOf: settlement.start) }
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

    /// Under the lock of the machine: whoever finds an attempt running there finds its task here.
    func expect(_ jobs: [ClaimedJob]) {
        for job in jobs { tasks.expect(job.attempt) }
    }

    private func failed(_ call: WorkerMachine.Call, _ error: BackgroundError) {
        let failure = WorkerMachine.CallFailure(error)
        machine.withLock { $0.failed(call.number, failure, now: .now) }
        // Of a connection that broke the connection tells itself.
        // So does it where there is none at the moment.
        let isOfConnection = error.isOfConnection || error.code == .unavailable && error.cause == nil
        let level: Logger.Level = isOfConnection ? .debug : .warning
        notices.log("\(error.code)", error.message) { logger.log(level: level, "Redis did not take a call: \($0)") }
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

    // MARK: Jobs

    /// Starts what was claimed, but for what has been lost, cancelled or given back meanwhile.
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

    /// One that has to wait for a thread has not begun: it can be prevented, and its time does not run.
    private func perform(_ job: ClaimedJob) async {
        guard runner.entry(of: job)?.execution == .thread else { return await track(job) }
        await withTaskExecutorPreference(threads) {
            threads.begun(job.attempt)
            await track(job)
            threads.ended(job.attempt)
        }
    }

    private func track(_ job: ClaimedJob) async {
        await tasks.tracking(job.attempt) { task in
            let attempt = runner.attempt(job, onNote: { self.noted(job.attempt) }) { task.cancellation }
            let begun = ContinuousClock.now
            task.runs(attempt, since: begun)
            let timer = limit(attempt)
            defer { timer?.cancel() }
            let performed = await runner.perform(attempt)
            let took = begun.duration(to: .now).fractionalMilliseconds
            guard task.takeEnd() else { return endedLate(job, task) }
            guard let error = performed.error else {
                return ended(job, after: took, as: .completed, with: performed.fields)
            }
            // Its hooks would run in a task that is cancelled.
            if task.cancellation == .timeout { return settle(Overdue(attempt, task, after: took, error)) }
            let settlement = runner.settlement(of: attempt, error)
            task.conclude(settlement.ending)
            await runner.tell(attempt, of: settlement)
            ended(job, after: took, as: settlement.ending, with: performed.fields)
        }
    }

    /// An attempt has ended; its fiber is free.
    func ended(
        _ job: ClaimedJob,
        after milliseconds: Double,
        as ending: Ending,
        with fields: [String: String] = [:]
    ) {
        let (isOurs, isDue) = machine.withLock {
            ($0.ended(job.attempt, after: milliseconds, as: ending, with: fields), $0.isDue)
        }
        if isDue { wakeup.signal() }
        log(ending, of: job, after: milliseconds, isOurs: isOurs)
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
