import Synchronization

/// A task's place among those that wait for a connection, which its cancellation gives up, whenever it comes.
final class WaitingPlace: Sendable {
    private struct State {
        var number: UInt64?
        var isCancelled = false
        var hasLeft = false
        var cleanup: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    /// Notes the number of the place.
    ///
    /// - Returns: Whether the task has been cancelled already.
    func take(_ number: UInt64) -> Bool {
        state.withLock { state in
            state.number = number
            return state.isCancelled
        }
    }

    /// Cancels the wait.
    ///
    /// - Returns: The number of the place, if it has been taken already.
    func cancel() -> UInt64? {
        state.withLock { state in
            state.isCancelled = true
            return state.number
        }
    }

    /// Has something done when the task waits no more.
    func onLeave(_ cleanup: @escaping @Sendable () -> Void) {
        let isLate = state.withLock { state in
            if !state.hasLeft { state.cleanup = cleanup }
            return state.hasLeft
        }
        if isLate { cleanup() }
    }

    func leave() {
        let cleanup = state.withLock { state in
            state.hasLeft = true
            return state.cleanup.take()
        }
        cleanup?()
    }
}
