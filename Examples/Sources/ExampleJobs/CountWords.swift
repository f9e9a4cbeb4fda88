public import BackgroundJobs

/// A job with a result.
public struct CountWords: Job {
    public var text: String

    public init(text: String) {
        self.text = text
    }

    public func perform(_ context: JobContext) async throws -> [String: Int] {
        var counts: [String: Int] = [:]
        for word in text.lowercased().split(whereSeparator: { !$0.isLetter }) { counts[String(word), default: 0] += 1 }
        context.note("words", counts.count)
        return counts
    }
}

/// Has the words counted by a worker, and waits for the result.
///
/// - Throws: `JobFailed` if the job did not succeed, `BackgroundError` if that took more than ten seconds.
public func wordCount(of text: String, _ manager: Manager) async throws -> [String: Int] {
    let handle = try await manager.enqueue(CountWords(text: text))
    return try await handle.value(within: .seconds(10))
}
