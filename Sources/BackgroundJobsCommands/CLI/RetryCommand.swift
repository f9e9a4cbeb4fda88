import ArgumentParser
import BackgroundJobs

/// `bg-cli retry`
struct RetryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry",
        abstract: "Runs jobs once more.",
        usage: """
            bg-cli retry <id> ... [<options>]
            bg-cli retry --all -q <queue> [--class <class>] [--error <error>]
            bg-cli retry <id> --edit <json> [<options>]
            """,
        discussion: """
            A job that ended without success goes to the end of its queue as if it were new, and so does one that waits for \
            its time. --all: all dead jobs of the queue, in bounded steps, those that died first first.

            With IDs it prints a line for each: the ID and what became of it. queued: it is the last one in its queue now. \
            waiting, running: it does so anyway. ended: it has succeeded, or can't be taken back. missing: there is no such \
            job. damaged: standard error says why. For the last three the exit code is 1.

            --edit enqueues a copy of the job with other arguments, notes its origin (ori), and prints the new ID; the job \
            stays as it is.

            Examples:
              bg-cli retry 4a1f0a5e-6a0e-4b0f-9f55-2d8b7d6a3c11
              bg-cli retry --all -q mail --class Mail --error 'SMTP*'
              bg-cli retry 4a1f0a5e-6a0e-4b0f-9f55-2d8b7d6a3c11 --edit '{"n":2}'
            """
    )

    @OptionGroup
    var selection: Selection

    @Option(help: ArgumentHelp("Enqueue a copy with these arguments instead.", valueName: "json"))
    var edit: String?

    @OptionGroup
    var connection: ConnectionOptions

    func validate() throws {
        if !selection.all, selection.queue != nil { throw ValidationError("-q goes with --all: an ID needs no queue.") }
        guard let edit else { return }
        guard selection.ids.count == 1 else { throw ValidationError("--edit goes with one ID.") }
        try EnqueueCommand.check(arguments: edit)
    }

    func run() async throws {
        let isDone = try await connection.withInspector { inspector in
            if let edit {
                let copy = try await inspector.copy(selection.ids[0], arguments: edit)
                try StandardStream.output.write(copy + "\n")
                return true
            }
            return try await Steering(inspector: inspector, list: .dead, selection: selection).retry()
        }
        if !isDone { throw ExitCode(1) }
    }
}
