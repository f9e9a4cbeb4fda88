import NIOCore
import Synchronization

/// Hands what was seen at each look to all duties. A duty that is busy meanwhile gets the newest when it is done.
final class Looks: Sendable {
    /// What came of a look.
    enum Sight: Sendable {
        case look(Look)
        /// Redis could not be asked.
        case nothing
    }

    private struct State {
        var number = 0
        var newest = Sight.nothing
        var wakeups: [Wakeup] = []
    }

    private let state = Mutex(State())
    private let eventLoop: any EventLoop

    /// - Parameter eventLoop: keeps the time.
    init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    func publish(_ sight: Sight) {
        let wakeups = state.withLock { state in
            state.number += 1
            state.newest = sight
            return state.wakeups
        }
        for wakeup in wakeups { wakeup.signal() }
    }

    /// For one duty, as long as it goes on.
    func feed() -> Feed {
        let wakeup = Wakeup(eventLoop: eventLoop)
        state.withLock { $0.wakeups.append(wakeup) }
        return Feed(looks: self, wakeup: wakeup)
    }

    struct Feed: Sendable {
        fileprivate let looks: Looks
        fileprivate let wakeup: Wakeup
        fileprivate var seen = 0

        /// Waits for a look that it has not seen; nil when the time has come, or the task is cancelled.
        mutating func next(until deadline: ContinuousClock.Instant? = nil) async -> Sight? {
            while true {
                let (number, newest) = looks.state.withLock { ($0.number, $0.newest) }
                if number > seen {
                    seen = number
                    return newest
                }
                if Task.isCancelled || deadline.map({ $0 <= .now }) == true { return nil }
                await withTaskCancellationHandler {
                    await wakeup.sleep(until: deadline)
                } onCancel: { [wakeup] in
                    wakeup.signal()
                }
            }
        }
    }
}
