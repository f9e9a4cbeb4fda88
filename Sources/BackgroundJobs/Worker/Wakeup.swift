import NIOCore
import Synchronization

/// Lets one task sleep until it is woken or a time has come. A signal that comes while nobody sleeps is kept.
final class Wakeup: Sendable {
    private enum State {
        case idle
        case signalled
        case sleeping(UnsafeContinuation<Void, Never>)
    }

    private let state = Mutex(State.idle)
    private let eventLoop: any EventLoop

    /// - Parameter eventLoop: keeps the time; the pool that runs the jobs may be held by them.
    init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    func signal() {
        let sleeper: UnsafeContinuation<Void, Never>? = state.withLock { state in
            switch state {
            case .idle, .signalled:
                state = .signalled
                return nil
            case .sleeping(let continuation):
                state = .idle
                return continuation
            }
        }
        sleeper?.resume()
    }

    /// Returns at a signal, or at the deadline.
    func sleep(until deadline: ContinuousClock.Instant?) async {
        let timer = deadline.map { deadline in
            let delay = max(.zero, ContinuousClock.now.duration(to: deadline))
            return eventLoop.scheduleTask(in: TimeAmount(delay)) { self.signal() }
        }
        await withUnsafeContinuation { continuation in
            let isSignalled = state.withLock { state in
                switch state {
                case .signalled:
                    state = .idle
                    return true
                case .idle, .sleeping:
                    state = .sleeping(continuation)
                    return false
                }
            }
            if isSignalled { continuation.resume() }
        }
        timer?.cancel()
    }
}
