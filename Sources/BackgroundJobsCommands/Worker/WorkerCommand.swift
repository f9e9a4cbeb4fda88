import ArgumentParser
import BackgroundJobs
import Foundation
import Logging

/// The command line of a worker program.
struct WorkerCommand: AsyncParsableCommand {
    /// The jobs of the program that was started; a command's own properties all come from the command line.
    @TaskLocal static var jobs = JobRegistry()

    static let configuration = CommandConfiguration(
        commandName: "bg-worker",
        abstract: "Runs background jobs.",
        discussion: """
            Compiled Swift can't load a job by its name: your own worker program is this command with your jobs registered
            (README, "Thirty seconds of it"). The bg-worker that is shipped runs handler programs or the demo jobs:

              bg-worker --queues high,low --handlers ./handlers
              bg-worker --queues high:5,low:1 --demo

            SIGTERM or Ctrl-C: claims no more, waits for the running jobs (--timeout), cancels them, and gives back what has not
            ended by then (--kill-after). A second one does the last two steps at once. SIGTSTP: claims no more and goes
            on. Exit status: 0 stopped or drained, 64 usage, 69 no suitable Redis, 75 it can't work any more since jobs that
            ignore their cancellation hold every thread, and is to be started again, 77 not permitted.
            """,
        version: ProgramVersion.current
    )

    @OptionGroup(title: "Redis") var redis: RedisCommandOptions
    @OptionGroup(title: "Log") var log: LogOptions

    @Option(name: .shortAndLong, help: "Queues: high,low in strict order, or high:5,low:1 by weight.")
    var queues = "default"

    @Option(name: .shortAndLong, help: "How many jobs to run at once.")
    var fibers = 100

    @Option(help: "The name in lists of workers (default: the host's name).")
    var name: String?

    @Option(help: "How long a graceful stop waits for running jobs, in seconds.", transform: DurationArgument.parser())
    var timeout = DurationArgument(.seconds(25))

    @Option(
        help: """
            What a job has to end when it was cancelled, at its time limit or by somebody or at a stop; then it is abandoned. A \
            handler program has it between SIGTERM and SIGKILL. In seconds.
            """,
        transform: DurationArgument.parser()
    )
    var killAfter = DurationArgument(.seconds(10))

    @Option(help: "How often to show Redis that the worker lives, in seconds.", transform: DurationArgument.parser())
    var heartbeat = DurationArgument(.seconds(5))

    @Option(
        help: "The silence after which watchers take this worker for dead; also its command time-out.",
        transform: DurationArgument.parser()
    )
    var deadAfter = DurationArgument(.seconds(30))

    @Flag(help: "Run a watcher in this process as well.")
    var withWatcher = false

    @Flag(help: "Exit when the queues are empty and all is done; what is scheduled for later does not count.")
    var drain = false

    @Flag(help: "Work although this Redis may evict jobs when its memory is full.")
    var allowEviction = false

    @Option(help: "Run each executable file in this folder as the handler of the class of its name.")
    var handlers: String?

    @Flag(help: "Run the demo jobs: Noop, Nap {\"sleep\":1}, Echo, Fail {\"message\":\"…\"}.")
    var demo = false

    mutating func validate() throws {
        guard (1...100_000).contains(fibers) else {
            throw ValidationError("--fibers is \(fibers); it must lie in 1 to 100000.")
        }
        guard heartbeat.duration >= .milliseconds(10) else {
            throw ValidationError("--heartbeat is at least 0.01 seconds.")
        }
        guard deadAfter.duration >= heartbeat.duration * 3 else {
            throw ValidationError("--dead-after is at least three times --heartbeat.")
        }
        _ = try order()
    }

    private func order() throws -> QueueOrder {
        do {
            return try QueueOrder.parse(queues)
        } catch let error as BackgroundError {
            throw ValidationError("--queues: \(error.message)")
        }
    }

    func options() throws -> WorkerOptions {
        WorkerOptions(
            queues: try order(),
            fibers: fibers,
            name: name,
            gracePeriod: timeout.duration,
            heartbeat: heartbeat.duration,
            deadAfter: deadAfter.duration,
            killAfter: killAfter.duration,
            endsWhenEmpty: drain,
            allowsEviction: allowEviction
        )
    }
}
