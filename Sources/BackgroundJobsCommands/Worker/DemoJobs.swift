import BackgroundJobs
import Logging

/// The jobs of `bg-worker --demo`: enough to try the system without a program of one's own.
enum DemoJobs {
    /// Does nothing.
    struct Noop: Job {
        func perform(_ context: JobContext) async throws {}
    }

    /// Sleeps for so many seconds.
    struct Nap: Job {
        var sleep: Double?

        func perform(_ context: JobContext) async throws {
            let seconds = sleep ?? 1
            guard seconds.isFinite, (0...86_400).contains(seconds) else {
                throw BadArguments(description: "field sleep: expected seconds, 0 to 86400")
            }
            try await Task.sleep(for: .seconds(seconds))
        }
    }

    /// Fails with a message.
    struct Fail: Job {
        struct Failure: Error, CustomStringConvertible {
            var description: String
        }

        var message: String?

        func perform(_ context: JobContext) async throws {
            throw Failure(description: message ?? "failed as asked")
        }
    }

    static func register(in jobs: inout JobRegistry) {
        jobs.register(Noop.self)
        jobs.register(Nap.self)
        jobs.register(Fail.self)
        jobs.register(
            "Echo",
            raw: { arguments, context in
                context.logger.info("\(String(decoding: arguments, as: UTF8.self))")
            }
        )
    }
}
