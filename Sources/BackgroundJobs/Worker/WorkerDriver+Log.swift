import Logging

/// What is said of attempts.
extension WorkerDriver {
    func log(_ ending: Ending, of job: ClaimedJob, after milliseconds: Double, isOurs: Bool) {
        if !isOurs {
            return refused(
                Finish(attempt: job.attempt, queue: job.queue, job: job.id, milliseconds: milliseconds, ending: ending)
            )
        }
        guard let (error, message) = ending.failure else {
            if case .cancelled = ending { logger.info("Job cancelled", metadata: metadata(job)) }
            if case .skipped(let reason) = ending { logger.info("Job skipped: \(reason)", metadata: metadata(job)) }
            return logger.debug(
                "Attempt ended",
                metadata: [
                    LogKey.attempt: "\(job.attempt)", LogKey.job: "\(job.id)", LogKey.milliseconds: "\(milliseconds)",
                ]
            )
        }
        logger.warning("Job failed\(ending.sequel): \(message)", metadata: metadata(job, [LogKey.error: "\(error)"]))
    }

    func refused(_ finish: Finish) {
        logger.warning(
            "A result was refused: the attempt had been taken away",
            metadata: [
                LogKey.attempt: "\(finish.attempt)", LogKey.job: "\(finish.job)", LogKey.queue: "\(finish.queue)",
            ]
        )
    }

    /// The task of an attempt that was lost, abandoned or given back has ended after all.
    func endedLate(_ job: ClaimedJob, _ task: RunningTask) {
        let why =
            task.cancellation == .lost
            ? "the attempt had been taken away" : "the job ignored its cancellation for too long"
        logger.warning("A result was refused: \(why)", metadata: metadata(job))
    }

    func logAbandoned(_ job: ClaimedJob, _ reason: JobContext.Cancellation, running: Int) {
        logger.warning(
            "Abandoned a job that ignores its cancellation (\(reason)); abandoned jobs that still run: \(running)",
            metadata: metadata(job)
        )
    }

    private func metadata(_ job: ClaimedJob, _ more: Logger.Metadata = [:]) -> Logger.Metadata {
        [
            LogKey.attempt: "\(job.attempt)", LogKey.job: "\(job.id)", LogKey.queue: "\(job.queue)",
            LogKey.className: "\(job.className ?? "")",
        ].merging(more) { $1 }
    }
}

extension Ending {
    /// What went wrong, where something did.
    fileprivate var failure: (error: String, message: String)? {
        switch self {
        case .retried(let error, let message, _, _), .dead(let error, let message), .discarded(let error, let message):
            (error, message)
        case .crashed(let message): ("Crashed", message)
        case .completed, .snoozed, .shutdown, .unbegun, .cancelled, .skipped: nil
        }
    }

    /// What becomes of the job, for the log.
    fileprivate var sequel: String {
        switch self {
        case .retried(_, _, let delay, _): " (again in \(Duration.milliseconds(delay)))"
        case .dead: " (for good)"
        case .discarded: " (and is forgotten)"
        default: ""
        }
    }
}
