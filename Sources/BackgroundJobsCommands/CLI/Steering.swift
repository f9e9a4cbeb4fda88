import ArgumentParser
import BackgroundJobs

/// Carries out what a ``Selection`` asks for, and says what became of it: a line for each ID, or how many it was of all.
struct Steering {
    let inspector: Inspector
    let list: JobList
    let selection: Selection

    /// - Returns: whether all that was named by ID could be done, and nothing was damaged.
    func retry() async throws -> Bool {
        guard !selection.all else { return try await retryAll() }
        let verdicts =
            list == .failed
            ? try await inspector.retry(attempts: selection.ids) : try await inspector.retry(selection.ids)
        for (id, verdict) in zip(selection.ids, verdicts) {
            try StandardStream.output.write("\(id) \(Self.word(verdict))\n")
            if case .damaged(let sentence) = verdict { note(sentence) }
            if verdict == .missing { try await tellOtherKind(id, "retry") }
        }
        return verdicts.allSatisfy { [.queued, .waiting, .running].contains($0) }
    }

    /// - Returns: whether all that was named by ID could be done, and nothing was damaged.
    func delete() async throws -> Bool {
        guard !selection.all else { return try await deleteAll() }
        let verdicts = try await inspector.delete(selection.ids, from: list, queue: selection.queue)
        for (id, verdict) in zip(selection.ids, verdicts) {
            try StandardStream.output.write("\(id) \(Self.word(verdict))\n")
            if case .damaged(let sentence) = verdict { note(sentence) }
            if verdict == .missing { try await tellOtherKind(id, "delete") }
        }
        return verdicts.allSatisfy { $0 == .deleted }
    }

    /// Jobs and attempts have IDs of the same kind: says so where one was taken for the other.
    private func tellOtherKind(_ id: String, _ verb: String) async throws {
        if list == .failed, try await inspector.job(id, attempts: 1) != nil {
            note("\(id) is the ID of a job, not of an attempt: bg-cli \(verb == "retry" ? "" : "dead ")\(verb) \(id)")
        } else if list == .dead, try await inspector.attempt(id) != nil {
            note("\(id) is the ID of an attempt, not of a job: bg-cli failed \(verb) \(id)")
        }
    }

    private func retryAll() async throws -> Bool {
        let result = try await inSteps("queued again", "jobs") { queue, filter, progress in
            try await inspector.retryAll(in: list, queue: queue, matching: filter, progress: progress)
        }
        if result.left > 0 {
            note("\(result.left) were left as they are: they wait or run already, or can't be run again.")
        }
        for problem in result.problems { note(problem) }
        return result.problems.isEmpty
    }

    private func deleteAll() async throws -> Bool {
        let result = try await inSteps("deleted", list == .dead ? "jobs" : "attempts") { queue, filter, progress in
            try await inspector.deleteAll(in: list, queue: queue, matching: filter, progress: progress)
        }
        if result.left > 0, list != .dead {
            note("\(result.left) stay: the last attempts of dead jobs go with these (bg-cli dead delete).")
        }
        for problem in result.problems { note(problem) }
        return result.problems.isEmpty
    }

    private func inSteps(
        _ outcome: String,
        _ unit: String,
        _ run: @escaping (String, JobFilter, (BulkProgress) -> Void) async throws -> BulkProgress
    ) async throws -> BulkProgress {
        try await ProgressReport.inSteps(unit: unit, outcome: outcome) { progress in
            try await run(selection.queue ?? "", selection.filter.filter, progress)
        }
    }

    private static func word(_ verdict: Deleted) -> String {
        switch verdict {
        case .deleted: "deleted"
        case .kept: "kept"
        case .missing: "missing"
        case .damaged: "damaged"
        }
    }

    private static func word(_ verdict: Retried) -> String {
        switch verdict {
        case .queued: "queued"
        case .waiting: "waiting"
        case .running: "running"
        case .ended: "ended"
        case .missing: "missing"
        case .damaged: "damaged"
        }
    }
}
