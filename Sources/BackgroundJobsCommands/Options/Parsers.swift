import ArgumentParser

/// What the programs read from people, for those who try it with all kinds of text. Each says how the text was understood, as it
/// would be written shortest, and throws if it was refused.
package enum Parsers {
    /// A length of time.
    package static func duration(_ text: String) throws -> String { try DurationArgument.parse(text).description }

    /// What is kept of a set.
    package static func retention(_ text: String) throws -> String { try RetentionArgument.parse(text).description }

    /// A point in time; nil: it is none.
    package static func time(_ text: String) -> String? { Timestamp.parse(text).map(Timestamp.text) }

    /// One JSON value.
    package static func json(_ bytes: [UInt8]) throws { try JSONScanner.check(bytes, maximumDepth: 64) }

    /// A file of settings.
    package static func settings(_ text: String) throws {
        for reader in SettingsReader.allCases { _ = try SettingsFile(text: text, path: "settings", for: reader) }
    }

    /// The command line of a program, without its name.
    ///
    /// - Parameter program: `bg-worker`, `bg-watcher` or `bg-cli`.
    package static func commandLine(_ arguments: [String], of program: String) throws {
        let commands: [any ConfiguredCommand.Type] = [WorkerCommand.self, WatcherCommand.self, BackgroundCLI.self]
        guard let command = commands.first(where: { $0.configuration.commandName == program }) else { return }
        let settings = try Settings(arguments, for: command.settingsReader, environment: [:])
        do {
            _ = try command.parseAsRoot(settings.arguments)
        } catch {
            throw CommandFailure(code: 64, message: command.fullMessage(for: error))
        }
    }
}
