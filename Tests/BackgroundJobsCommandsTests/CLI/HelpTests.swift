import ArgumentParser
import BackgroundJobs
import Testing

@testable import BackgroundJobsCommands

@Suite("The help texts") struct HelpTests {
    /// A command, and those that it is part of.
    struct Command: Sendable, CustomTestStringConvertible {
        let type: any ParsableCommand.Type
        let path: [any ParsableCommand.Type]

        var name: String { (path + [type]).map { $0._commandName }.joined(separator: " ") }
        var testDescription: String { name }
        var isGroup: Bool { !type.configuration.subcommands.isEmpty }

        func help(columns: Int) -> String {
            (path.first ?? type).helpMessage(for: type, columns: columns)
        }
    }

    static let commands = [BackgroundCLI.self, WorkerCommand.self, WatcherCommand.self].flatMap { all($0, []) }

    private static func all(_ type: any ParsableCommand.Type, _ path: [any ParsableCommand.Type]) -> [Command] {
        [Command(type: type, path: path)] + type.configuration.subcommands.flatMap { all($0, path + [type]) }
    }

    @Test("have an example, and say where Redis is", arguments: commands)
    func examples(command: Command) {
        let help = command.help(columns: 100)
        #expect(help.contains("\(command.name) "))
        #expect(help.contains("xample") || help.contains("--demo"))
        #expect(command.isGroup || help.contains("--redis") && help.contains("--namespace"))
    }

    @Test("fit into 80 columns", arguments: commands)
    func width(command: Command) {
        let long = command.help(columns: 80).split(separator: "\n").filter { $0.count > 80 }
        #expect(long == [])
    }

    /// A paragraph is one line in the source: a line break in it would stay where it is, however wide the terminal is.
    @Test("are wrapped by the terminal alone", arguments: commands)
    func wrapping(command: Command) throws {
        let help = command.help(columns: 10_000)
        let discussion = try #require(help.split(separator: "USAGE:").first)
        let lines = discussion.split(separator: "\n", omittingEmptySubsequences: false)
        for (line, next) in zip(lines, lines.dropFirst()) where !line.isEmpty && !next.isEmpty {
            #expect(next.hasPrefix("  "), "\(line) / \(next)")
        }
    }

    @Test("don't ask for seconds where any time will do", arguments: commands)
    func seconds(command: Command) {
        #expect(!command.help(columns: 10_000).contains("in seconds"))
        #expect(!command.help(columns: 10_000).contains("<seconds>"))
    }

    @Test("show the defaults that are in force")
    func defaults() throws {
        let worker = try WorkerCommand.parse([])
        let watcher = try WatcherCommand.parse([])
        let expected: [(any ParsableCommand.Type, String, String)] = [
            (WorkerCommand.self, "--timeout", "\(worker.timeout)"),
            (WorkerCommand.self, "--heartbeat", "\(worker.heartbeat)"),
            (WorkerCommand.self, "--dead-after", "\(worker.deadAfter)"),
            (WorkerCommand.self, "--fibers", "\(worker.fibers)"),
            (WorkerCommand.self, "--mode", try worker.options().delivery.rawValue),
            (WorkerCommand.self, "--connect-timeout", "\(worker.redis.connectTimeout)"),
            (WatcherCommand.self, "--interval", "\(watcher.interval)"),
            (WatcherCommand.self, "--heartbeat", "\(watcher.heartbeat)"),
            (WatcherCommand.self, "--dead-after", "\(watcher.deadAfter)"),
            (WatcherCommand.self, "--grace", "\(watcher.grace)"),
            (WatcherCommand.self, "--second-look", "\(watcher.secondLook)"),
            (WatcherCommand.self, "--keep-completed", "\(watcher.keepCompleted)"),
            (WatcherCommand.self, "--keep-failed", "\(watcher.keepFailed)"),
            (WatcherCommand.self, "--keep-ended", "\(watcher.keepEnded)"),
            (WatcherCommand.self, "--keep-dead", "\(watcher.keepDead)"),
        ]
        for (command, flag, value) in expected {
            let lines = command.helpMessage(columns: 10_000).split(separator: "\n")
            let at = try #require(lines.firstIndex { $0.contains("\(flag) <") })
            // A flag that is too long for its column has its text on the line behind.
            let text = lines[at].contains("(default:") ? lines[at] : lines[at + 1]
            #expect(text.contains("(default: \(value))"), "\(flag)")
        }
    }
}

@Suite struct WorkerModeTests {
    @Test func takesADeliveryMode() throws {
        #expect(try WorkerCommand.parse([]).options().delivery == .atLeastOnce)
        #expect(try WorkerCommand.parse(["--mode", "at-most-once"]).options().delivery == .atMostOnce)
        #expect {
            _ = try WorkerCommand.parse(["--mode", "never"])
        } throws: { error in
            WorkerCommand.exitCode(for: error).rawValue == 64 && WorkerCommand.message(for: error).contains("--mode")
        }
    }
}
