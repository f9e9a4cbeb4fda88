import ArgumentParser
import BackgroundJobs

/// `bg-cli queue`
struct QueueCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "queue",
        abstract: "Lists, pauses, resumes, clears and moves queues.",
        discussion: """
            Without a subcommand it lists them.

            Examples:
              bg-cli queue list
              bg-cli queue pause low
              bg-cli queue move low high
            """,
        subcommands: [
            QueueListCommand.self, QueuePauseCommand.self, QueueResumeCommand.self, QueueClearCommand.self,
            QueueMoveCommand.self,
        ],
        defaultSubcommand: QueueListCommand.self
    )
}

/// `bg-cli queue list`
struct QueueListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists all queues, with what there is in each.",
        usage: "bg-cli queue list [--json] [<options>]",
        discussion: """
            state: open, or paused: then nothing is claimed from it. workers: live workers that serve the queue. placed: jobs \
            that wait for some nodes only. The other columns count jobs; processing, completed and failed count attempts.

            Example:
              bg-cli queue list --json
            """
    )

    @Flag(help: "As JSON, with the age of the oldest ready job.")
    var json = false

    @OptionGroup
    var connection: ConnectionOptions

    func run() async throws {
        let status = try await connection.withInspector { try await $0.status() }
        if json { return try JSONOutput.print(status.queues) }
        if status.queues.isEmpty { return note("There are no queues here yet.") }
        try StandardStream.output.write(Self.table(status.queues))
        for problem in status.queues.flatMap(\.problems) { note(problem) }
    }

    static func table(_ queues: [QueueStatus]) -> String {
        var table = TextTable(
            [
                "queue", "state", "workers", "ready", "scheduled", "suspects", "placed", "processing", "completed",
                "failed", "dead",
            ],
            rightAligned: Set(2...10)
        )
        for queue in queues {
            let counts = [
                queue.workers, queue.ready, queue.scheduled, queue.suspects, queue.placed, queue.processing,
                queue.completed, queue.failed, queue.dead,
            ]
            table.add([queue.name, queue.isPaused ? "paused" : "open"] + counts.map { "\($0)" })
        }
        return table.text
    }
}

/// The queues that a command is about.
struct QueueNames: ParsableArguments {
    @Argument(help: ArgumentHelp("The queues.", valueName: "queue"))
    var queues: [String]

    func validate() throws {
        for queue in queues { try Selection.check(queue: queue) }
    }

    /// Pauses or resumes them, and prints what became of each.
    func change(
        _ connection: ConnectionOptions,
        _ word: String,
        _ verb: (Inspector, [String]) async throws -> [String]
    ) async throws {
        try await connection.withInspector { inspector in
            let known = try await inspector.queues()
            let changed = try await verb(inspector, queues)
            for queue in queues {
                try StandardStream.output.write("\(queue) \(changed.contains(queue) ? word : "unchanged")\n")
            }
            for queue in queues where !known.contains(queue) {
                note("No queue \(queue) is known here. If the name is right, it counts once there is one.")
            }
        }
    }

    /// Says which of the queues nobody has used yet: their names may be misspelt.
    static func tellUnknown(_ queues: [String], _ inspector: Inspector) async throws {
        let known = try await inspector.queues()
        for queue in queues where !known.contains(queue) { note("No queue \(queue) is known here.") }
    }
}

/// `bg-cli queue pause`
struct QueuePauseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract: "Lets nothing be claimed from queues.",
        usage: "bg-cli queue pause <queue> ... [<options>]",
        discussion: """
            It counts at once, everywhere. Jobs that run go on to their ends; a paused queue accepts jobs, and those that \
            are scheduled become ready. Prints a line for each queue: its name, and paused or unchanged.

            Example:
              bg-cli queue pause low
            """
    )

    @OptionGroup
    var names: QueueNames

    @OptionGroup
    var connection: ConnectionOptions

    func run() async throws {
        try await names.change(connection, "paused") { try await $0.pause($1) }
    }
}

/// `bg-cli queue resume`
struct QueueResumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Lets jobs be claimed from paused queues again.",
        usage: "bg-cli queue resume <queue> ... [<options>]",
        discussion: """
            Workers notice within a second. Prints a line for each queue: its name, and resumed or unchanged.

            Example:
              bg-cli queue resume low
            """
    )

    @OptionGroup
    var names: QueueNames

    @OptionGroup
    var connection: ConnectionOptions

    func run() async throws {
        try await names.change(connection, "resumed") { try await $0.resume($1) }
    }
}
