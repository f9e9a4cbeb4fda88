package import Logging

/// Runs the last try of a suspect in a process of its own; returns what became of it there.
///
/// It throws ``ProcessDied`` where the process ended without saying so, which counts as a crash of the job's worker.
package typealias Isolation = @Sendable (ClaimedJob) async throws -> Ending

/// The process in which a job ran by itself is dead.
package struct ProcessDied: Error, CustomStringConvertible {
    /// How it ended, in plain words.
    package var description: String

    package init(description: String) {
        self.description = description
    }
}

/// An attempt was settled in another process, its hooks included.
struct SettledElsewhere: Error {
    var ending: Ending
}

extension JobRegistry {
    /// Runs one claimed job in this process, hooks included, for another process that answers for it.
    ///
    /// - Parameter isCancelled: whether that one wants it to end.
    package func run(
        _ job: ClaimedJob,
        logger: Logger,
        isCancelled: @escaping @Sendable () -> Bool
    ) async -> Ending {
        let runner = JobRunner(entries: entries, logger: logger)
        let attempt = runner.attempt(job) { isCancelled() ? .shutdown : nil }
        // Of its own in any case: what ends the process, and what reads its signals, runs on the pool.
        let threads = attempt.isOnThread ? JobThreads(count: 1) : nil
        guard let error = await withTaskExecutorPreference(threads, operation: { await runner.perform(attempt) }) else {
            return .completed
        }
        let settlement = runner.settlement(of: attempt, error)
        await runner.tell(attempt, of: settlement)
        return settlement.ending
    }
}
