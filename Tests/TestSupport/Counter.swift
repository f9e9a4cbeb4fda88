import Synchronization

/// A number that many threads raise.
package final class Counter: Sendable {
    private let count = Mutex(0)

    package init() {}

    package var value: Int { count.withLock { $0 } }

    /// Raises it by one; returns what it is then.
    @discardableResult
    package func next() -> Int {
        count.withLock {
            $0 += 1
            return $0
        }
    }
}
