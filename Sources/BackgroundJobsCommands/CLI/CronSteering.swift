import ArgumentParser
import BackgroundJobs

/// `bg-cli cron list`
struct CronListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Lists all periodic jobs, the next one first.",
        usage: "bg-cli cron list [--json] [<options>]",
        discussion: """
            next: when it is due, or how it stands. fired: how many times since it was declared as it is. owner: the program that \
            declares it.

            Example:
              bg-cli cron list --json
            """
    )

    @Flag(help: "As JSON.")
    var json = false

    @OptionGroup
    var connection: ConnectionOptions

    func run() async throws {
        let records = try await connection.withInspector { try await $0.periodicJobs() }
        if json { return try JSONOutput.print(records) }
        guard !records.isEmpty else { return note("There are no periodic jobs.") }
        try StandardStream.output.write(CronText.table(records))
        for record in records {
            for problem in record.problems { note("\(record.name): \(problem)") }
        }
    }
}

/// The name that the other commands take.
struct PeriodicName: ParsableArguments {
    @Argument(help: ArgumentHelp("The periodic job's name.", valueName: "name"))
    var name: String

    @OptionGroup
    var connection: ConnectionOptions

    func validate() throws {
        do {
            try Names.checkPeriodic(name)
        } catch {
            throw ValidationError(error.message)
        }
    }
}

/// `bg-cli cron show`
struct CronShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Shows a periodic job and its next five times.",
        usage: "bg-cli cron show <name> [--json] [<options>]",
        discussion: """
            Example:
              bg-cli cron show nightly
            """
    )

    @OptionGroup
    var periodic: PeriodicName

    @Flag(help: "As JSON.")
    var json = false

    func run() async throws {
        let name = periodic.name
        guard let record = try await periodic.connection.withInspector({ try await $0.periodicJob(name) }) else {
            throw BackgroundError(.jobNotFound, "There is no periodic job with the name \(name).")
        }
        if json { return try JSONOutput.print(record) }
        try StandardStream.output.write(CronText.text(record))
        for problem in record.problems { note(problem) }
    }
}

/// `bg-cli cron remove`
struct CronRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Removes a periodic job; jobs that it has fired go on.",
        usage: "bg-cli cron remove <name> [<options>]",
        discussion: """
            What a worker program declares it declares again when it starts; to keep it from being fired, pause it.

            Example:
              bg-cli cron remove nightly
            """
    )

    // Any: one that is no name may have got there by hand.
    @Argument(help: ArgumentHelp("The periodic job's name.", valueName: "name"))
    var name: String

    @OptionGroup
    var connection: ConnectionOptions

    func run() async throws {
        try await connection.withInspector { inspector in
            let owner = (try? await inspector.periodicJob(name))?.owner
            try await inspector.removePeriodic(name)
            try StandardStream.output.write("\(Printable.escaped(name)) removed\n")
            if let owner {
                note("The program \(owner) declares it: it will do so again when one of its workers starts.")
            }
        }
    }
}

/// `bg-cli cron pause`
struct CronPauseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract: "Keeps a periodic job from being fired until it is resumed.",
        usage: "bg-cli cron pause <name> [<options>]",
        discussion: """
            It stays paused when its program starts again. Times that come meanwhile are not made up for.

            Example:
              bg-cli cron pause nightly
            """
    )

    @OptionGroup
    var periodic: PeriodicName

    func run() async throws {
        let isDone = try await periodic.connection.withInspector { try await $0.pausePeriodic(periodic.name) }
        try StandardStream.output.write("\(periodic.name) \(isDone ? "paused" : "ended")\n")
        if !isDone { throw ExitCode(1) }
    }
}

/// `bg-cli cron resume`
struct CronResumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Lets a paused periodic job be fired again, from its next time on.",
        usage: "bg-cli cron resume <name> [<options>]",
        discussion: """
            Example:
              bg-cli cron resume nightly
            """
    )

    @OptionGroup
    var periodic: PeriodicName

    func run() async throws {
        let isDone = try await periodic.connection.withInspector { try await $0.resumePeriodic(periodic.name) }
        try StandardStream.output.write("\(periodic.name) \(isDone ? "resumed" : "ended")\n")
        if !isDone { throw ExitCode(1) }
    }
}

/// `bg-cli cron run`
struct CronRunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Enqueues a job of a periodic job now, and prints its ID.",
        usage: "bg-cli cron run <name> [<options>]",
        discussion: """
            Also where it is paused, has ended, or its job before has not. Its times and its count stay as they are.

            Example:
              bg-cli cron run nightly
            """
    )

    @OptionGroup
    var periodic: PeriodicName

    func run() async throws {
        let job = try await periodic.connection.withInspector { try await $0.runPeriodic(periodic.name) }
        try StandardStream.output.write("\(job)\n")
    }
}
