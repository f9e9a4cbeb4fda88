import ArgumentParser
import BackgroundJobs

/// `bg-cli prune`
struct PruneCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune",
        abstract: "Deletes a queue, or all there is in the namespace.",
        usage: "bg-cli prune [-q <queue>] [--force] [--yes] [<options>]",
        discussion: """
            Of a queue: the jobs that wait and those that have ended, their attempts and uniqueness locks, and the queue's \
            statistics. Without -q all keys of the namespace. It says first what there is, and asks. Keys that begin as \
            those of the namespace do, and are none of this system's, stay. It goes in small steps and may be interrupted and \
            begun again at any time.

            While workers or watchers are connected it refuses, since what they run would lose its records; --force does it \
            all the same.

            Examples:
              bg-cli prune -q low
              bg-cli prune -n test --yes
            """
    )

    @Option(name: [.customShort("q"), .long], help: "The queue. (default: all of the namespace)")
    var queue: String?

    @Flag(help: "Although workers or watchers are connected.")
    var force = false

    @OptionGroup
    var confirmation: Confirmation

    @OptionGroup
    var connection: ConnectionOptions

    func validate() throws {
        if let queue { try Selection.check(queue: queue) }
    }

    func run() async throws {
        try await connection.withInspector { inspector in
            let there = try await inspector.prunable(queue: queue)
            tellForeign(there, inspector)
            guard there.total > 0 else { return try StandardStream.output.write("0 deleted\n") }
            try await checkConnected(inspector)
            let what = queue.map { "the queue \($0) in the namespace" } ?? "all of the namespace"
            try confirmation.ask(
                "This deletes \(what) \(inspector.namespace) on \(inspector.server): \(Self.text(there))."
            )
            var bar = ProgressBar(total: there.total, unit: "keys")
            defer { bar.end() }
            let deleted = try await inspector.prune(queue: queue, force: force) { count in
                if count < there.total { bar.show(done: count, count: count) }
            }
            bar.end()
            try StandardStream.output.write("\(deleted.total) deleted\n")
        }
    }

    private func checkConnected(_ inspector: Inspector) async throws {
        let (workers, watchers) = try await (inspector.workers().count, inspector.watchers())
        guard workers + watchers > 0 else { return }
        let found =
            "\(workers) \(workers == 1 ? "worker" : "workers") and \(watchers) \(watchers == 1 ? "watcher" : "watchers")"
        guard force else {
            throw CommandFailure(
                code: 1,
                message: "Nothing was done: connected are \(found). Stop them first, or give --force."
            )
        }
        note("Connected are \(found): what they run loses its records.")
    }

    private func tellForeign(_ report: PruneReport, _ inspector: Inspector) {
        guard report.foreignCount > 0 else { return }
        let names = report.foreign.joined(separator: ", ") + (report.foreignCount > report.foreign.count ? ", …" : "")
        note(
            "\(report.foreignCount) keys begin with \(inspector.namespace): and are none of this system's; they stay: \(names)"
        )
    }

    /// As `12 jobs, 30 attempts, 1 ready`.
    static func text(_ report: PruneReport) -> String {
        let kinds = report.counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        return "\(report.total) keys (\(kinds.map { "\($0.key) \($0.value)" }.joined(separator: ", ")))"
    }
}
