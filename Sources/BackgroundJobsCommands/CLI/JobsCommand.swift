import ArgumentParser
import BackgroundJobs

/// `bg-cli jobs`
struct JobsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "jobs",
        abstract: "Lists the jobs of a state, a page at a time.",
        usage: "bg-cli jobs <state> [-q <queue>] [--limit <n>] [--offset <n>] [--json] [<options>]",
        discussion: """
            States: \(JobList.allCases.map(\.rawValue).joined(separator: ", ")). Those that wait are listed with the next one \
            first, those that ended with the latest first. processing, completed, failed and ended list attempts.

            Examples:
              bg-cli jobs ready -q high
              bg-cli jobs failed -q high --limit 50 --offset 50
              bg-cli jobs dead --json
            """
    )

    @Argument(help: "The state.", transform: Self.list)
    var state: JobList

    @Option(name: [.customShort("q"), .long], help: "The queue. Without it: one queue after the other.")
    var queue: String?

    @Option(help: "How many at most, 1 to \(Inspector.pageLimit).")
    var limit = 20

    @Option(help: "How many to leave out; of processing, the number that the page before ended with. Needs -q.")
    var offset = 0

    @Flag(help: "As JSON.")
    var json = false

    @OptionGroup
    var connection: ConnectionOptions

    func validate() throws {
        guard (1...Inspector.pageLimit).contains(limit) else {
            throw ValidationError("--limit is a number from 1 to \(Inspector.pageLimit).")
        }
        guard (0...(1 << 53)).contains(offset) else { throw ValidationError("--offset is a number from 0.") }
        if offset > 0, queue == nil { throw ValidationError("--offset needs -q: it counts within one queue.") }
    }

    func run() async throws {
        let page = try await connection.withInspector { inspector in
            if let queue { return try await inspector.jobs(in: state, queue: queue, limit: limit, offset: offset) }
            return try await allQueues(inspector)
        }
        if json {
            try JSONOutput.print(page)
        } else if page.entries.isEmpty {
            note("There are none.")
        } else {
            try StandardStream.output.write(JobsTable.text(page.entries, of: state))
        }
        if let next = page.next { note("There are more: --offset \(next)") }
    }

    private func allQueues(_ inspector: Inspector) async throws -> JobPage {
        var all = JobPage(entries: [], next: nil)
        for queue in try await inspector.queues() {
            guard all.entries.count < limit else {
                note("There may be more, in \(queue) for instance: name a queue with -q.")
                break
            }
            let page = try await inspector.jobs(in: state, queue: queue, limit: limit - all.entries.count)
            all.entries += page.entries
            if page.next != nil { note("There are more in \(queue): name it with -q.") }
        }
        return all
    }

    private static func list(_ name: String) throws -> JobList {
        guard let list = JobList(rawValue: name) else {
            throw ValidationError("The states are \(JobList.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
        return list
    }
}

/// Lists of jobs for people.
enum JobsTable {
    private static let shownArguments = 60

    static func text(_ entries: [JobListing], of list: JobList) -> String {
        switch list {
        case .processing, .completed, .failed, .ended: attempts(entries)
        case .ready, .scheduled, .suspects, .dead: jobs(entries, list)
        }
    }

    private static func jobs(_ entries: [JobListing], _ list: JobList) -> String {
        let when = list == .scheduled ? "due" : list == .dead ? "died" : "queued"
        var table = TextTable(["id", "queue", "class", when, "attempts", "arguments"], rightAligned: [4])
        for entry in entries {
            table.add([
                entry.id ?? "", entry.job?.queue ?? "", entry.job?.className ?? "",
                (entry.time ?? entry.job?.queuedAt).map(Timestamp.text) ?? "", entry.job.map { "\($0.attempts)" } ?? "",
                arguments(entry.job),
            ])
        }
        return table.text
    }

    private static func attempts(_ entries: [JobListing]) -> String {
        var table = TextTable(
            ["id", "queue", "class", "attempt", "started", "took", "result", "message"],
            rightAligned: [3, 5]
        )
        for entry in entries {
            let attempt = entry.attempt
            let message = attempt?.message?.description ?? ""
            table.add([
                entry.id ?? "", attempt?.queue ?? "", entry.job?.className ?? "",
                attempt?.number.map { "\($0)" } ?? "", attempt?.startedAt.map(Timestamp.text) ?? "",
                attempt?.processingTime?.readable ?? "",
                attempt?.isCompleted == true ? "completed" : attempt?.error ?? "", shortened(message),
            ])
        }
        return table.text
    }

    private static func arguments(_ job: JobRecord?) -> String {
        guard let job else { return "" }
        guard let arguments = job.arguments else { return job.argumentsSize > 0 ? "\(job.argumentsSize) bytes" : "" }
        return shortened(arguments.description)
    }

    private static func shortened(_ text: String) -> String {
        text.count > shownArguments ? text.prefix(shownArguments - 1) + "…" : text
    }
}
