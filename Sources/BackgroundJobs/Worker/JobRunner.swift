import Logging

/// An error that says under which name it goes on record.
package protocol NamedFailure: Error {
    /// The attempt's `err`.
    var failureName: String { get }
    /// The attempt's `msg`.
    var failureMessage: String { get }
}

extension BadArguments: NamedFailure {
    package var failureName: String { "Bad Arguments" }
    package var failureMessage: String { description }
}

/// Runs one claimed job and says how the attempt ended.
struct JobRunner: Sendable {
    var handlers: [String: JobRegistry.Handler]
    var logger: Logger

    func run(_ job: ClaimedJob, isLost: @escaping @Sendable () -> Bool) async -> Ending {
        guard let className = job.className else {
            return .failed(error: "Job Not Found", message: "the job's hash vanished while it was being claimed")
        }
        guard let handler = handlers[className] else {
            return .failed(
                error: "Unknown Class",
                message: "no class \(Names.quoted(className)) is registered with this worker"
            )
        }
        let context = JobContext(
            jobID: job.id,
            attemptID: job.attempt,
            attempt: job.number,
            queue: job.queue,
            className: className,
            logger: logger,
            isLost: isLost
        )
        do {
            try await handler(job.arguments, context)
            return .completed
        } catch let failure as any NamedFailure {
            return .failed(
                error: FailureText.printable(failure.failureName, limit: 200),
                message: FailureText.printable(failure.failureMessage, limit: FailureText.messageLimit)
            )
        } catch {
            return .failed(
                error: FailureText.printable(String(describing: type(of: error)), limit: 200),
                message: FailureText.printable(String(describing: error), limit: FailureText.messageLimit)
            )
        }
    }
}

/// Text that goes on record: bounded, and without control characters.
package enum FailureText {
    /// Bytes of a message.
    package static let messageLimit = 4096

    package static func printable(_ text: String, limit: Int) -> String {
        var result = ""
        var size = 0
        for scalar in text.unicodeScalars {
            let isControl = scalar.value < 0x20 && scalar != "\n" || (0x7F...0x9F).contains(scalar.value)
            let isBidirectionalMark =
                (0x202A...0x202E).contains(scalar.value) || (0x2066...0x2069).contains(scalar.value)
            let shown = isControl || isBidirectionalMark ? scalar.escaped(asASCII: true) : String(scalar)
            size += shown.utf8.count
            guard size <= limit else { return result }
            result += shown
        }
        return result
    }
}
