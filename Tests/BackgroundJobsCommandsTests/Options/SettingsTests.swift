import ArgumentParser
import BackgroundJobs
import Foundation
import Logging
import Testing

@testable import BackgroundJobsCommands

@Suite("Settings")
struct SettingsTests {
    private func failure(_ body: () throws -> Void) -> CommandFailure? {
        do {
            try body()
            return nil
        } catch {
            return error as? CommandFailure
        }
    }

    /// A file with this text, for as long as `body` runs.
    private func withFile<Result>(_ text: String, _ body: (String) throws -> Result) throws -> Result {
        let path = FileManager.default.temporaryDirectory.appending(path: "bg-\(UUID().uuidString).yml").path
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try body(path)
    }

    private func resolved(
        _ arguments: [String],
        _ environment: [String: String] = [:],
        for reader: SettingsReader = .worker
    ) throws -> [String: Settings.Resolved] {
        let settings = try Settings(arguments, for: reader, environment: environment)
        return Dictionary(uniqueKeysWithValues: settings.resolved.map { ($0.name, $0) })
    }

    @Test("a flag wins over the environment, that over the file, and that over the default")
    func order() throws {
        let text = "fibers: 5\ntimeout: 3s\nkill-after: 2s\nworker:\n  fibers: 6\nwatcher:\n  interval: 9s\n"
        try withFile(text) { path in
            let environment = ["BG_FIBERS": "7", "BG_TIMEOUT": "4s", "BG_MODE": ""]
            let found = try resolved(["-f", "8", "--config", path], environment)
            #expect(found["fibers"] == .init(name: "fibers", value: "8", origin: "--fibers"))
            #expect(found["timeout"] == .init(name: "timeout", value: "4s", origin: "BG_TIMEOUT"))
            #expect(found["kill-after"] == .init(name: "kill-after", value: "2s", origin: "\(path):3"))
            #expect(found["mode"] == .init(name: "mode", value: "at-least-once", origin: "default"))
            #expect(found["handlers"] == .init(name: "handlers", value: nil, origin: "default"))
            #expect(found["interval"] == nil)
            let section = try resolved([], ["BG_CONFIG": path])
            #expect(section["fibers"] == .init(name: "fibers", value: "6", origin: "\(path):5"))

            let settings = try Settings(["--config=\(path)", "-f", "8"], for: .worker, environment: environment)
            let command = try WorkerCommand.parse(settings.arguments)
            #expect(command.fibers == 8)
            #expect(command.timeout.duration == .seconds(4))
            #expect(command.killAfter.duration == .seconds(2))
        }
    }

    @Test("lists and weights may be written as lists and maps, flags as true and false")
    func forms() throws {
        let text = """
            worker:
              queues: {high: 5, low: 1}
              drain: yes
              demo: false
            watcher:
              queues: [high, low]
              keep-completed: [2h, 10]
              keep-dead: all
            """
        try withFile(text) { path in
            let worker = try WorkerCommand.parse(
                Settings(["--config", path], for: .worker, environment: ["BG_WITH_WATCHER": "1"]).arguments
            )
            #expect(worker.queues == "high:5,low:1" && worker.drain && worker.withWatcher && !worker.demo)
            let undone = try WorkerCommand.parse(
                Settings(["--config", path, "--no-drain"], for: .worker, environment: [:]).arguments
            )
            #expect(!undone.drain)
            let watcher = try WatcherCommand.parse(
                Settings(["--config", path], for: .watcher, environment: [:]).arguments
            ).options()
            #expect(watcher.queues == ["high", "low"])
            #expect(watcher.keepCompleted == Retention(age: .seconds(7200), count: 10))
            #expect(watcher.keepDead == Retention(age: nil, count: nil))
        }
    }

    @Test("what is meant for workers does not limit a watcher")
    func apart() throws {
        try withFile("queues: high:5,low\nlog-level: debug\nheartbeat: 2s") { path in
            let environment = ["BG_CONFIG": path, "BG_QUEUES": "high"]
            let watcher = try resolved([], environment, for: .watcher)
            #expect(watcher["queues"]?.origin == "default" && watcher["heartbeat"]?.value == "2s")
            #expect(try resolved([], environment, for: .cli)["log-level"]?.value == "critical")
            #expect(try resolved([], ["BG_WATCHER_QUEUES": "a,b"], for: .watcher)["queues"]?.value == "a,b")
        }
    }

    @Test("--verbose is more than a level in a file", arguments: ["-v", "--verbose"])
    func verbose(flag: String) throws {
        let settings = try Settings([flag], for: .worker, environment: ["BG_LOG_LEVEL": "error"])
        #expect(try WorkerCommand.parse(settings.arguments).log.level() == .debug)
        #expect(
            settings.resolved.contains { $0.name == "log-level" && $0.value == "debug" && $0.origin == "--verbose" }
        )
    }

    @Test("an old variable counts where the new one is not there")
    func formerVariable() throws {
        #expect(try resolved([], ["REDIS_URL": "redis://a"])["redis"]?.origin == "REDIS_URL")
        #expect(try resolved([], ["REDIS_URL": "redis://a", "BG_REDIS": "redis://b"])["redis"]?.value == "redis://b")
    }

    @Test(
        "passwords are not shown",
        arguments: [
            ("redis://:s@ecret@h:1/2", "redis://:***@h:1/2"), ("redis://u:secret@h", "redis://u:***@h"),
            ("unix://u:secret@/s.sock", "unix://u:***@/s.sock"), ("redis://h:6379", "redis://h:6379"),
        ]
    )
    func masking(url: String, shown: String) throws {
        #expect(try resolved([], ["BG_REDIS": url])["redis"]?.value == shown)
        #expect(try resolved(["-r", url])["redis"]?.value == shown)
    }

    @Test(
        "a file's faults are told with the line, the name, and what would be right",
        arguments: [
            ("fibres: 5", ":1: there is no setting fibres. Did you mean fibers?"),
            ("a: 1\nqueues: x", ":1: there is no setting a. There are "),
            ("worker:\n  dead_after: 5s", ":2: there is no setting worker.dead_after. Did you mean dead-after?"),
            ("workers:\n  fibers: 5", ":1: there is no setting workers. Did you mean worker?"),
            ("watcher:\n  fibers: 5", ":2: watcher.fibers is a setting of the worker, not of the watcher."),
            ("\nfibers: many", ":2: fibers is “many”; a whole number from 1 to 100000 is expected."),
            ("fibers: 0", ":1: fibers is “0”; a whole number"),
            ("fibers: 2.5", ":1: fibers is “2.5”; a whole number"),
            ("fibers:", ":1: fibers has no value; a whole number"),
            ("fibers: [1]", ":1: fibers is a list or a part of its own; a whole number"),
            ("worker:\n  timeout: soon", ":2: worker.timeout is “soon”; a time, as in 500ms"),
            ("watcher: 5", ":1: watcher: should hold the settings of the watcher"),
            ("demo: maybe", ":1: demo is “maybe”; true or false is expected."),
            ("mode: twice", ":1: mode is “twice”; at-least-once or at-most-once is expected."),
            ("log-level: loud", ":1: log-level is “loud”; one of trace, debug"),
            ("queues: [a, a]", ":1: queues is “a,a”; names of queues"),
            ("- a\n- b", " should hold names and values"), ("a: [", " is no YAML: "),
            ("fibers: 1\nfibers: 2", ": fibers stands there more than once, in the lines 1, 2."),
            ("redis: {a: b}", ":1: redis is a list or a part of its own; text is expected."),
        ]
    )
    func faults(text: String, message: String) throws {
        try withFile(text) { path in
            let failure = failure { _ = try Settings(["--config", path], for: .worker, environment: [:]) }
            #expect(failure?.code == 64)
            #expect(failure?.message?.hasPrefix(path + message) == true, "\(failure?.message ?? "")")
        }
    }

    @Test("so are those of the environment, and a file that is not there")
    func otherFaults() throws {
        let variable = failure { _ = try resolved([], ["BG_FIBERS": "many"]) }
        #expect(
            variable
                == CommandFailure(
                    code: 64,
                    message: "BG_FIBERS is “many”; a whole number from 1 to 100000 is expected."
                )
        )
        let missing = failure { _ = try resolved(["--config", "/nowhere/bg.yml"]) }
        #expect(missing == CommandFailure(code: 64, message: "--config /nowhere/bg.yml: there is no such file."))
        let directory = failure { _ = try resolved(["--config", "/tmp"]) }
        #expect(directory == CommandFailure(code: 64, message: "--config /tmp: it is a directory."))
    }

    @Test("an empty file says nothing", arguments: ["", "# nothing\n", "worker: {}\n"])
    func empty(text: String) throws {
        try withFile(text) { path in
            let found = try Settings(["--config", path], for: .worker, environment: [:])
            #expect(found.resolved.allSatisfy { $0.origin == "default" })
            #expect(found.arguments == ["--config", path])
        }
    }

    @Test("the defaults of the table are those of the commands")
    func standards() throws {
        func arguments(_ reader: SettingsReader) -> [String] {
            Setting.all(of: reader).flatMap { setting -> [String] in
                guard let value = setting.standard else { return [] }
                return setting.kind == .flag
                    ? [value == "true" ? "--\(setting.name)" : "--no-\(setting.name)"] : ["--\(setting.name)", value]
            }
        }
        let (worker, told) = try (WorkerCommand.parse([]), WorkerCommand.parse(arguments(.worker)))
        #expect("\(try worker.options())" == "\(try told.options())")
        #expect(worker.withWatcher == told.withWatcher && worker.demo == told.demo)
        #expect(
            "\(worker.redis.redisOptions(environment: [:]))" == "\(told.redis.redisOptions(environment: [:]))"
        )
        #expect(worker.log.level() == told.log.level() && worker.log.format == told.log.format)
        let (watcher, instructed) = try (WatcherCommand.parse([]), WatcherCommand.parse(arguments(.watcher)))
        #expect("\(watcher.options())" == "\(instructed.options())")
        #expect(Set(Setting.all.map(\.name)).isSuperset(of: Self.options(of: WorkerCommand.helpMessage())))
        #expect(Set(Setting.all.map(\.name)).isSuperset(of: Self.options(of: WatcherCommand.helpMessage())))
    }

    /// The options that a help text names, those apart that are about the call itself.
    private static func options(of help: String) -> [String] {
        help.matches(of: /--([a-z][a-z-]*)/).map { String($0.1) }.filter { name in
            !["config", "print-config", "help", "version", "verbose"].contains(name) && !name.hasPrefix("no-")
                && name != "tls"
        }
    }

    @Test("what stands behind -- is no option, and stays there")
    func terminator() throws {
        let settings = try Settings(
            ["job", "-n", "x", "--", "--redis"],
            for: .cli,
            environment: ["BG_REDIS": "redis://a", "BG_NAMESPACE": "y"]
        )
        #expect(settings.arguments == ["job", "-n", "x", "--redis", "redis://a", "--", "--redis"])
    }

    @Test("bg-cli takes settings where a command connects")
    func commands() {
        #expect(BackgroundCLI.takesSettings(["status", "--json"]) && BackgroundCLI.takesSettings(["dead"]))
        #expect(BackgroundCLI.takesSettings(["queue", "list"]))
        #expect(!BackgroundCLI.takesSettings([]) && !BackgroundCLI.takesSettings(["help", "dead"]))
        #expect(!BackgroundCLI.takesSettings(["nonsense"]))
    }

    @Test("what is in force where nothing is given is shown, constant or not")
    func inForce() throws {
        let found = try resolved([])
        #expect(found["threads"]?.value == "\(ProcessInfo.processInfo.activeProcessorCount)")
        #expect(found["name"]?.value == Names.reducedNodeName(ProcessInfo.processInfo.hostName))
        #expect(found["order"] == .init(name: "order", value: "strict", origin: "default"))
        #expect(try resolved(["-q", "a:2,b"])["order"]?.value == "by weight")
        #expect(try resolved(["--order", "round-robin"])["order"]?.value == "round-robin")
        let settings = try Settings([], for: .worker, environment: [:])
        #expect(settings.arguments == [], "nothing of it is put on the command line")
    }

    @Test("a variable whose name looks misspelt is told of")
    func misspeltVariables() throws {
        func warnings(_ names: String...) throws -> [String] {
            let environment = Dictionary(uniqueKeysWithValues: names.map { ($0, "5") })
            return try Settings([], for: .worker, environment: environment).warnings
        }
        #expect(
            try warnings("BG_FIBRES", "BG_DEADAFTER") == [
                "The variable BG_DEADAFTER means nothing here. Did you mean BG_DEAD_AFTER?",
                "The variable BG_FIBRES means nothing here. Did you mean BG_FIBERS?",
            ]
        )
        // Those of handlers, of the other programs, and of others.
        let known = ["BG_NODE", "BG_QUEUE", "BG_CLASS", "BG_WATCHER_QUEUES", "BG_GRACE", "BG_LEDGER", "BG_X"]
        #expect(
            try Settings([], for: .cli, environment: .init(uniqueKeysWithValues: known.map { ($0, "5s") })).warnings
                == []
        )
    }

    @Test(
        "reserved fibers may be written as a map, a list or a text",
        arguments: ["{high: 10}", "[high=10]", "high=10"]
    )
    func reserve(text: String) throws {
        try withFile("queues: high,low\nreserve: \(text)") { path in
            let settings = try Settings(["--config", path], for: .worker, environment: [:])
            #expect(try WorkerCommand.parse(settings.arguments).options().reserve == ["high": 10])
        }
        let wrong = try withFile("reserve: {high: some}") { path in
            failure { _ = try Settings(["--config", path], for: .worker, environment: [:]) }
        }
        #expect(wrong?.message?.contains("reserve is “high=some”; queues with numbers of fibers") == true)
    }

    @Test(
        "what may be a password in a URL that is none is not shown either",
        arguments: [
            ("rediss//u:secret@h", "rediss//u:***@h"), ("redis://secret@h", "redis://***@h"),
            ("u:secret@h:1", "u:***@h:1"), ("redis:u:secret@h", "redis:***@h"),
            ("redis://h?password=secret&db=2", "redis://h?password=***&db=2"),
            ("unix:///s.sock?db=2", "unix:///s.sock?db=2"),
        ]
    )
    func maskingOfMistakes(url: String, shown: String) throws {
        #expect(try resolved([], ["BG_REDIS": url])["redis"]?.value == shown)
    }

    @Test("a short name that is like none is not taken for another")
    func nearest() throws {
        let names = ["name", "fibers", "queues", "demo", "timeout"]
        #expect(NearestName.to("base", among: names) == nil && NearestName.to("fast", among: names) == nil)
        #expect(NearestName.to("nmae", among: names) == "name" && NearestName.to("fibres", among: names) == "fibers")
    }

    @Test("--print-config refuses what could not be started with")
    func refused() async throws {
        for environment in [["BG_NAMESPACE": "a b"], ["BG_REDIS": "rediss//u:secret@h"]] {
            let settings = try Settings(["--print-config"], for: .worker, environment: environment)
            let command = try WorkerCommand.parse(settings.arguments)
            let error = #expect(throws: BackgroundError.self) {
                try command.printConfig.show(command.redis.redisOptions(environment: [:]))
            }
            #expect(error?.code == .invalidArgument && error?.message.contains("secret") == false)
        }
    }
}
