import Synchronization

/// The tasks of the running attempts, so that one of them can be cancelled alone.
///
/// A child of a task group has no handle of its own. `UnsafeCurrentTask.cancel()` may be called from any task as long as
/// the scope that it was handed to has not ended; the lock sees to that.
final class RunningTasks: Sendable {
    // `UnsafeCurrentTask` is not Sendable because it must not outlive its scope: entries are removed inside it.
    private struct Entry: @unchecked Sendable {
        var task: UnsafeCurrentTask?
        var begun: ContinuousClock.Instant
        var isLost = false
    }

    private let entries = Mutex<[String: Entry]>([:])

    /// Runs `body` with the current task findable under `attempt`; nil if the attempt was lost before it began.
    func tracking<Result>(_ attempt: String, _ body: () async -> Result) async -> Result? {
        await withUnsafeCurrentTask { task in
            let isLost = entries.withLock { entries in
                if entries[attempt]?.isLost == true { return true }
                entries[attempt] = Entry(task: task, begun: .now)
                return false
            }
            defer { entries.withLock { _ = $0.removeValue(forKey: attempt) } }
            return isLost ? nil : await body()
        }
    }

    /// Announces an attempt whose task has not begun, so that it can be lost before it does.
    func expect(_ attempt: String) {
        entries.withLock { $0[attempt] = Entry(task: nil, begun: .now) }
    }

    /// The number of tasks that have begun and not ended.
    var count: Int { entries.withLock { $0.values.count { $0.task != nil } } }

    func isLost(_ attempt: String) -> Bool {
        entries.withLock { $0[attempt]?.isLost ?? false }
    }

    /// How long the attempt has been running, in ms.
    func milliseconds(_ attempt: String) -> Double {
        entries.withLock { $0[attempt]?.begun }?.duration(to: .now).fractionalMilliseconds ?? 0
    }

    /// Cancels an attempt's task; it was taken away from this worker, or given back.
    func lose(_ attempt: String) {
        entries.withLock { entries in
            entries[attempt]?.isLost = true
            entries[attempt]?.task?.cancel()
        }
    }

    func cancelAll() {
        entries.withLock { entries in
            for entry in entries.values { entry.task?.cancel() }
        }
    }
}
