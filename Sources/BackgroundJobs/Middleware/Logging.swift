import Logging

extension JobMiddleware {
    /// Says when each job begins and how it ended, at info, with the job's metadata.
    public static let logging = JobMiddleware { context, next in
        context.logger.info("Job begins")
        let begun = ContinuousClock.now
        do {
            try await next(context)
            context.logger.info("Job completed", metadata: milliseconds(begun))
        } catch {
            let name = "\(String(describing: type(of: error)))"
            context.logger.info(
                "Job did not complete",
                metadata: milliseconds(begun).merging([LogKey.error: "\(name)"]) { $1 }
            )
            throw error
        }
    }

    private static func milliseconds(_ begun: ContinuousClock.Instant) -> Logger.Metadata {
        [LogKey.milliseconds: "\(begun.duration(to: .now).fractionalMilliseconds)"]
    }
}
