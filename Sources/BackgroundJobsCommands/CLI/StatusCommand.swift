import ArgumentParser
import BackgroundJobs
import Foundation

/// What stands behind `--watch`, unread: of an option that may go without a value the parser ignores one that it can't read,
/// and would watch at the default interval.
struct WatchInterval: Sendable, ExpressibleByArgument, CustomStringConvertible {
    private let text: String
    var description: String { text }

    init(argument: String) {
        text = argument
    }

    var duration: Duration {
        get throws {
            do {
                return try DurationArgument.parse(text).duration
            } catch {
                throw ValidationError("--watch \(text): \(error)")
            }
        }
    }
}

/// `bg-cli status`
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Shows what there is in each queue, and who works on it.",
        usage: "bg-cli status [-q <queues>] [--json] [--watch [<time>]] [<options>]",
        discussion: """
            workers: live workers that serve the queue. fibers: how many jobs they can run at a time. jps: attempts that \
            completed within the last second. ready: jobs to be run now. scheduled: jobs to be run later. processing, \
            completed, failed: attempts on record. suspects: jobs whose workers vanished twice. dead: jobs whose attempts \
            are used up. Jobs for some nodes only are counted by queue list and summary; of those for which nobody is \
            connected a line on standard error tells.

            Examples:
              bg-cli status -q high,low
              bg-cli status --watch 2s
              bg-cli status --json
            """
    )

    @Option(
        name: [.customShort("q"), .customLong("queues")],
        help: ArgumentHelp("Only these queues, with commas between.", valueName: "queues")
    )
    var queues: String?

    @Flag(help: "As JSON, with the age of the oldest ready job.")
    var json = false

    @Option(
        name: [.short, .long],
        defaultAsFlag: WatchInterval(argument: "1s"),
        help: ArgumentHelp("Again and again, this often: 500ms, 2s, 1m; Ctrl-C ends it.", valueName: "time")
    )
    var watch: WatchInterval?

    @OptionGroup
    var connection: ConnectionOptions

    func validate() throws {
        if let watch, try watch.duration < .milliseconds(100) {
            throw ValidationError("--watch looks at most ten times a second: give 100ms or more.")
        }
        if let queues, queues.split(separator: ",").isEmpty {
            throw ValidationError("-q names no queue.")
        }
    }

    func run() async throws {
        var seen: Set<String> = []
        let names = queues?.split(separator: ",").map(String.init).filter { seen.insert($0).inserted }
        guard let watch else {
            return try await connection.withInspector { inspector in
                let status = try await inspector.status(queues: names)
                try show(status)
                guard names != nil else { return }
                let idle = status.queues.filter { $0.workers == 0 }.map(\.name)
                try await QueueNames.tellUnknown(idle, inspector)
            }
        }
        let interval = try watch.duration
        // Nothing is under way that would have to be put right.
        signal(SIGINT) { _ in _exit(0) }
        signal(SIGTERM) { _ in _exit(0) }
        try await connection.withInspector { inspector in
            try await repeatedly(every: interval, names, inspector)
        }
    }

    private func repeatedly(every interval: Duration, _ names: [String]?, _ inspector: Inspector) async throws {
        let clearing = StandardStream.output.isTerminal ? "\u{1B}[H\u{1B}[2J" : ""
        var isFirst = true
        while true {
            do {
                let status = try await inspector.status(queues: names)
                try StandardStream.output.write(isFirst || json || clearing != "" ? clearing : "\n")
                try show(status)
            } catch let error as BackgroundError {
                // A Redis that is away comes back; one that was never there is an error.
                guard !isFirst, CommandFailure(error).code == 69 else { throw error }
                note("Error: \(error.message)")
            }
            isFirst = false
            try await Task.sleep(for: interval)
        }
    }

    /// As `2 jobs on high wait for a worker named web1, and none that serves the queue is connected: …`
    private static func hint(_ queue: String, _ place: String, _ count: Int) -> String {
        let isOn = place.hasPrefix("on:")
        let name = place.drop { $0 != ":" }.dropFirst()
        return "\(count) \(count == 1 ? "job" : "jobs") on \(queue) wait\(count == 1 ? "s" : "") for a worker "
            + (isOn ? "named \(name)" : "with another name than \(name)")
            + ", and none that serves the queue is connected: bg-cli jobs placed -q \(queue)"
    }

    private func show(_ status: SystemStatus) throws {
        if json {
            try JSONOutput.print(status)
        } else {
            try StandardStream.output.write(StatusTable.text(status.queues))
        }
        if status.queues.isEmpty { note("There are no queues here yet.") }
        for queue in status.queues {
            if queue.isPaused, queue.ready > 0 {
                note("The queue \(queue.name) is paused: bg-cli queue resume \(queue.name)")
            } else if queue.ready > 0, queue.workers == 0 {
                note("No worker serves the queue \(queue.name), and jobs are ready there.")
            }
            for (place, count) in queue.placedWithoutWorker.sorted(by: { $0.key < $1.key }) {
                note(Self.hint(queue.name, place, count))
            }
            for problem in queue.problems { note(problem) }
        }
        if status.watchers == 0 {
            note("No watcher is connected: scheduled jobs stay where they are and dead workers are not noticed.")
        }
    }
}
