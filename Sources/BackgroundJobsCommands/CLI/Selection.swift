import ArgumentParser
import BackgroundJobs

/// What a command is about: the IDs it was given, or all entries of a list of a queue that pass a filter.
struct Selection: ParsableArguments {
    @Argument(help: ArgumentHelp("The IDs.", valueName: "id"))
    var ids: [String] = []

    @Flag(help: "All of a queue (-q), instead of IDs.")
    var all = false

    @Option(name: [.customShort("q"), .long], help: "The queue.")
    var queue: String?

    @OptionGroup
    var filter: FilterFlags

    func validate() throws {
        if all == !ids.isEmpty { throw ValidationError("Give either IDs, or --all and a queue (-q).") }
        if all, queue == nil { throw ValidationError("--all needs a queue: -q.") }
        if !all, filter.isGiven { throw ValidationError("--class and --error choose among --all.") }
        try Self.check(ids)
        if let queue { try Self.check(queue: queue) }
    }

    /// All of them in words, as `of mail of the class Mail* with the error SMTP*`.
    var text: String {
        let parts = [
            queue.map { "of \($0)" }, filter.className.map { "of the class \($0)" },
            filter.error.map { "with the error \($0)" },
        ]
        return parts.compactMap(\.self).joined(separator: " ")
    }

    /// Refuses what can be no ID before anything is done.
    static func check(_ ids: [String]) throws {
        for id in ids {
            do {
                try Names.checkID(id)
            } catch {
                throw ValidationError(error.message)
            }
        }
    }

    static func check(queue: String) throws {
        do {
            try Names.checkQueue(queue)
        } catch {
            throw ValidationError(error.message)
        }
    }
}

/// The flags that choose among the entries of a list.
struct FilterFlags: ParsableArguments {
    @Option(
        name: .customLong("class"),
        help: ArgumentHelp("Only jobs of this class; with * at its end all classes that begin so.", valueName: "class")
    )
    var className: String?

    @Option(
        help: ArgumentHelp(
            "Only what failed with this error, of a dead job at its last attempt; with * at its end all errors that begin so.",
            valueName: "error"
        )
    )
    var error: String?

    var isGiven: Bool { className != nil || error != nil }

    var filter: JobFilter { JobFilter(className: className, error: error) }

    func validate() throws {
        if className == "" { throw ValidationError("--class names no class.") }
        if error == "" { throw ValidationError("--error names no error.") }
    }
}
