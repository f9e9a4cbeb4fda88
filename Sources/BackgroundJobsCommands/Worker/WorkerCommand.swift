import ArgumentParser
import BackgroundJobs
import Foundation
import Logging

/// The command line of a worker program.
struct WorkerCommand: AsyncParsableCommand, ConfiguredCommand {
    static let settingsReader = SettingsReader.worker

    /// The jobs of the program that was started; a command's own properties all come from the command line.
    @TaskLocal static var jobs = JobRegistry()

    static let configuration = CommandConfiguration(
        commandName: "bg-worker",
        abstract: "Runs background jobs.",
        discussion: """
            Compiled Swift can't load a job by its name: your own worker program is this command with your jobs \
            registered (README, "Thirty seconds of it"). The bg-worker that is shipped runs handler programs or the demo \
            jobs:

              bg-worker --queues high,low --handlers ./handlers
              bg-worker --queues high:5,low:1 --demo

            Times are 500ms, 5s, 5m, 2h, 1d, or a number of seconds. Every option may also be given in the environment \
            (BG_FIBERS for --fibers) or in a YAML file (--config); --print-config shows what counts.

            SIGTERM or Ctrl-C: claims no more, waits for the running jobs (--timeout), cancels them, and gives back what \
            has not ended by then (--kill-after). A second one does the last two steps at once. SIGTSTP: claims no more \
            and goes on. Exit status: 0 stopped or drained, 64 usage, 69 no suitable Redis, 75 it can't work any more \
            since jobs that ignore their cancellation hold every thread, and is to be started again, 77 not permitted.
            """,
        version: ProgramVersion.current
    )

    @OptionGroup(title: "Redis") var redis: RedisCommandOptions
    @OptionGroup(title: "Log") var log: LogOptions
    @OptionGroup(title: "Configuration") var config: ConfigOptions
    @OptionGroup(title: "Configuration") var printConfig: PrintConfigOptions

    @Option(name: .shortAndLong, help: "Queues: high,low in strict order, or high:5,low:1 by weight.")
    var queues = "default"

    @Option(
        help: ArgumentHelp(
            "In which order to look into the queues: strict, or round-robin, in turns. (default: strict)",
            valueName: "order"
        ),
        transform: NamedValue.parse
    )
    var order: Order?

    /// What `--order` may be.
    enum Order: String, CaseIterable, Sendable {
        case strict
        case roundRobin = "round-robin"
    }

    @Option(
        help: ArgumentHelp(
            "Fibers that are one queue's own: high=10,low=5. Its jobs may use the others too. (default: none)",
            valueName: "list"
        )
    )
    var reserve: String?

    @Option(name: .shortAndLong, help: ArgumentHelp("How many jobs to run at once, 1 to 100000.", valueName: "n"))
    var fibers = 100

    @Option(
        help: ArgumentHelp(
            "Threads for jobs that block or compute, 1 to 1000. (default: as many as processors)",
            valueName: "n"
        )
    )
    var threads: Int?

    @Option(
        help: "The name in lists of workers, by which jobs may ask for it. (default: the host's name)",
        transform: NamedValue.node
    )
    var name: String?

    @Option(
        help: ArgumentHelp("How long a graceful stop waits for running jobs. (default: 25s)", valueName: "time"),
        transform: DurationArgument.parser()
    )
    var timeout = DurationArgument(.seconds(25))

    @Option(
        help: ArgumentHelp(
            """
            What a cancelled job has to end before it is abandoned; a handler program, between SIGTERM and SIGKILL. \
            (default: 10s)
            """,
            valueName: "time"
        ),
        transform: DurationArgument.parser()
    )
    var killAfter = DurationArgument(.seconds(10))

    @Option(
        help: ArgumentHelp("How often to show Redis that the worker lives. (default: 5s)", valueName: "time"),
        transform: DurationArgument.parser()
    )
    var heartbeat = DurationArgument(.seconds(5))

    @Option(
        help: ArgumentHelp(
            "The silence after which watchers take this worker for dead; also its command time-out. (default: 30s)",
            valueName: "time"
        ),
        transform: DurationArgument.parser()
    )
    var deadAfter = DurationArgument(.seconds(30))

    @Option(
        help: ArgumentHelp(
            """
            What becomes of jobs that don't say so themselves when their worker vanishes: at-least-once runs them again, \
            at-most-once does not. (default: at-least-once)
            """,
            valueName: "mode"
        ),
        transform: NamedValue.parse
    )
    var mode: Delivery?

    @Flag(inversion: .prefixedNo, help: "Run a watcher in this process as well.")
    var withWatcher = false

    @Flag(
        inversion: .prefixedNo,
        help: "Exit when the queues are empty and all is done; what is scheduled for later does not count."
    )
    var drain = false

    @Flag(inversion: .prefixedNo, help: "Work although this Redis may evict jobs when its memory is full.")
    var allowEviction = false

    @Option(
        help: ArgumentHelp(
            "Run each executable file in this folder as the handler of the class of its name.",
            valueName: "folder"
        )
    )
    var handlers: String?

    @Flag(inversion: .prefixedNo, help: "Run the demo jobs: Noop, Nap {\"sleep\":1}, Echo, Fail {\"message\":\"…\"}.")
    var demo = false

    mutating func validate() throws {
        guard (1...100_000).contains(fibers) else {
            throw ValidationError("--fibers is \(fibers); it must lie in 1 to 100000.")
        }
        guard (1...1000).contains(threads ?? 1) else {
            throw ValidationError("--threads is \(threads ?? 1); it must lie in 1 to 1000.")
        }
        guard heartbeat.duration >= .milliseconds(10) else {
            throw ValidationError("--heartbeat is at least 10ms.")
        }
        guard deadAfter.duration >= heartbeat.duration * 3 else {
            throw ValidationError("--dead-after is at least three times --heartbeat.")
        }
        _ = try options()
    }

    private func queueOrder() throws -> QueueOrder {
        do {
            guard let order else { return try QueueOrder.parse(queues) }
            guard !queues.contains(":") else {
                throw ValidationError(
                    "--order \(order.rawValue) and the weights in --queues exclude each other: leave out one of them."
                )
            }
            let names = queues.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            return try order == .strict ? .strict(names) : .roundRobin(names)
        } catch let error as BackgroundError {
            throw ValidationError("--queues: \(error.message)")
        }
    }

    private func reserved() throws -> [String: Int] {
        var reserved: [String: Int] = [:]
        for part in (reserve ?? "").split(separator: ",", omittingEmptySubsequences: false) where reserve != nil {
            let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard halves.count == 2, let count = Int(halves[1]) else {
                throw ValidationError(
                    "--reserve: \(Names.quoted(part)) is no queue with a number; write high=10,low=5."
                )
            }
            guard reserved.updateValue(count, forKey: String(halves[0])) == nil else {
                throw ValidationError("--reserve: the queue \(Names.quoted(halves[0])) is named twice.")
            }
        }
        return reserved
    }

    func options() throws -> WorkerOptions {
        let options = WorkerOptions(
            queues: try queueOrder(),
            fibers: fibers,
            name: name,
            gracePeriod: timeout.duration,
            heartbeat: heartbeat.duration,
            deadAfter: deadAfter.duration,
            delivery: mode ?? .atLeastOnce,
            killAfter: killAfter.duration,
            threads: threads,
            reserve: try reserved(),
            endsWhenEmpty: drain,
            allowsEviction: allowEviction
        )
        do {
            try options.checkReserve()
        } catch {
            throw ValidationError("--reserve: \(error.message)")
        }
        return options
    }
}
