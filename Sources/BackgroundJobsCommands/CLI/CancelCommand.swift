import ArgumentParser
import BackgroundJobs

/// `bg-cli cancel`
struct CancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Cancels jobs that wait or run.",
        usage: "bg-cli cancel <id> ... [<options>]",
        discussion: """
            Prints a line for each ID: the ID and what became of it. cancelled: it waited, was taken out and recorded as \
            cancelled. told: it runs, and its worker was told to cancel its task; it ends as cancelled, without retries, \
            unless it succeeds all the same. ended: it had ended before. missing: there is no such job. For the last two \
            the exit code is 1.

            Example:
              bg-cli cancel 4a1f0a5e-6a0e-4b0f-9f55-2d8b7d6a3c11
            """
    )

    @Argument(help: ArgumentHelp("The jobs' IDs.", valueName: "id"))
    var ids: [String]

    @OptionGroup
    var connection: ConnectionOptions

    func validate() throws {
        try Selection.check(ids)
    }

    func run() async throws {
        let missed = try await connection.withInspector { inspector in
            var missed = 0
            for id in ids {
                let outcome: String
                do {
                    let cancellation = try await inspector.cancel(id)
                    outcome = cancellation.rawValue
                    if cancellation == .ended { missed += 1 }
                } catch let error as BackgroundError where error.code == .jobNotFound {
                    outcome = "missing"
                    missed += 1
                }
                try StandardStream.output.write("\(id) \(outcome)\n")
            }
            return missed
        }
        if missed > 0 { throw ExitCode(1) }
    }
}
