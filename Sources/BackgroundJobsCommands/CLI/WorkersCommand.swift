import ArgumentParser
import BackgroundJobs

/// `bg-cli workers`
struct WorkersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "workers",
        abstract: "Lists the workers that are connected.",
        usage: "bg-cli workers [--json] [<options>]",
        discussion: """
            name is what jobs are placed by (bg-cli enqueue --on, --avoiding). client is the ID of the worker's connection in Redis, the wrk of its attempts. fibers: how many jobs it can run \
            at a time, or stalled where its jobs hold every thread, so that it begins none; busy: how many it runs now. idle: how long ago it last sent something. connected: for how long.

            Example:
              bg-cli workers --json
            """
    )

    @Flag(help: "As JSON.")
    var json = false

    @OptionGroup
    var connection: ConnectionOptions

    func run() async throws {
        let workers = try await connection.withInspector { try await $0.workers() }
        if json {
            try JSONOutput.print(workers)
        } else if workers.isEmpty {
            note("No worker is connected.")
        } else {
            try StandardStream.output.write(Self.table(workers))
        }
    }

    static func table(_ workers: [WorkerRecord]) -> String {
        var table = TextTable(
            ["node", "name", "client", "fibers", "busy", "idle", "connected", "queues"],
            rightAligned: [2, 3, 4, 5, 6]
        )
        for worker in workers {
            table.add([
                worker.node, worker.name, "\(worker.clientID)", worker.isStalled ? "stalled" : "\(worker.fibers)",
                worker.busy.map { "\($0)" } ?? "?",
                "\(worker.idle.components.seconds)s", worker.connectedFor.readable,
                worker.queues.joined(separator: ","),
            ])
        }
        return table.text
    }
}
