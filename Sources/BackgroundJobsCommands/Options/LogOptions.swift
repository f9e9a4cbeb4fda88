import ArgumentParser
import Logging

/// The options of every program that say what it logs to standard error, and how.
struct LogOptions: ParsableArguments {
    @Option(
        name: .customLong("log-level"),
        help: ArgumentHelp(
            """
            The least level that is logged: trace, debug, info, notice, warning, error or critical. (default: info; bg-cli: \
            critical)
            """,
            valueName: "level"
        ),
        transform: Self.parse
    )
    var level: Logger.Level?

    @Option(
        name: .customLong("log-format"),
        help: ArgumentHelp(
            "How: text for people, json for programs; one line an event in both.",
            valueName: "format"
        )
    )
    var format: LogFormat = .text

    @Flag(name: [.short, .long], help: "Tell more: the same as --log-level debug.")
    var verbose = false

    /// The level asked for; `--log-level` is more precise than `-v` and wins.
    ///
    /// - Parameter standard: the level of a program that was told nothing.
    func level(or standard: Logger.Level = .info) -> Logger.Level {
        level ?? (verbose ? .debug : standard)
    }

    /// A logger that writes to standard error as these options say.
    ///
    /// - Parameters:
    ///   - label: the logger's label.
    ///   - standard: the level if none was asked for.
    func logger(label: String, standard: Logger.Level = .info) -> Logger {
        Logger(label: label) { LineLogHandler(label: $0, level: level(or: standard), format: format) }
    }

    private static func parse(_ name: String) throws -> Logger.Level {
        guard let level = Logger.Level(rawValue: name.lowercased()) else {
            throw ValidationError(
                "The levels are \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))."
            )
        }
        return level
    }
}

/// The form of a log line.
enum LogFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    case text
    case json
}
