import DequeModule
import Dispatch
import Synchronization

/// Threads for jobs that block or compute (``JobExecution/thread``): they are not those of Swift's pool, so that such jobs
/// hold up neither the worker's loop nor the other jobs.
///
/// A job that was abandoned may hold its thread for ever. So each of them makes room for one thread more, and when it ends
/// after all that room is taken back; but there are never more than twice as many threads as were asked for.
final class JobThreads: TaskExecutor {
    private struct State {
        var waiting: Deque<UnownedJob> = []
        var busy = 0
        /// The attempts that run here, by whether they were abandoned.
        var attempts: [String: Bool] = [:]
        var abandoned = 0
    }

    private let count: Int
    private let state = Mutex(State())

    init(count: Int) {
        precondition(count > 0, "there is at least one thread")
        self.count = count
    }

    /// So many jobs that were abandoned leave no thread for others.
    var mostAbandoned: Int { 2 * count }
    /// Those that were abandoned and run on.
    var abandonedCount: Int { state.withLock { $0.abandoned } }

    private func limit(_ state: borrowing State) -> Int { count + min(state.abandoned, count) }

    // MARK: Attempts

    func begun(_ attempt: String) { state.withLock { $0.attempts[attempt] = false } }

    /// It was abandoned: another thread takes the place of the one that it may hold.
    func replace(_ attempt: String) {
        let needsThread = state.withLock { state in
            guard state.attempts[attempt] == false else { return false }
            state.attempts[attempt] = true
            state.abandoned += 1
            return addThread(&state)
        }
        if needsThread { work() }
    }

    func ended(_ attempt: String) {
        state.withLock { state in
            if state.attempts.removeValue(forKey: attempt) == true { state.abandoned -= 1 }
        }
    }

    // MARK: Running

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let needsThread = state.withLock { state in
            state.waiting.append(job)
            return addThread(&state)
        }
        if needsThread { work() }
    }

    private func addThread(_ state: inout State) -> Bool {
        guard !state.waiting.isEmpty, state.busy < limit(state) else { return false }
        state.busy += 1
        return true
    }

    /// A serial queue each: Dispatch gives those threads beyond the number of processors.
    private func work() {
        DispatchQueue(label: "background-jobs.thread").async { [self] in
            while let job = next() { job.runSynchronously(on: asUnownedTaskExecutor()) }
        }
    }

    private func next() -> UnownedJob? {
        state.withLock { state in
            // One thread too many leaves the rest to the others.
            let job = state.busy > limit(state) ? nil : state.waiting.popFirst()
            if job == nil { state.busy -= 1 }
            return job
        }
    }
}
