import Synchronization

/// Hands what was seen at each look to all duties. A duty that is busy meanwhile gets the newest when it is done.
final class Looks: Sendable {
    /// A look, and its number.
    struct Sight: Sendable {
        var number: Int
        /// nil: Redis could not be asked.
        var look: Look?
    }

    private typealias Waiter = CheckedContinuation<Sight?, Never>

    private struct State {
        var newest = Sight(number: 0, look: nil)
        var waiters: [Int: Waiter] = [:]
        var nextWaiter = 0
    }

    private let state = Mutex(State())

    func publish(_ look: Look?) {
        let (sight, waiters) = state.withLock { state in
            state.newest = Sight(number: state.newest.number + 1, look: look)
            defer { state.waiters = [:] }
            return (state.newest, state.waiters.values)
        }
        for waiter in waiters { waiter.resume(returning: sight) }
    }

    /// Waits for a look that is newer than the one of this number; nil when the time has come, or the task is cancelled.
    func next(after number: Int, until deadline: ContinuousClock.Instant? = nil) async -> Sight? {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        let alarm = deadline.map { deadline in
            Task {
                // Cancelled once the wait is over.
                try? await Task.sleep(until: deadline, tolerance: .zero, clock: .continuous)
                self.end(id)
            }
        }
        defer { alarm?.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                let sight: Sight?? = state.withLock { state in
                    if state.newest.number > number { return .some(state.newest) }
                    if Task.isCancelled || deadline.map({ $0 <= .now }) == true { return .some(nil) }
                    state.waiters[id] = waiter
                    return .none
                }
                if let sight { waiter.resume(returning: sight) }
            }
        } onCancel: {
            end(id)
        }
    }

    private func end(_ id: Int) {
        state.withLock { $0.waiters.removeValue(forKey: id) }?.resume(returning: nil)
    }
}
