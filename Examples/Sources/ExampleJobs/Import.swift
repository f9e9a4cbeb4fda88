public import BackgroundJobs

/// One of many jobs of a batch.
public struct ImportRow: Job {
    public static let queue = "low"
    public static let options = JobOptions(retries: 1)

    public var row: String

    public func perform(_ context: JobContext) async throws {
        if row.isEmpty { throw JobOutcome.discard("an empty row") }
        // A row that says that it goes on adds to the batch from inside.
        if let rest = row.split(separator: ";", maxSplits: 1).dropFirst().first {
            try await context.batch?.enqueue(ImportRow(row: String(rest)))
        }
    }
}

/// Runs once when all jobs of the batch have ended.
public struct PublishImport: Job {
    public func perform(_ context: JobContext) async throws -> String {
        guard let counts = context.batchCounts else { return "no batch" }
        return "\(counts.completed) of \(counts.total) rows"
    }
}

/// Enqueues a job for each row.
public func importRows(_ rows: [String], _ manager: Manager) async throws -> Batch {
    try await manager.batch("import", onComplete: PublishImport()) { batch in
        try await batch.enqueue(contentsOf: rows.map(ImportRow.init))
    }
}
