package import ArgumentParser

/// The program `bg-cli`: looks at queues and jobs, enqueues jobs and steers them.
package struct BackgroundCLI: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "bg-cli",
        abstract: "Looks at queues and jobs, enqueues jobs and steers them.",
        discussion: """
            Results go to standard output, everything else to standard error.

            Exit codes: 0 done; 1 not found, or failed; 64 the command line can't be understood; 69 no Redis; 77 not \
            permitted.

            Examples:
              bg-cli status
              bg-cli enqueue Jobs::Nap '{"sleep":1}' -q high
              bg-cli jobs failed -q high
              bg-cli retry --all -q high --class Mail

            What connects to Redis may also be given in the environment (BG_REDIS, BG_NAMESPACE, …), or in a file (--config).
            """,
        version: ProgramVersion.current,
        subcommands: [
            StatusCommand.self, EnqueueCommand.self, JobCommand.self, JobsCommand.self, DequeueCommand.self,
            CancelCommand.self, RetryCommand.self, EndedCommand<DeadJobs>.self, EndedCommand<FailedAttempts>.self,
            BatchCommand.self, WorkersCommand.self, SummaryCommand.self, QueueCommand.self, PruneCommand.self,
            CronCommand.self,
        ]
    )

    package init() {}
}

extension BackgroundCLI: ConfiguredCommand {
    static var settingsReader: SettingsReader { .cli }

    /// A command that does something; not one that only shows which ones there are.
    static func takesSettings(_ arguments: [String]) -> Bool {
        var command: any ParsableCommand.Type = Self.self
        for argument in arguments {
            let next = command.configuration.subcommands.first { $0.configuration.commandName == argument }
            guard let next else { break }
            command = next
        }
        return command.configuration.subcommands.isEmpty || command.configuration.defaultSubcommand != nil
    }
}
