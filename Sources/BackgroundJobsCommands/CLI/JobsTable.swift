import BackgroundJobs

/// Lists of jobs for people.
enum JobsTable {
    private static let shownArguments = 60

    static func text(_ entries: [JobListing], of list: JobList) -> String {
        switch list {
        case .processing, .completed, .failed, .ended: attempts(entries)
        case .ready, .scheduled, .suspects, .placed, .dead: jobs(entries, list)
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
            let message = attempt.flatMap(JobText.message) ?? ""
            table.add([
                entry.id ?? "", attempt?.queue ?? "", entry.job?.className ?? "",
                attempt?.number.map { "\($0)" } ?? "", attempt?.startedAt.map(Timestamp.text) ?? "",
                attempt?.processingTime?.readable ?? "",
                attempt?.isCompleted == true ? "completed" : attempt?.error ?? "", shortened(message),
            ])
        }
        return table.text
    }

    /// What is to be retried or deleted: under `id` stands what these commands want to know, so in a list of attempts that of the
    /// attempt.
    static func ended(_ entries: [JobListing], _ list: JobList) -> String {
        let isOfJobs = list == .dead
        var table = TextTable(
            isOfJobs
                ? ["died", "id", "queue", "class", "error", "message"]
                : ["ended", "id", "job", "queue", "class", "error", "message"]
        )
        for entry in entries {
            let ids = isOfJobs ? [entry.id ?? ""] : [entry.attempt?.id ?? "", entry.id ?? ""]
            table.add(
                [entry.time.map(Timestamp.text) ?? ""] + ids + [
                    (isOfJobs ? entry.job?.queue : entry.attempt?.queue) ?? "", entry.job?.className ?? "",
                    entry.attempt?.error ?? "", shortened(entry.attempt.flatMap(JobText.message) ?? ""),
                ]
            )
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
