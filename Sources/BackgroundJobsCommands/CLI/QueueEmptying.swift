import ArgumentParser
import BackgroundJobs

/// `bg-cli queue clear`
struct QueueClearCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clear",
        abstract: "Deletes the jobs of a queue that wait.",
        usage: "bg-cli queue clear <queue> [--scheduled] [--yes] [<options>]",
        discussion: """
            Deleted are the jobs to be run now, the suspects and those that wait for some nodes, and with --scheduled those \
            to be run later, retries among them; their uniqueness locks are released. What runs goes on, and what has ended stays on record. It goes in \
            bounded steps, takes as many as there were at the start, and may be interrupted and begun again at any time. \
            It says first how many there are, and asks.

            Example:
              bg-cli queue clear low --yes
            """
    )

    @Argument(help: ArgumentHelp("The queue.", valueName: "queue"))
    var queue: String

    @Flag(help: "Those that are scheduled, too.")
    var scheduled = false

    @OptionGroup
    var confirmation: Confirmation

    @OptionGroup
    var connection: ConnectionOptions

    func validate() throws {
        try Selection.check(queue: queue)
    }

    func run() async throws {
        try await connection.withInspector { inspector in
            let plan = try await QueuePlan(queue, scheduled, inspector)
            guard plan.count > 0 else {
                try StandardStream.output.write("0 deleted\n")
                return try await QueueNames.tellUnknown([queue], inspector)
            }
            try confirmation.ask("This deletes the jobs of \(queue) that wait: \(plan.text).")
            let result = try await ProgressReport.inSteps(unit: "jobs", outcome: "deleted") { progress in
                try await inspector.clear(queue: queue, scheduled: scheduled, progress: progress)
            }
            plan.tell(result)
        }
    }
}

/// `bg-cli queue move`
struct QueueMoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "move",
        abstract: "Moves the jobs of a queue that wait to the end of another one.",
        usage: "bg-cli queue move <from> <to> [--scheduled] [--yes] [<options>]",
        discussion: """
            Moved are the jobs to be run now, the suspects and those that wait for some nodes, in their order, and with \
            --scheduled those to be run later, retries among them, each at its time. Those that wait for some nodes are \
            placed anew. What runs goes on, and comes back to the first queue if it fails. \
            Uniqueness locks stay what they are. It goes in bounded steps, takes as many as there were at the start, and \
            may be interrupted and begun again at any time. It says first how many there are, and asks.

            Example:
              bg-cli queue move low high --yes
            """
    )

    @Argument(help: ArgumentHelp("The queue.", valueName: "from"))
    var queue: String

    @Argument(help: ArgumentHelp("The queue to which they go.", valueName: "to"))
    var target: String

    @Flag(help: "Those that are scheduled, too.")
    var scheduled = false

    @OptionGroup
    var confirmation: Confirmation

    @OptionGroup
    var connection: ConnectionOptions

    func validate() throws {
        try Selection.check(queue: queue)
        try Selection.check(queue: target)
        if queue == target {
            throw ValidationError("The jobs are in \(queue) already: name another queue to move them to.")
        }
    }

    func run() async throws {
        try await connection.withInspector { inspector in
            let plan = try await QueuePlan(queue, scheduled, inspector)
            guard plan.count > 0 else {
                try StandardStream.output.write("0 moved\n")
                return try await QueueNames.tellUnknown([queue], inspector)
            }
            let known = try await inspector.queues()
            let isNew = known.contains(target) ? "" : " No queue \(target) is known here yet."
            try confirmation.ask("This moves the jobs of \(queue) that wait to \(target): \(plan.text).\(isNew)")
            let result = try await ProgressReport.inSteps(unit: "jobs", outcome: "moved") { progress in
                try await inspector.move(from: queue, to: target, scheduled: scheduled, progress: progress)
            }
            plan.tell(result)
        }
    }
}

/// What there is in a queue that could be deleted or moved.
private struct QueuePlan {
    let status: QueueStatus
    let scheduled: Bool

    init(_ queue: String, _ scheduled: Bool, _ inspector: Inspector) async throws {
        let status = try await inspector.status(queues: [queue])
        self.status = status.queues[0]
        self.scheduled = scheduled
    }

    var count: Int { status.ready + status.suspects + status.placed + (scheduled ? status.scheduled : 0) }

    /// As `10 ready, 2 suspects, 1 placed (5 scheduled ones stay without --scheduled)`.
    var text: String {
        var parts = ["\(status.ready) ready"]
        if status.suspects > 0 { parts.append("\(status.suspects) suspects") }
        if status.placed > 0 { parts.append("\(status.placed) placed") }
        if scheduled, status.scheduled > 0 { parts.append("\(status.scheduled) scheduled") }
        let stay =
            !scheduled && status.scheduled > 0 ? " (\(status.scheduled) scheduled ones stay without --scheduled)" : ""
        return parts.joined(separator: ", ") + stay
    }

    func tell(_ result: BulkProgress) {
        if result.left > 0 {
            note("\(result.left) places were taken off without a job: it ran, had ended, was gone, or is damaged.")
        }
        for problem in result.problems { note(problem) }
    }
}
