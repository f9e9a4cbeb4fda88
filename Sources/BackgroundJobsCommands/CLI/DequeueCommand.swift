import ArgumentParser
import BackgroundJobs

/// `bg-cli dequeue`
struct DequeueCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dequeue",
        abstract: "Takes out jobs that wait, and deletes them.",
        usage: "bg-cli dequeue <id> ... [<options>]",
        discussion: """
            Prints the IDs of those it took out. A job that is running, or has ended, is left alone, and \
            standard error says which; then the exit code is 1.

            Example:
              bg-cli dequeue 4a1f0a5e-6a0e-4b0f-9f55-2d8b7d6a3c11
            """
    )

    @Argument(help: ArgumentHelp("The jobs' IDs.", valueName: "id"))
    var ids: [String]

    @OptionGroup
    var connection: ConnectionOptions

    func run() async throws {
        let missed = try await connection.withInspector { inspector in
            var missed = 0
            for id in ids {
                switch try await inspector.dequeue(id) {
                case .dequeued:
                    try StandardStream.output.write(id + "\n")
                    continue
                case .running: note("The job \(id) is running. To stop it: bg-cli cancel \(id)")
                case .ended: note("The job \(id) has ended.")
                case .missing: note("There is no job with the ID \(id).")
                }
                missed += 1
            }
            return missed
        }
        if missed > 0 { throw ExitCode(1) }
    }
}
