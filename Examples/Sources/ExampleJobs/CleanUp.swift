public import BackgroundJobs
import Logging

/// A periodic job.
public struct CleanUp: Job {
    public static let queue = "low"

    public var days: Int

    public init(days: Int) {
        self.days = days
    }

    public func perform(_ context: JobContext) async throws {
        guard days > 0 else { throw JobOutcome.endPeriodic("there is nothing to be cleaned up") }
        context.logger.info(
            "What is older than \(days) days goes",
            metadata: ["by": "\(context.periodic?.name ?? "-")"]
        )
    }
}

extension JobRegistry {
    /// Declares what runs by the clock.
    public mutating func declarePeriodicJobs() {
        periodic("nightly", .cron("0 3 * * *", timeZone: "Europe/Berlin"), CleanUp(days: 30), missed: .none)
        periodic("often", .every(.seconds(600)), CleanUp(days: 1), overlap: .skip)
    }
}
