import ArgumentParser
import BackgroundJobs
import Foundation

/// The command line of a watcher program.
struct WatcherCommand: AsyncParsableCommand, ConfiguredCommand {
    static let settingsReader = SettingsReader.watcher

    static let configuration = CommandConfiguration(
        commandName: "bg-watcher",
        abstract: "Promotes scheduled jobs, fires periodic ones, and runs the jobs of dead workers again.",
        discussion: """
            Run at least one beside your workers; any number of them may run, on any host. Example:

              bg-watcher --interval 1s

            Times are 500ms, 5s, 5m, 2h, 1d, or a number of seconds. What is kept is an age and a number a queue, as \
            24h,100000, where either may be all or 0; of several watchers the strictest wins. Every option may \
            also be given in the environment (BG_INTERVAL for --interval; BG_WATCHER_QUEUES for --queues) or in a YAML file \
            (--config); --print-config shows what counts. Exit status: 0 stopped, 64 \
            usage, 69 no suitable Redis, 77 not permitted.
            """,
        version: ProgramVersion.current
    )

    @OptionGroup(title: "Redis") var redis: RedisCommandOptions
    @OptionGroup(title: "Log") var log: LogOptions
    @OptionGroup(title: "Configuration") var config: ConfigOptions
    @OptionGroup(title: "Configuration") var printConfig: PrintConfigOptions

    @Option(
        help: ArgumentHelp(
            "How often to look; the bound on everything that is not due at a known time. (default: 1s)",
            valueName: "time"
        ),
        transform: DurationArgument.parser()
    )
    var interval = DurationArgument(.seconds(1))

    @Option(
        name: .shortAndLong,
        help: "Queues, with commas between; periodic jobs are fired for all. (default: all that are known)"
    )
    var queues: String?

    @Option(help: "The name in lists of watchers. (default: the host's name)", transform: NamedValue.node)
    var name: String?

    @Option(
        help: ArgumentHelp(
            "The silence after which a worker is cut off; as the workers are told. (default: 30s)",
            valueName: "time"
        ),
        transform: DurationArgument.parser()
    )
    var deadAfter = DurationArgument(.seconds(30))

    @Option(
        help: ArgumentHelp("How often the workers show that they live. (default: 5s)", valueName: "time"),
        transform: DurationArgument.parser()
    )
    var heartbeat = DurationArgument(.seconds(5))

    @Option(
        help: ArgumentHelp(
            "How long nobody is judged after anything that makes the living look dead. (default: 6s)",
            valueName: "time"
        ),
        transform: DurationArgument.parser()
    )
    var grace = DurationArgument(.seconds(6))

    @Option(
        help: ArgumentHelp(
            "How far apart the two looks are that find a worker gone. (default: 500ms)",
            valueName: "time"
        ),
        transform: DurationArgument.parser()
    )
    var secondLook = DurationArgument(.milliseconds(500))

    @Option(
        help: ArgumentHelp("What to keep of completed attempts. (default: 1d,100000)", valueName: "age,number"),
        transform: RetentionArgument.parse
    )
    var keepCompleted = RetentionArgument(Retention(age: .seconds(86_400), count: 100_000))

    @Option(
        help: ArgumentHelp("What to keep of failed attempts. (default: 7d,100000)", valueName: "age,number"),
        transform: RetentionArgument.parse
    )
    var keepFailed = RetentionArgument(Retention(age: .seconds(7 * 86_400), count: 100_000))

    @Option(
        help: ArgumentHelp(
            "What to keep of attempts that ended otherwise. (default: 7d,100000)",
            valueName: "age,number"
        ),
        transform: RetentionArgument.parse
    )
    var keepEnded = RetentionArgument(Retention(age: .seconds(7 * 86_400), count: 100_000))

    @Option(
        help: ArgumentHelp("What to keep of dead jobs. (default: 180d,10000)", valueName: "age,number"),
        transform: RetentionArgument.parse
    )
    var keepDead = RetentionArgument(Retention(age: .seconds(180 * 86_400), count: 10_000))

    @Flag(inversion: .prefixedNo, help: "Work although this Redis may evict jobs when its memory is full.")
    var allowEviction = false

    mutating func validate() throws {
        guard interval.duration >= .milliseconds(10) else {
            throw ValidationError("--interval is at least 10ms.")
        }
        guard heartbeat.duration >= .milliseconds(10) else {
            throw ValidationError("--heartbeat is at least 10ms.")
        }
        guard deadAfter.duration >= heartbeat.duration * 3 else {
            throw ValidationError("--dead-after is at least three times --heartbeat.")
        }
        do {
            if let queues { _ = try QueueOrder.strict(names(queues)) }
        } catch let error as BackgroundError {
            throw ValidationError("--queues: \(error.message)")
        }
    }

    private func names(_ queues: String) -> [String] {
        queues.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }

    func options() -> WatcherOptions {
        WatcherOptions(
            queues: queues.map(names),
            interval: interval.duration,
            deadAfter: deadAfter.duration,
            heartbeat: heartbeat.duration,
            grace: grace.duration,
            secondLook: secondLook.duration,
            keepCompleted: keepCompleted.retention,
            keepFailed: keepFailed.retention,
            keepEnded: keepEnded.retention,
            keepDead: keepDead.retention,
            allowsEviction: allowEviction
        )
    }

    mutating func run() async throws {
        if try printConfig.show() { return }
        let watcher = try Watcher(
            options(),
            redis: redis.redisOptions(),
            name: name,
            logger: log.logger(label: "bg-watcher")
        )
        let signals = ProcessSignals()
        signals.onStop { isFirst in
            guard isFirst else { Foundation.exit(0) }
            watcher.stop()
        }
        try await watcher.run()
        withExtendedLifetime(signals) {}
    }
}

/// The watcher's command line as a library call.
public enum WatcherProgram {
    /// Reads the command line, watches until the process is told to stop, and exits.
    ///
    /// - Parameter arguments: the command line without the program's name; nil: the process's own.
    public static func main(arguments: [String]? = nil) async -> Never {
        await WatcherCommand.runAndExit(arguments)
    }
}
