import ArgumentParser
import BackgroundJobs

/// `bg-cli jobs`
struct JobsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "jobs",
        abstract: "Lists the jobs of a state, a page at a time.",
        usage: "bg-cli jobs <state> [-q <queue>] [--node <name>] [<options>]",
        discussion: """
            States: \(JobList.allCases.map(\.rawValue).joined(separator: ", ")). Those that wait are listed with the next one \
            first, those that ended with the latest first. processing, completed, failed and ended list attempts.

            Examples:
              bg-cli jobs ready -q high
              bg-cli jobs failed -q high --limit 50 --offset 50
              bg-cli jobs dead --json
              bg-cli jobs processing --node web1
            """
    )

    @Argument(help: "The state.", transform: Self.list)
    var state: JobList

    @Option(help: "Of attempts, those on this node, or on workers of this name.")
    var node: String?

    @OptionGroup
    var page: PageOptions

    @OptionGroup
    var connection: ConnectionOptions

    func validate() throws {
        guard node != nil else { return }
        guard [.processing, .completed, .failed, .ended].contains(state) else {
            throw ValidationError(
                "--node is for lists of attempts, which run on nodes: processing, completed, failed and ended."
            )
        }
    }

    func run() async throws {
        try await page.show(state, JobFilter(node: node), connection) { JobsTable.text($0, of: state) }
    }

    private static func list(_ name: String) throws -> JobList {
        guard let list = JobList(rawValue: name) else {
            throw ValidationError("The states are \(JobList.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
        return list
    }
}
