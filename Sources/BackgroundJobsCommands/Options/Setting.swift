import BackgroundJobs
import Foundation

/// A program that has settings.
enum SettingsReader: String, CaseIterable, Sendable {
    case worker, watcher, cli
}

/// A setting: an option of the command line that can also be given in the environment and in a file.
struct Setting: Sendable {
    /// Its name in a file, and behind `--`.
    let name: String
    /// The letter behind `-`.
    var short: Character?
    let kind: SettingKind
    /// The value if it is not given, as it would be given; nil: none.
    var standard: String?
    /// What is in force where it is not given, if that is no constant.
    var inForce: (@Sendable () -> String)?
    let readers: Set<SettingsReader>
    /// Whether it counts for this reader only where it is given for it alone: in its part of a file, or with its name in the
    /// environment.
    var isApart = false
    /// A variable of the environment that counts where the setting's own is not there.
    var formerVariable: String?

    /// Its variable in the environment.
    func variable(for reader: SettingsReader) -> String {
        "BG_" + ((isApart ? "\(reader.rawValue)-" : "") + name).uppercased().replacing("-", with: "_")
    }

    /// All variables that mean something to one of the programs.
    static let variables = Set(
        SettingsReader.allCases.flatMap { reader in
            all(of: reader).flatMap { [$0.variable(for: reader), $0.formerVariable].compactMap(\.self) }
        } + ["BG_CONFIG", GuardianProcess.variable, IsolatedJob.resultVariable] + HandlerEnvironment.variables
    )

    static func all(of reader: SettingsReader) -> [Setting] { all.filter { $0.readers.contains(reader) } }

    /// All of them. The standards are those of the commands; a test holds them together.
    static let all: [Setting] = common + ofWorkers + ofWatchers

    private static let everybody = Set(SettingsReader.allCases)
    private static let processes: Set<SettingsReader> = [.worker, .watcher]

    private static let common = [
        Setting(
            name: "redis",
            short: "r",
            kind: .secret,
            standard: "redis://127.0.0.1:6379/0",
            readers: everybody,
            formerVariable: "REDIS_URL"
        ),
        Setting(name: "namespace", short: "n", kind: .text, standard: "bg", readers: everybody),
        Setting(name: "tls-ca", kind: .text, readers: everybody),
        Setting(name: "tls-cert", kind: .text, readers: everybody),
        Setting(name: "tls-key", kind: .text, readers: everybody),
        Setting(name: "connect-timeout", kind: .time, standard: "5s", readers: everybody),
        Setting(name: "log-level", kind: .logLevel, standard: "info", readers: processes),
        Setting(name: "log-level", kind: .logLevel, standard: "critical", readers: [.cli], isApart: true),
        Setting(
            name: "log-format",
            kind: .choice(LogFormat.allCases.map(\.rawValue)),
            standard: "text",
            readers: everybody
        ),
        Setting(
            name: "name",
            kind: .text,
            inForce: { Names.reducedNodeName(ProcessInfo.processInfo.hostName) },
            readers: processes
        ),
        Setting(name: "heartbeat", kind: .time, standard: "5s", readers: processes),
        Setting(name: "dead-after", kind: .time, standard: "30s", readers: processes),
        Setting(name: "allow-eviction", kind: .flag, standard: "false", readers: processes),
    ]

    private static let ofWorkers = [
        Setting(name: "queues", short: "q", kind: .queueOrder, standard: "default", readers: [.worker]),
        Setting(
            name: "order",
            kind: .choice(WorkerCommand.Order.allCases.map(\.rawValue)),
            inForce: { WorkerCommand.Order.strict.rawValue },
            readers: [.worker]
        ),
        Setting(name: "reserve", kind: .reserve, readers: [.worker]),
        Setting(
            name: "threads",
            kind: .number(1...1000),
            inForce: { "\(ProcessInfo.processInfo.activeProcessorCount)" },
            readers: [.worker]
        ),
        Setting(name: "fibers", short: "f", kind: .number(1...100_000), standard: "100", readers: [.worker]),
        Setting(name: "timeout", kind: .time, standard: "25s", readers: [.worker]),
        Setting(name: "kill-after", kind: .time, standard: "10s", readers: [.worker]),
        Setting(
            name: "mode",
            kind: .choice(Delivery.allCases.map(\.rawValue)),
            standard: Delivery.atLeastOnce.rawValue,
            readers: [.worker]
        ),
        Setting(name: "with-watcher", kind: .flag, standard: "false", readers: [.worker]),
        Setting(name: "drain", kind: .flag, standard: "false", readers: [.worker]),
        Setting(name: "handlers", kind: .text, readers: [.worker]),
        Setting(name: "demo", kind: .flag, standard: "false", readers: [.worker]),
    ]

    private static let ofWatchers = [
        Setting(name: "queues", short: "q", kind: .queues, readers: [.watcher], isApart: true),
        Setting(name: "interval", kind: .time, standard: "1s", readers: [.watcher]),
        Setting(name: "grace", kind: .time, standard: "6s", readers: [.watcher]),
        Setting(name: "second-look", kind: .time, standard: "500ms", readers: [.watcher]),
        Setting(name: "keep-completed", kind: .retention, standard: "1d,100000", readers: [.watcher]),
        Setting(name: "keep-failed", kind: .retention, standard: "7d,100000", readers: [.watcher]),
        Setting(name: "keep-ended", kind: .retention, standard: "7d,100000", readers: [.watcher]),
        Setting(name: "keep-dead", kind: .retention, standard: "180d,10000", readers: [.watcher]),
    ]
}
