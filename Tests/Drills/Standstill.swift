import Foundation
import Synchronization

/// How long a machine stands still for: a thread sleeps for 50 ms at a time, and notes how much longer that took.
final class Standstill: Sendable {
    private struct State {
        var longest = Duration.zero
        var isOver = false
    }
    private let state = Mutex(State())

    var longest: Duration { state.withLock { $0.longest } }

    func begin() {
        Thread.detachNewThread { [self] in
            let pause = Duration.milliseconds(50)
            while !state.withLock({ $0.isOver }) {
                let begin = ContinuousClock.now
                usleep(50_000)
                let late = begin.duration(to: .now) - pause
                state.withLock { $0.longest = max($0.longest, late) }
            }
        }
    }

    func end() { state.withLock { $0.isOver = true } }
}
