import TestSupport
import Testing

extension Stage {
    /// Checks what Redis holds when all is done.
    ///
    /// - Parameter jobs: the acknowledged IDs.
    func checkSettled(
        _ jobs: [String],
        queue: String = "default",
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let wrong = try await unsettled(jobs, queue: queue)
        #expect(
            wrong.prefix(5) == [],
            "\(wrong.count) things are not as they should be",
            sourceLocation: sourceLocation
        )
    }
}
