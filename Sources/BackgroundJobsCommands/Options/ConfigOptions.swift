import ArgumentParser
import BackgroundJobs

/// The option of every program that names a file of settings.
struct ConfigOptions: ParsableArguments {
    /// Read before the command line is parsed (``Settings``); here it is explained, and accepted.
    @Option(
        help: ArgumentHelp(
            "A YAML file with settings; their names are those of the options. Without it BG_CONFIG counts.",
            discussion: """
                A flag wins over the environment (BG_FIBERS for --fibers), that over the file, and that over the default.
                """,
            valueName: "file"
        ),
        completion: .file()
    )
    var config: String?
}

/// The option of the programs that run for long.
struct PrintConfigOptions: ParsableArguments {
    @Flag(help: "Show each setting, its value and where that was said, and exit.")
    var printConfig = false

    /// Shows the settings; false if that was not asked for. A Redis that can't be meant is an error, as it is at a start.
    func show(_ redis: RedisOptions) throws -> Bool {
        guard printConfig else { return false }
        _ = try redis.configuration(clientName: "")
        try StandardStream.output.write(Settings.current?.text ?? "")
        return true
    }
}

/// A command whose options may also be given in the environment and in a file.
protocol ConfiguredCommand: ParsableCommand {
    /// Whose settings count.
    static var settingsReader: SettingsReader { get }
    /// Whether settings make sense on this command line.
    static func takesSettings(_ arguments: [String]) -> Bool
}

extension ConfiguredCommand {
    static func takesSettings(_ arguments: [String]) -> Bool { true }
}
