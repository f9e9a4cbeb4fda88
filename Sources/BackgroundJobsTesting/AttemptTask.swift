import BackgroundJobs
import Synchronization

/// The run of one attempt, which can be cancelled by itself and is told why.
final class AttemptTask: Sendable {
    private let reason = Mutex<JobContext.Cancellation?>(nil)
    private let stop: AsyncStream<Never>
    private let stopping: AsyncStream<Never>.Continuation

    init() {
        (stop, stopping) = AsyncStream.makeStream()
    }

    /// Why it was cancelled. Asked from inside, where the task around it may have been.
    var cancellation: JobContext.Cancellation? {
        reason.withLock { $0 } ?? (Task.isCancelled ? .shutdown : nil)
    }

    func cancel(because reason: JobContext.Cancellation) {
        note(reason)
        stopping.finish()
    }

    /// The first reason counts.
    private func note(_ reason: JobContext.Cancellation) { self.reason.withLock { $0 = $0 ?? reason } }

    /// Runs `body` as a child of the caller's task; cancels it when it has run for the limit, or is told to.
    func run<Value: Sendable>(within limit: Duration?, _ body: @escaping @Sendable () async -> Value) async -> Value {
        await withTaskGroup(of: Value?.self) { group in
            group.addTask { await body() }
            group.addTask {
                for await _ in self.stop {}
                return nil
            }
            if let limit {
                group.addTask {
                    do {
                        try await Task.sleep(for: limit)
                        self.note(.timeout)
                    } catch {
                        // It ended before.
                    }
                    return nil
                }
            }
            while true {
                // The first child always returns a value, so there is a next one until then.
                guard let ended = await group.next() else { preconditionFailure("a job's task has vanished") }
                if let value = ended {
                    group.cancelAll()
                    return value
                }
                if reason.withLock({ $0 }) != nil { group.cancelAll() }
            }
        }
    }
}
