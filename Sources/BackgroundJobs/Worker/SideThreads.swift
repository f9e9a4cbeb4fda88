import DequeModule
import Dispatch
import Synchronization

/// A few threads for code that jobs bring along where it may do anything: cancellation handlers, rules. Neither the thread
/// that vouches for the attempts nor the pool, which the jobs may hold, is the place for it.
final class SideThreads: Sendable {
    private struct State {
        var waiting: Deque<@Sendable () -> Void> = []
        var busy = 0
    }

    /// What blocks for ever holds a thread for ever; so many may.
    private static let most = 16

    private let state = Mutex(State())

    func run(_ body: @escaping @Sendable () -> Void) {
        let needsThread = state.withLock { state in
            state.waiting.append(body)
            guard state.busy < Self.most else { return false }
            state.busy += 1
            return true
        }
        guard needsThread else { return }
        // A serial queue each: Dispatch gives those threads beyond the number of processors, but not concurrent queues,
        // which share the threads of Swift's pool.
        DispatchQueue(label: "background-jobs.side").async { [self] in
            while let next = next() { next() }
        }
    }

    private func next() -> (@Sendable () -> Void)? {
        state.withLock { state in
            let next = state.waiting.popFirst()
            if next == nil { state.busy -= 1 }
            return next
        }
    }
}
