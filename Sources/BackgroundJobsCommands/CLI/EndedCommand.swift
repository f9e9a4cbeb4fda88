import ArgumentParser
import BackgroundJobs

/// What `bg-cli dead` and `bg-cli failed` are about.
protocol EndedList: Sendable {
    static var list: JobList { get }
    static var abstract: String { get }
    /// What its IDs are IDs of.
    static var entries: String { get }
    /// An ID for the examples.
    static var example: String { get }
    static var retrying: String { get }
    static var deleting: String { get }
}

enum DeadJobs: EndedList {
    static let list = JobList.dead
    static let abstract = "Shows, retries and deletes jobs whose attempts are used up."
    static let entries = "dead jobs"
    static let example = "4a1f0a5e-6a0e-4b0f-9f55-2d8b7d6a3c11"
    static let retrying = "A job goes to the end of its queue as if it were new."
    static let deleting = "A job goes with all its attempts."
}

enum FailedAttempts: EndedList {
    static let list = JobList.failed
    static let abstract = "Shows, retries and deletes attempts that failed."
    static let entries = "failed attempts"
    static let example = "90f23b6c-52f1-4d0e-8a63-0c1d6f1f7e02"
    static let retrying = """
        The IDs are those of attempts; retried are their jobs, each of them once: they go to the ends of their queues as \
        if they were new.
        """
    static let deleting = """
        The IDs are those of attempts. A job that has ended goes with its last attempt; the last attempt of a dead job \
        stays, and goes with the job (bg-cli dead delete).
        """
}

/// `bg-cli dead` and `bg-cli failed`
struct EndedCommand<Ended: EndedList>: ParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: Ended.list.rawValue,
            abstract: Ended.abstract,
            discussion: """
                Without a subcommand it lists them.

                Examples:
                  bg-cli \(Ended.list.rawValue) list -q mail --class Mail
                  bg-cli \(Ended.list.rawValue) retry --all -q mail --error 'SMTP*'
                """,
            subcommands: [
                EndedListCommand<Ended>.self, EndedShowCommand<Ended>.self, EndedRetryCommand<Ended>.self,
                EndedDeleteCommand<Ended>.self,
            ],
            defaultSubcommand: EndedListCommand<Ended>.self
        )
    }
}

/// `bg-cli dead list` and `bg-cli failed list`
struct EndedListCommand<Ended: EndedList>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "list",
            abstract: "Lists \(Ended.entries), the latest first.",
            usage: "bg-cli \(Ended.list.rawValue) list [-q <queue>] [--error <error>] [<options>]",
            discussion: """
                Example:
                  bg-cli \(Ended.list.rawValue) list -q mail --error 'SMTP*' --limit 50
                """
        )
    }

    @OptionGroup
    var page: PageOptions

    @OptionGroup
    var filter: FilterFlags

    @OptionGroup
    var connection: ConnectionOptions

    func run() async throws {
        try await page.show(Ended.list, filter.filter, connection) { JobsTable.ended($0, Ended.list) }
    }
}

/// `bg-cli dead show` and `bg-cli failed show`
struct EndedShowCommand<Ended: EndedList>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "show",
            abstract: Ended.list == .dead
                ? "Shows a job and all its attempts, as bg-cli job does." : "Shows an attempt, and its job.",
            usage: "bg-cli \(Ended.list.rawValue) show <id> [--json] [<options>]",
            discussion: """
                Example:
                  bg-cli \(Ended.list.rawValue) show \(Ended.example)
                """
        )
    }

    @Argument(help: ArgumentHelp("The ID.", valueName: "id"))
    var id: String

    @Flag(help: "As JSON. Bytes that are no text come as {\"base64\": …}.")
    var json = false

    @OptionGroup
    var connection: ConnectionOptions

    func validate() throws {
        try Selection.check([id])
    }

    func run() async throws {
        try await connection.withInspector { inspector in
            if Ended.list == .dead { return try await JobCommand.show(id, json: json, inspector) }
            guard let attempt = try await inspector.attempt(id) else {
                throw BackgroundError(.jobNotFound, "There is no attempt with the ID \(id).")
            }
            let job = if let job = attempt.job { try? await inspector.job(job)?.job } else { JobRecord?.none }
            if json {
                try JSONOutput.print(ShownAttempt(attempt: attempt, job: job))
            } else {
                try StandardStream.output.write(JobText.text(attempt, of: job))
            }
        }
    }

    private struct ShownAttempt: Encodable {
        var attempt: AttemptRecord
        var job: JobRecord?
    }
}

/// `bg-cli dead retry` and `bg-cli failed retry`
struct EndedRetryCommand<Ended: EndedList>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "retry",
            abstract: Ended.list == .dead ? "Runs dead jobs once more." : "Runs the jobs of failed attempts once more.",
            usage: SteeringUsage.text("\(Ended.list.rawValue) retry"),
            discussion: """
                \(Ended.retrying) --all goes through the queue's in bounded steps, the oldest first.

                With IDs it prints a line for each: the ID and what became of the job. queued: it is the last one in its queue \
                now. waiting, running: it does so anyway. ended: it has succeeded, or can't be taken back. missing: there is \
                none. damaged: standard error says why. For the last three the exit code is 1.

                Examples:
                  bg-cli \(Ended.list.rawValue) retry \(Ended.example)
                  bg-cli \(Ended.list.rawValue) retry --all -q mail --class Mail
                """
        )
    }

    @OptionGroup
    var selection: Selection

    @OptionGroup
    var connection: ConnectionOptions

    func validate() throws {
        if !selection.all, selection.queue != nil { throw ValidationError("-q goes with --all: an ID needs no queue.") }
    }

    func run() async throws {
        let isDone = try await connection.withInspector { inspector in
            try await Steering(inspector: inspector, list: Ended.list, selection: selection).retry()
        }
        if !isDone { throw ExitCode(1) }
    }
}

/// `bg-cli dead delete` and `bg-cli failed delete`
struct EndedDeleteCommand<Ended: EndedList>: AsyncParsableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(
            commandName: "delete",
            abstract: "Deletes \(Ended.entries).",
            usage: SteeringUsage.text("\(Ended.list.rawValue) delete"),
            discussion: """
                \(Ended.deleting) --all goes through the queue's in bounded steps, the oldest first, and asks before.

                With IDs it prints a line for each: the ID and deleted, kept (it has to stay), missing (it was not there) or damaged (it stays whole; a message says why). \
                For the last two the exit code is 1. With -q they are looked for in that queue, without in the one that \
                their records name.

                Examples:
                  bg-cli \(Ended.list.rawValue) delete \(Ended.example)
                  bg-cli \(Ended.list.rawValue) delete --all -q mail --error 'SMTP*' --yes
                """
        )
    }

    @OptionGroup
    var selection: Selection

    @OptionGroup
    var confirmation: Confirmation

    @OptionGroup
    var connection: ConnectionOptions

    func run() async throws {
        let isDone = try await connection.withInspector { inspector in
            if selection.all { try confirmation.ask("This deletes the \(Ended.entries) \(selection.text).") }
            return try await Steering(inspector: inspector, list: Ended.list, selection: selection).delete()
        }
        if !isDone { throw ExitCode(1) }
    }
}

private enum SteeringUsage {
    static func text(_ verb: String) -> String {
        """
        bg-cli \(verb) <id> ... [<options>]
        bg-cli \(verb) --all -q <queue> [--class <class>] [--error <error>]
        """
    }
}
