import ArgumentParser
import BackgroundJobs

/// `bg-cli job`
struct JobCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "job",
        abstract: "Shows a job, where it is, and all its attempts, the oldest first.",
        usage: "bg-cli job <id> [--json] [<options>]",
        discussion: """
            Example:
              bg-cli job 4a1f0a5e-6a0e-4b0f-9f55-2d8b7d6a3c11
            """
    )

    @Argument(help: ArgumentHelp("The job's ID.", valueName: "id"))
    var id: String

    @Flag(help: "As JSON. Bytes that are no text come as {\"base64\": …}.")
    var json = false

    @OptionGroup
    var connection: ConnectionOptions

    func run() async throws {
        try await connection.withInspector { try await Self.show(id, json: json, $0) }
    }

    static func show(_ id: String, json: Bool, _ inspector: Inspector) async throws {
        guard let history = try await inspector.job(id, attempts: 1000) else {
            throw BackgroundError(.jobNotFound, "There is no job with the ID \(id).")
        }
        if json {
            try JSONOutput.print(history)
        } else {
            try StandardStream.output.write(JobText.text(history))
        }
        if history.hasEarlierAttempts { note("It has had more attempts than these.") }
    }
}
