import Synchronization

/// What the job inside of all middleware returned, the last time it was run.
final class Innermost: Sendable {
    private let kept = Mutex<[UInt8]?>(nil)

    func keep(_ output: [UInt8]?) { kept.withLock { $0 = output } }

    var output: [UInt8]? { kept.withLock { $0 } }
}
