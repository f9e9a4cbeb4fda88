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
            the options of the job leave open is as the job's class says in the worker, else the default given here; but \
            --expires and --unique are for whoever enqueues: those of a class count for Swift producers alone.

            With --unique a second job of the same kind is not queued. Then the ID that is printed is that of the job that \
            holds the lock, and standard error says that it is a duplicate.

            With --wait the ID goes to standard error, and the job's result, one JSON value, to standard output. The exit \
            code is 0 if the job completed, else 1, and standard error says how it ended.

            Examples:
              bg-cli enqueue Jobs::Nap '{"sleep":1}'
              bg-cli enqueue Mail '{"to":"a@example.org"}' -q mail --in 5m
              bg-cli enqueue Report --at 2026-12-01T08:00:00Z --id report-2026-12
              bg-cli enqueue Sync --retries 3 --backoff fixed:5s --timeout 30s
              bg-cli enqueue Sync --unique 60s --on-duplicate replace-time
              bg-cli enqueue Sum '{"of":[1,2]}' --wait --within 30s
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

    @Flag(help: "Wait until the job has ended for good, and print its result.")
    var wait = false

    @Option(
        help: ArgumentHelp("With --wait: no longer than this; the job goes on.", valueName: "time"),
        transform: DurationArgument.parser()
    )
    var within: DurationArgument?

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
        if wait, file != nil || count != 1 {
            throw ValidationError("--wait waits for one job: it goes neither with --file nor with --count.")
        }
        if within != nil, !wait { throw ValidationError("--within is for --wait.") }
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
            if id != nil || wait {
                let queued = try await manager.enqueue(
                    className,
                    arguments: arguments ?? "{}",
                    in: delay?.duration,
                    at: time,
                    queue: queue,
                    id: id,
                    options: options.options
                )
                if wait { note(queued.id) } else { try StandardStream.output.write(queued.id + "\n") }
                if queued.isDuplicate {
                    note(
                        queued.id == id
                            ? "A job with this ID is there already: nothing was queued."
                            : queued.hasReplaced ? Enqueuing.replaced : Enqueuing.duplicate
                    )
                }
                if wait { try await print(queued) }
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

    /// Waits for the job and prints its result.
    private func print(_ handle: JobHandle<Void>) async throws {
        let end: JobEnd
        do {
            end = try await handle.end(within: within?.duration)
        } catch let error as BackgroundError where error.code == .timedOut {
            throw CommandFailure(code: 1, message: error.message + (await whyItWaits(handle.id)))
        }
        guard end.isCompleted else { throw CommandFailure(code: 1, message: "\(JobFailed(end: end)).") }
        if let output = end.output { try StandardStream.output.write(output + "\n") }
    }

    /// What keeps a job from beginning, as far as that can be seen; else nothing.
    private func whyItWaits(_ id: String) async -> String {
        let sentence = try? await connection.withInspector { inspector -> String? in
            guard let job = try await inspector.job(id)?.job, let queue = job.queue else { return nil }
            guard let status = try await inspector.status(queues: [queue]).queues.first else { return nil }
            switch job.state {
            case .placed: return "It has not begun: no worker that it may run on is connected"
            case .ready, .handoff, .suspect:
                if status.isPaused { return "It has not begun: \(queue) is paused" }
                if status.workers == 0 { return "It has not begun: no worker that serves \(queue) is connected" }
                return "It has not begun: \(status.ready) jobs wait in \(queue)"
            default: return nil
            }
        }
        return sentence.flatMap { $0 }.map { " \($0)." } ?? ""
    }

    @Sendable
    static func time(_ text: String) throws -> Date {
        guard let date = Timestamp.parse(text) else {
            throw ValidationError("A time is a date, a time of day and a zone, as in 2026-12-01T08:00:00Z.")
        }
        return date
    }
}
