import ArgumentParser
import BackgroundJobs

/// `bg-cli summary`
struct SummaryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "summary",
        abstract: "Shows all there is: sums, queues, and workers with what they run.",
        usage: "bg-cli summary [--json] [<options>]",
        discussion: """
            What has happened since the beginning is counted apart from the records, so trimming takes nothing away from it. \
            completed counts attempts that succeeded, failed those that failed by themselves, crashed those whose worker \
            vanished, dead the jobs whose attempts were used up.

            Example:
              bg-cli summary --json
            """
    )

    @Flag(help: "As JSON.")
    var json = false

    @OptionGroup
    var connection: ConnectionOptions

    func run() async throws {
        let summary = try await connection.withInspector { try await $0.summary() }
        if json {
            try JSONOutput.print(summary)
        } else {
            try StandardStream.output.write(SummaryText.text(summary))
        }
        for problem in summary.queues.flatMap(\.status.problems) { note(problem) }
    }
}
