import ArgumentParser
import BackgroundJobs

/// What a job asks for when it fails, hangs or must not run twice: the options of a job, by their names.
struct JobOptionFlags: ParsableArguments {
    // Unconditional: -1 is to be refused for what it is, not taken for a flag.
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Attempts allowed after the first, 0 to \(JobOptions.mostRetries). (default: 25)",
            valueName: "n"
        ),
        transform: Self.retries
    )
    var retries: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "How long a retry waits: exponential, fixed:5s, linear:5s or list:1s,5s,30s. (default: exponential)",
            valueName: "rule"
        ),
        transform: Self.backoff
    )
    var backoff: Backoff?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("No retry is scheduled for when the job is older. (default: no limit)", valueName: "time"),
        transform: DurationArgument.parser()
    )
    var retryFor: DurationArgument?

    @Option(
        help: ArgumentHelp("The queue on which retries run. (default: the job's)", valueName: "queue"),
        transform: Self.queue
    )
    var retryQueue: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("How long an attempt may run, at least 1ms. (default: no limit)", valueName: "time"),
        transform: DurationArgument.parser(from: .milliseconds(1))
    )
    var timeout: DurationArgument?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "A job that has not begun so long after its time is dropped, with a record; at least 1ms. (default: never)",
            valueName: "time"
        ),
        transform: DurationArgument.parser(from: .milliseconds(1))
    )
    var expires: DurationArgument?

    @Option(
        help: ArgumentHelp(
            "Whether an attempt whose worker vanished is repeated (at-least-once) or not (at-most-once). (default: the worker's --mode)",
            valueName: "mode"
        ),
        transform: NamedValue.parse
    )
    var delivery: Delivery?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "How often it is run again after its worker vanished: 0 to \(JobOptions.mostRetries), or all. (default: 3)",
            valueName: "n"
        ),
        transform: Self.crashRetries
    )
    var crashRetries: CrashRetries?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The time within which that is counted; 0: for ever. (default: 72h)", valueName: "time"),
        transform: DurationArgument.parser()
    )
    var crashWindow: DurationArgument?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Keeps a second such job from being queued for so long after the first one's time; at least 1ms. (default: not at all)",
            valueName: "time"
        ),
        transform: DurationArgument.parser(from: .milliseconds(1))
    )
    var unique: DurationArgument?

    @Option(
        help: ArgumentHelp(
            "What makes two jobs of a class and queue the same, 1 to 4096 bytes. (default: their arguments)",
            valueName: "text"
        ),
        transform: Self.key
    )
    var uniqueKey: String?

    @Option(
        help: ArgumentHelp("Until when the lock is held: started or finished. (default: finished)", valueName: "event"),
        transform: NamedValue.parse
    )
    var uniqueUntil: Uniqueness.End?

    @Option(
        help: ArgumentHelp(
            "What a second one does to the first, if that one waits: skip (nothing), replace-arguments, replace-time, or replace (both). (default: skip)",
            valueName: "what"
        ),
        transform: NamedValue.parse
    )
    var onDuplicate: Uniqueness.Duplicate?

    @Option(
        help: ArgumentHelp(
            "Run it on a worker of this name, as bg-cli workers shows it. (default: on any)",
            valueName: "name"
        ),
        transform: NamedValue.node
    )
    var on: String?

    @Option(
        help: ArgumentHelp("Don't run it on a worker of this name. (default: on any)", valueName: "name"),
        transform: NamedValue.node
    )
    var avoiding: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "How long it waits where no such worker is connected, before any may take it: a time, or never. (default: 10s)",
            valueName: "time"
        ),
        transform: Self.fallback
    )
    var fallback: Fallback?

    func validate() throws {
        if on != nil, avoiding != nil {
            throw ValidationError("--on and --avoiding exclude each other: give one of them.")
        }
        if fallback != nil, on == nil, avoiding == nil {
            throw ValidationError("--fallback needs --on or --avoiding, which say where the job is to run.")
        }
        guard unique == nil else { return }
        for (name, isGiven) in [
            ("--unique-key", uniqueKey != nil), ("--unique-until", uniqueUntil != nil),
            ("--on-duplicate", onDuplicate != nil),
        ] where isGiven {
            throw ValidationError("\(name) needs --unique, which says for how long.")
        }
    }

    var options: JobOptions {
        JobOptions(
            retries: retries,
            backoff: backoff,
            retryFor: retryFor?.duration,
            retryQueue: retryQueue,
            timeout: timeout?.duration,
            expires: expires?.duration,
            delivery: delivery,
            crashRetries: crashRetries,
            crashWindow: crashWindow?.duration,
            unique: unique.map {
                .unique(
                    for: $0.duration,
                    by: uniqueKey.map { .key($0) } ?? .arguments,
                    until: uniqueUntil ?? .finished,
                    duplicate: onDuplicate ?? .skip
                )
            },
            on: on,
            avoiding: avoiding,
            fallback: fallback
        )
    }

    // MARK: Reading

    @Sendable
    private static func retries(_ text: String) throws -> Int {
        guard let count = Int(text), (0...JobOptions.mostRetries).contains(count) else {
            throw ValidationError("A number from 0 to \(JobOptions.mostRetries).")
        }
        return count
    }

    @Sendable
    private static func backoff(_ text: String) throws -> Backoff {
        guard let backoff = Backoff(text: text, duration: { DurationArgument(argument: String($0))?.duration }) else {
            throw ValidationError(
                "It is exponential, fixed:5s, linear:5s or list:1s,5s,30s, with 1 to 100 times of up to \(DurationArgument(Backoff.longest))."
            )
        }
        return backoff
    }

    @Sendable
    private static func queue(_ name: String) throws -> String {
        do {
            try Names.checkQueue(name)
        } catch {
            throw ValidationError(error.message)
        }
        return name
    }

    @Sendable
    private static func fallback(_ text: String) throws -> Fallback {
        if text == "never" { return .never }
        guard let time = DurationArgument(argument: text)?.duration, time >= .zero, time <= JobOptions.longest else {
            throw ValidationError("It is a time such as 30s, or never.")
        }
        return .after(time)
    }

    @Sendable
    private static func crashRetries(_ text: String) throws -> CrashRetries {
        guard let retries = CrashRetries(text: text) else {
            throw ValidationError("A number from 0 to \(JobOptions.mostRetries), or all.")
        }
        return retries
    }

    @Sendable
    private static func key(_ text: String) throws -> String {
        guard (1...Uniqueness.longestKey).contains(text.utf8.count) else {
            throw ValidationError("A key has 1 to \(Uniqueness.longestKey) bytes; this one has \(text.utf8.count).")
        }
        return text
    }
}
