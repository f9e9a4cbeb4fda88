import DequeModule
import Dispatch
import Foundation
import Synchronization

/// Threads for jobs that block or compute (``JobExecution/thread``): they are not those of Swift's pool, so that such jobs
/// hold up neither the worker's loop nor the other jobs.
///
/// A job that was abandoned may hold its thread for ever. So each of them makes room for one thread more, and when it ends
/// after all that room is taken back; but there are never more than twice as many threads as were asked for.
///
/// They are not Dispatch's either, which has 255 for the whole process: what else needs one would wait behind such jobs.
final class JobThreads: TaskExecutor {
    private struct State {
        var waiting: Deque<UnownedJob> = []
        var busy = 0
        /// Threads that wait for something to run.
        var idle = 0
        /// The attempts that run here, by whether they were abandoned.
        var attempts: [String: Bool] = [:]
        var abandoned = 0
    }

    /// How long a thread waits for something to run before it ends.
    private static let idleTime = DispatchTimeInterval.seconds(5)

    private let count: Int
    private let state = Mutex(State())
    /// Wakes an idle thread.
    private let wakeup = DispatchSemaphore(value: 0)

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
        let need = state.withLock { state in
            guard state.attempts[attempt] == false else { return Need.none }
            state.attempts[attempt] = true
            state.abandoned += 1
            return addThread(&state)
        }
        meet(need)
    }

    func ended(_ attempt: String) {
        state.withLock { state in
            if state.attempts.removeValue(forKey: attempt) == true { state.abandoned -= 1 }
        }
    }

    // MARK: Running

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let need = state.withLock { state in
            state.waiting.append(job)
            return addThread(&state)
        }
        meet(need)
    }

    /// What it takes for the next job to be run.
    private enum Need { case none, wakeup, thread }

    private func addThread(_ state: inout State) -> Need {
        guard !state.waiting.isEmpty, state.busy < limit(state) else { return .none }
        state.busy += 1
        guard state.idle > 0 else { return .thread }
        state.idle -= 1
        return .wakeup
    }

    private func meet(_ need: Need) {
        switch need {
        case .none: break
        case .wakeup: wakeup.signal()
        case .thread:
            if !OwnThread.start({ [self] in work() }) {
                // The system has no more of them for this process.
                DispatchQueue(label: "background-jobs.thread").async { [self] in work() }
            }
        }
    }

    private func work() {
        repeat {
            while let job = next() { job.runSynchronously(on: asUnownedTaskExecutor()) }
        } while isWoken()
    }

    /// The next job; nil: the thread is idle from now on.
    private func next() -> UnownedJob? {
        state.withLock { state in
            // One thread too many leaves the rest to the others.
            let job = state.busy > limit(state) ? nil : state.waiting.popFirst()
            if job == nil {
                state.busy -= 1
                state.idle += 1
            }
            return job
        }
    }

    /// Waits until there is something to run; false: the thread is to end.
    private func isWoken() -> Bool {
        guard wakeup.wait(timeout: .now() + Self.idleTime) == .timedOut else { return true }
        let ends = state.withLock { state in
            guard state.idle > 0 else { return false }
            state.idle -= 1
            return true
        }
        // Whoever took the last idle one has signalled, or is about to.
        if !ends { wakeup.wait() }
        return !ends
    }
}
