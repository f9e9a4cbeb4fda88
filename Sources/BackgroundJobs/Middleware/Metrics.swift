import Foundation
import Metrics

extension JobMiddleware {
    /// Counts and measures by swift-metrics, with the dimensions `class` and `queue`: the counter
    /// `background_jobs_attempts` (and `outcome`: `completed`, `failed`, `skipped` or
    /// `snoozed`), the timers `background_jobs_run_time`
    /// and, of first attempts, `background_jobs_wait_time`, and the meter `background_jobs_running`.
    public static let metrics = JobMiddleware { context, next in
        let dimensions = [("class", context.className), ("queue", context.queue)]
        if context.attempt == 1, let queued = context.dueAt {
            Timer(label: "background_jobs_wait_time", dimensions: dimensions)
                .recordSeconds(max(0, Date().timeIntervalSince(queued)))
        }
        let running = Meter(label: "background_jobs_running", dimensions: dimensions)
        running.increment()
        let begun = ContinuousClock.now
        func ended(_ outcome: String) {
            running.decrement()
            Timer(label: "background_jobs_run_time", dimensions: dimensions)
                .recordNanoseconds(Int64(begun.duration(to: .now) / .nanoseconds(1)))
            Counter(label: "background_jobs_attempts", dimensions: dimensions + [("outcome", outcome)]).increment()
        }
        do {
            try await next(context)
            ended("completed")
        } catch {
            switch (error as? JobOutcome)?.kind {
            case .skip: ended("skipped")
            case .snooze: ended("snoozed")
            case .endPeriodic: ended("completed")
            case .discard, .dead, nil: ended("failed")
            }
            throw error
        }
    }
}
