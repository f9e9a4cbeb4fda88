import Synchronization

/// What the job inside of all middleware returned, the last time it was run.
final class Innermost: Sendable {
    private struct State {
        var hasBegun = false
        var output: [UInt8]?
    }

    private let state = Mutex(State())

    func begin() { state.withLock { $0.hasBegun = true } }
    func keep(_ output: [UInt8]?) { state.withLock { $0.output = output } }

    /// Whether it has been run at all.
    var hasBegun: Bool { state.withLock { $0.hasBegun } }
    /// nil: it has none, or threw.
    var output: [UInt8]? { state.withLock { $0.output } }
}
