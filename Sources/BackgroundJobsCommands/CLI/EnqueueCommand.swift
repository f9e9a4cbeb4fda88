import ArgumentParser
import BackgroundJobs
import Foundation

/// `bg-cli enqueue`
struct EnqueueCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enqueue",
        abstract: "Enqueues jobs and prints their IDs, one a line.",
        usage: """
            bg-cli enqueue <class> [<json>] [-q <queue>] [--in <time>] [<options>]
            bg-cli enqueue <class> --file <file> [-q <queue>] [<options>]
            """,
        discussion: """
            A job has a class, which says what is to be done, and arguments: one JSON value, by convention an object. What \
            the options of the job leave open is as the job's class says in the worker, else the default given here.

            With --unique a second job of the same kind is not queued. Then the ID that is printed is that of the job that \
            holds the lock, and standard error says that it is a duplicate.

            Examples:
              bg-cli enqueue Jobs::Nap '{"sleep":1}'
              bg-cli enqueue Mail '{"to":"a@example.org"}' -q mail --in 5m
              bg-cli enqueue Report --at 2026-12-01T08:00:00Z --id report-2026-12
              bg-cli enqueue Sync --retries 3 --backoff fixed:5s --timeout 30s
              bg-cli enqueue Sync --unique 60s --on-duplicate replace-time
              bg-cli enqueue Resize --file arguments.jsonl
              generate | bg-cli enqueue Resize --file -
            """
    )

    @Argument(help: ArgumentHelp("The class, as the workers know it.", valueName: "class"))
    var className: String

    @Argument(help: ArgumentHelp("The arguments; {} if there are none.", valueName: "json"))
    var arguments: String?

    @Option(name: [.customShort("q"), .long], help: "The queue.")
    var queue = "default"

    @Option(
        name: .customLong("in"),
        help: ArgumentHelp("Run it after this time: 500ms, 5s, 5m, 2h, 1d.", valueName: "time"),
        transform: DurationArgument.parser()
    )
    var delay: DurationArgument?

    @Option(
        name: .customLong("at"),
        help: ArgumentHelp("Run it at this time, as in 2026-12-01T08:00:00Z or …+01:00.", valueName: "time"),
        transform: Self.time
    )
    var time: Date?

    @Option(help: "An ID of your choice; a job that is there already under it is not queued again.")
    var id: String?

    @Option(help: ArgumentHelp("Enqueue as many jobs with these arguments.", valueName: "n"))
    var count = 1

    @Option(
        help: ArgumentHelp(
            "Enqueue a job for each line of a file, each one JSON value; - is standard input. Blank lines are skipped.",
            valueName: "file"
        ),
        completion: .file()
    )
    var file: String?

    @OptionGroup(title: "Options of the job")
    var options: JobOptionFlags

    @OptionGroup
    var connection: ConnectionOptions

    func validate() throws {
        if delay != nil, time != nil { throw ValidationError("--in and --at exclude each other.") }
        if count < 1 { throw ValidationError("--count is a number from 1.") }
        if file != nil, arguments != nil || count != 1 {
            throw ValidationError("With --file the arguments come from the file: give neither JSON nor --count.")
        }
        if id != nil, file != nil || count != 1 {
            throw ValidationError("--id names one job: it goes neither with --file nor with --count.")
        }
        try Self.check(arguments: arguments ?? "{}")
    }

    static func check(arguments: String) throws {
        do {
            try JSONScanner.check(Array(arguments.utf8), maximumDepth: Enqueuing.maximumDepth)
        } catch {
            throw ValidationError("The arguments are not one JSON value: \(error).")
        }
    }

    func run() async throws {
        try await connection.withManager { manager in
            if let id {
                let queued = try await manager.enqueue(
                    className,
                    arguments: arguments ?? "{}",
                    in: delay?.duration,
                    at: time,
                    queue: queue,
                    id: id,
                    options: options.options
                )
                try StandardStream.output.write(queued.id + "\n")
                if queued.isDuplicate {
                    note(
                        queued.id == id
                            ? "A job with this ID is there already: nothing was queued." : Enqueuing.duplicate
                    )
                }
                return
            }
            var enqueuing = Enqueuing(
                manager: manager,
                className: className,
                queue: queue,
                delay: delay?.duration,
                time: time,
                options: options.options
            )
            defer { enqueuing.tellDuplicates() }
            if let file {
                try await enqueuing.lines(of: file)
            } else {
                try await enqueuing.copies(of: arguments ?? "{}", count)
            }
        }
    }

    @Sendable
    static func time(_ text: String) throws -> Date {
        guard let date = Timestamp.parse(text) else {
            throw ValidationError("A time is a date, a time of day and a zone, as in 2026-12-01T08:00:00Z.")
        }
        return date
    }
}
