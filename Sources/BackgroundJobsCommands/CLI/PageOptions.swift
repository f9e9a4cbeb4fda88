import ArgumentParser
import BackgroundJobs

/// The options of the commands that list jobs a page at a time.
struct PageOptions: ParsableArguments {
    @Option(name: [.customShort("q"), .long], help: "The queue. (default: one queue after the other)")
    var queue: String?

    @Option(help: ArgumentHelp("How many at most, 1 to \(Inspector.pageLimit).", valueName: "n"))
    var limit = 20

    @Option(
        help: ArgumentHelp(
            "How many to leave out; of processing, the number that the page before ended with. Needs -q.",
            valueName: "n"
        )
    )
    var offset = 0

    @Flag(help: "As JSON.")
    var json = false

    func validate() throws {
        guard (1...Inspector.pageLimit).contains(limit) else {
            throw ValidationError("--limit is a number from 1 to \(Inspector.pageLimit).")
        }
        guard (0...(1 << 53)).contains(offset) else { throw ValidationError("--offset is a number from 0.") }
        if offset > 0, queue == nil { throw ValidationError("--offset needs -q: it counts within one queue.") }
    }

    /// Shows a page.
    func show(
        _ list: JobList,
        _ filter: JobFilter,
        _ connection: ConnectionOptions,
        table: ([JobListing]) -> String
    ) async throws {
        let page = try await connection.withInspector { inspector in
            guard let queue else { return try await allQueues(list, filter, inspector) }
            return try await inspector.jobs(in: list, queue: queue, limit: limit, offset: offset, matching: filter)
        }
        if json {
            try JSONOutput.print(page)
        } else if page.entries.isEmpty {
            note("There are none.")
        } else {
            try StandardStream.output.write(table(page.entries))
        }
        if let next = page.next { note("There are more: --offset \(next)") }
    }

    private func allQueues(_ list: JobList, _ filter: JobFilter, _ inspector: Inspector) async throws -> JobPage {
        var all = JobPage(entries: [], next: nil)
        for queue in try await inspector.queues() {
            guard all.entries.count < limit else {
                note("There may be more, in \(queue) for instance: name a queue with -q.")
                break
            }
            guard let page = try await page(list, queue, limit - all.entries.count, filter, inspector) else { continue }
            all.entries += page.entries
            if page.next != nil { note("There are more in \(queue): name it with -q.") }
        }
        return all
    }

    /// The first of a queue; nil if a key of it is damaged, of which a note tells.
    private func page(
        _ list: JobList,
        _ queue: String,
        _ limit: Int,
        _ filter: JobFilter,
        _ inspector: Inspector
    ) async throws -> JobPage? {
        do {
            return try await inspector.jobs(in: list, queue: queue, limit: limit, matching: filter)
        } catch {
            // Not `catch where`: over a typed error in an async function Swift 6.3's optimizer does not come to an end.
            guard error.code == .damaged else { throw error }
            note("\(queue) is left out. \(error.message)")
            return nil
        }
    }
}
