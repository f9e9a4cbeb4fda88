import ArgumentParser
import BackgroundJobs

/// `bg-cli batch`
struct BatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "batch",
        abstract: "Shows how far a batch of jobs is, and its callbacks.",
        usage: "bg-cli batch <id> [--json] [--close] [<options>]",
        discussion: """
            A batch that is being filled can't be complete. Where the process that filled it has died on the way, --close \
            says that what it has is all there will be.

            Example:
              bg-cli batch 4a1f0a5e-6a0e-4b0f-9f55-2d8b7d6a3c11
            """
    )

    @Argument(help: ArgumentHelp("The batch's ID.", valueName: "id"))
    var id: String

    @Flag(help: "As JSON.")
    var json = false

    @Flag(help: "Let it be complete without further jobs.")
    var close = false

    @OptionGroup
    var connection: ConnectionOptions

    func run() async throws {
        try await connection.withManager { manager in
            let batch = try manager.batch(id: id)
            if close { try await batch.close() }
            guard let status = try await batch.status() else {
                throw BackgroundError(.jobNotFound, "There is no batch with the ID \(id), or it is kept no longer.")
            }
            if json {
                try JSONOutput.print(status)
            } else {
                try StandardStream.output.write(Self.text(status))
            }
        }
    }

    private static func text(_ status: BatchStatus) -> String {
        let counts = status.counts
        let ended = counts.total - counts.pending
        let percent = counts.total == 0 ? "" : " (\(ended * 100 / counts.total) %)"
        let state =
            status.completedAt.map { "complete since \(Timestamp.text($0))" }
            ?? (status.isOpen ? "open: jobs are being added" : "under way")
        let lines: [(String, String?)] = [
            ("description", status.description), ("state", state),
            ("made", status.createdAt.map(Timestamp.text)), ("ended", "\(ended) of \(counts.total)\(percent)"),
            ("completed", "\(counts.completed)"), ("dead", "\(counts.dead)"), ("other", "\(counts.other)"),
            ("on complete", status.onComplete), ("on success", status.onSuccess), ("on death", status.onDeath),
            ("part of", status.parent),
        ]
        return "batch \(counts.id)\n"
            + lines.compactMap { name, value in
                value.map { "  \(name)\(String(repeating: " ", count: 13 - name.count)) \(Printable.escaped($0))\n" }
            }.joined()
    }
}
