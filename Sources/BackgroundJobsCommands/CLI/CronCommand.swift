import ArgumentParser
import BackgroundJobs
import Foundation

/// `bg-cli cron`
struct CronCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cron",
        abstract: "Periodic jobs: makes, lists, pauses and removes them.",
        discussion: """
            Watchers enqueue the jobs when their times come. Worker programs declare periodic jobs of their own; those made here \
            belong to nobody.

            Examples:
              bg-cli cron add nightly '0 3 * * *' Cleanup '{"days":30}' --tz Europe/Berlin
              bg-cli cron add beat 'every 30s' Beat -q low --no-overlap
              bg-cli cron list
              bg-cli cron next '0 3 * * MON-FRI' --tz America/New_York
            """,
        subcommands: [
            CronAddCommand.self, CronListCommand.self, CronShowCommand.self, CronRemoveCommand.self,
            CronPauseCommand.self,
            CronResumeCommand.self, CronRunCommand.self, CronNextCommand.self,
        ]
    )
}

/// An expression of the command line and its time zone.
struct ScheduleArgument: ParsableArguments {
    static let help = ArgumentHelp(
        """
        Five fields, minute, hour, day of the month, month, day of the week, or six with the second in front; @daily and the \
        like; or every 30s. In quotes.
        """,
        valueName: "expression"
    )

    @Option(
        name: .customLong("tz"),
        help: ArgumentHelp("The time zone of the expression, such as Europe/Berlin. (default: UTC)", valueName: "zone")
    )
    var zone: String?

    /// Reads an expression, with an error that says what to write instead.
    func schedule(_ text: String) throws -> PeriodicSchedule {
        guard let period = try Self.period(text) else {
            let schedule = PeriodicSchedule.cron(text, timeZone: zone ?? "UTC")
            _ = try Self.checked(schedule)
            return schedule
        }
        if zone != nil { throw ValidationError("A plain period is the same in all time zones: leave out --tz.") }
        return try Self.checked(.every(period))
    }

    private static func checked(_ schedule: PeriodicSchedule) throws -> PeriodicSchedule {
        do {
            _ = try schedule.next(1)
        } catch {
            throw ValidationError(error.message)
        }
        return schedule
    }

    /// The time behind `every`; nil if the text is no such thing.
    private static func period(_ text: String) throws -> Duration? {
        let words = text.split { $0.isWhitespace || $0 == ":" }
        guard words.first == "every" || words.first == "@every" else { return nil }
        guard words.count == 2 else {
            throw ValidationError("A plain period is the word every and a time, as in 'every 30s'.")
        }
        return try DurationArgument.parse(String(words[1])).duration
    }
}

/// `bg-cli cron add`
struct CronAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Makes a periodic job, or changes one that was made here.",
        usage: """
            bg-cli cron add <name> <expression> <class> [<json>] [-q <queue>]
                            [--tz <zone>] [<options>]
            """,
        discussion: """
            Without --tz the expression speaks of UTC. A time that the clocks show twice, when they are set back, runs the first time; \
            one that they leave out runs at the first moment after. Where minute or hour begin with *, it runs whenever the clocks \
            show a matching time.

            What has not changed goes on as it stands. One that has ended begins anew.

            Examples:
              bg-cli cron add nightly '0 3 * * *' Cleanup '{"days":30}' --tz Europe/Berlin
              bg-cli cron add beat 'every 30s' Beat -q low --no-overlap --expires 30s
              bg-cli cron add sale '*/5 9-17 * * MON-FRI' Offer --until 2026-12-24T18:00:00Z
            """
    )

    @Argument(help: ArgumentHelp("Its name, of A-Z a-z 0-9 _ - . @", valueName: "name"))
    var name: String

    @Argument(help: ScheduleArgument.help)
    var expression: String

    @Argument(help: ArgumentHelp("The class, as the workers know it.", valueName: "class"))
    var className: String

    @Argument(help: ArgumentHelp("The arguments; {} if there are none.", valueName: "json"))
    var arguments: String?

    @Option(name: [.customShort("q"), .long], help: "The queue.")
    var queue = "default"

    @OptionGroup
    var schedule: ScheduleArgument

    @Option(
        help: ArgumentHelp(
            """
            Times at which no watcher ran: once runs the last of them when it can, none leaves out what is more than 10 s late. \
            (default: once)
            """,
            valueName: "what"
        ),
        transform: NamedValue.parse
    )
    var missed: MissedTimes?

    @Flag(help: "Leave out a time while the job before waits or runs.")
    var noOverlap = false

    @Option(parsing: .unconditional, help: ArgumentHelp("End after so many times. (default: never)", valueName: "n"))
    var count: Int?

    @Option(
        help: ArgumentHelp(
            "Run no time after this one, as in 2026-12-01T08:00:00Z. (default: for ever)",
            valueName: "time"
        ),
        transform: EnqueueCommand.time
    )
    var until: Date?

    @OptionGroup(title: "Options of the jobs")
    var options: JobOptionFlags

    @OptionGroup
    var connection: ConnectionOptions

    func validate() throws {
        if let count, count < 1 { throw ValidationError("--count is a number from 1.") }
        if options.unique != nil {
            throw ValidationError(
                "Periodic jobs take no uniqueness locks: --no-overlap leaves out a time while the job before waits or runs."
            )
        }
        try EnqueueCommand.check(arguments: arguments ?? "{}")
        _ = try schedule.schedule(expression)
    }

    func run() async throws {
        let job = try PeriodicJob(
            name,
            try schedule.schedule(expression),
            className: className,
            arguments: arguments ?? "{}",
            queue: queue,
            options: options.options,
            missed: missed ?? .once,
            overlap: noOverlap ? .skip : .allow,
            count: count,
            until: until
        )
        try await connection.withInspector { inspector in
            let outcome = try await inspector.declare(job)
            let next = try await inspector.periodicJob(name)
            let time = next?.next.map { ", next \(Timestamp.text($0))" } ?? next.map { ", \($0.state.rawValue)" } ?? ""
            try StandardStream.output.write("\(name) \(outcome.rawValue)\(time)\n")
            if next?.state == .paused { note("It is paused: bg-cli cron resume \(name)") }
            if try await inspector.watchers() == 0 { note("No watcher is connected: nobody fires it.") }
        }
    }
}

/// `bg-cli cron next`
struct CronNextCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "next",
        abstract: "Lists the next times of an expression, without Redis.",
        usage: "bg-cli cron next <expression> [--tz <zone>] [-c <n>] [--json] [<options>]",
        discussion: """
            Each line has the time in UTC, and behind it what the clocks of the time zone show.

            Examples:
              bg-cli cron next '0 3 * * *' --tz Europe/Berlin
              bg-cli cron next '*/15 9-17 * * MON-FRI' -c 10
            """
    )

    @Argument(help: ScheduleArgument.help)
    var expression: String

    @OptionGroup
    var schedule: ScheduleArgument

    @Option(name: .shortAndLong, help: ArgumentHelp("How many, 1 to 1000.", valueName: "n"))
    var count = 5

    @Flag(help: "As JSON.")
    var json = false

    @OptionGroup
    var connection: ConnectionOptions

    func validate() throws {
        guard (1...1000).contains(count) else { throw ValidationError("--count lies in 1 to 1000.") }
        _ = try schedule.schedule(expression)
    }

    func run() async throws {
        let parsed = try schedule.schedule(expression)
        let times = try parsed.next(count)
        if json { return try JSONOutput.print(times) }
        for time in times { try StandardStream.output.write(CronText.time(time, schedule.zone) + "\n") }
    }
}
