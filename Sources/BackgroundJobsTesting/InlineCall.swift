import BackgroundJobs
import Synchronization

/// A call that leads to jobs that are run inline.
final class InlineCall: Sendable {
    private let attempts = Atomic(0)
    private let ended = Mutex<BackgroundError?>(nil)

    /// One more attempt; returns how many they are.
    func count() -> Int { attempts.add(1, ordering: .relaxed).newValue }

    /// Nothing more is run.
    func end(_ error: BackgroundError) { ended.withLock { $0 = $0 ?? error } }
    var error: BackgroundError? { ended.withLock { $0 } }
    var isOver: Bool { error != nil }
}
