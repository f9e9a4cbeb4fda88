import BackgroundJobs

/// A call that goes in steps: shows how far it is, prints how many it did, and says where it stopped if it did not get to its end.
enum ProgressReport {
    /// - Parameters:
    ///   - unit: what is counted.
    ///   - outcome: what has become of them.
    ///   - run: the call; it tells its argument how far it is.
    static func inSteps(
        unit: String,
        outcome: String,
        _ run: ((BulkProgress) -> Void) async throws -> BulkProgress
    ) async throws -> BulkProgress {
        var bar: ProgressBar?
        var last: BulkProgress?
        defer { bar?.end() }
        do {
            let result = try await run { progress in
                if bar == nil { bar = ProgressBar(total: progress.total, unit: unit) }
                if progress.seen < progress.total { bar?.show(done: progress.seen, count: progress.done) }
                last = progress
            }
            bar?.end()
            bar = nil
            try StandardStream.output.write("\(result.done) \(outcome)\n")
            return result
        } catch {
            let failure = CommandFailure(error)
            guard let last, let message = failure.message else { throw failure }
            throw CommandFailure(code: failure.code, message: "\(message) It stopped; \(last.done) \(outcome).")
        }
    }
}
