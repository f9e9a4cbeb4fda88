package import Logging

/// Runs the last try of a suspect in a process of its own; returns what became of it there.
///
/// It throws ``ProcessDied`` where the process ended without saying so, which counts as a crash of the job's worker.
package typealias Isolation =
    @Sendable (ClaimedJob, _ cancellation: @escaping @Sendable () -> JobContext.Cancellation?) async throws ->
    Conclusion

/// What became of an attempt in another process.
package struct Conclusion: Sendable, Codable {
    package var ending: Ending
    /// What is to be kept with the attempt.
    package var fields: [String: String]

    package init(ending: Ending, fields: [String: String]) {
        self.ending = ending
        self.fields = fields
    }
}

/// A program that was stopped since its task was cancelled, and what it had said until then.
package struct ProgramStopped: NamedFailure {
    package let failureMessage: String
    package var failureName: String { "Cancelled" }

    package init(failureMessage: String) {
        self.failureMessage = failureMessage
    }
}

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
    /// Runs one claimed job in this process, hooks included, for somebody else who answers for it.
    ///
    /// - Parameter cancellation: why that one wants it to end, if it does.
    /// - Returns: what became of it, and what it threw.
    package func perform(
        _ job: ClaimedJob,
        node: String,
        maximumResult: Int,
        logger: Logger,
        manager: @escaping @Sendable () throws -> Manager,
        cancellation: @escaping @Sendable () -> JobContext.Cancellation?
    ) async -> (conclusion: Conclusion, error: (any Error)?) {
        let runner = JobRunner(
            entries: entries,
            middleware: middleware,
            logger: logger,
            node: node,
            maximumResult: maximumResult,
            manager: manager,
            endsPeriodic: endsPeriodic
        )
        let attempt = runner.attempt(job, cancellation: cancellation)
        // Of its own in any case: what ends the process, and what reads its signals, runs on the pool.
        let threads = attempt.isOnThread ? JobThreads(count: 1) : nil
        let performed = await withTaskExecutorPreference(threads, operation: { await runner.perform(attempt) })
        guard let error = performed.error else {
            return (Conclusion(ending: .completed, fields: performed.fields), nil)
        }
        let settlement = runner.settlement(of: attempt, error)
        if Task.isCancelled {
            // Hooks are not to run in a task that is cancelled. Awaited, so that it outlives nothing.
            await Task { await runner.tell(attempt, of: settlement) }.value
        } else {
            await runner.tell(attempt, of: settlement)
        }
        return (Conclusion(ending: settlement.ending, fields: performed.fields), error)
    }
}
