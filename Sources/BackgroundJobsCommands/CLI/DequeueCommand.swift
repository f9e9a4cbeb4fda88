import ArgumentParser
import BackgroundJobs

/// `bg-cli dequeue`
struct DequeueCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dequeue",
        abstract: "Takes out jobs that wait, and deletes them.",
        usage: "bg-cli dequeue <id> ... [<options>]",
        discussion: """
            Prints the IDs of those it took out. A job that is running, or has ended, is left alone; then the exit code is 1.

            Example:
              bg-cli dequeue 4a1f0a5e-6a0e-4b0f-9f55-2d8b7d6a3c11
            """
    )

    @Argument(help: ArgumentHelp("The jobs' IDs.", valueName: "id"))
    var ids: [String]

    @OptionGroup
    var connection: ConnectionOptions

    func run() async throws {
        let missed = try await connection.withManager { manager in
            var missed = 0
            for id in ids {
                do {
                    if try await manager.dequeue(id) {
                        try StandardStream.output.write(id + "\n")
                        continue
                    }
                    note("The job \(id) is running or has ended.")
                } catch let error as BackgroundError where error.code == .jobNotFound {
                    note(error.message)
                }
                missed += 1
            }
            return missed
        }
        if missed > 0 { throw ExitCode(1) }
    }
}
