/// Enqueues jobs in the background until it is told to stop.
package final class Producer: Sendable {
    private let task: Task<[String], any Error>
    private let stops = Counter()

    /// - Parameters:
    ///   - batch: how many in one call.
    ///   - pause: the time between two calls.
    package init(_ stage: Stage, _ arguments: String, batch: Int = 20, pause: Duration = .milliseconds(15)) {
        task = Task { [stops] in
            var jobs: [String] = []
            while stops.value == 0 {
                // A backlog that takes minutes to work off proves nothing more.
                if try await stage.records.ready() < 2000 {
                    jobs += try await stage.enqueue("Sleeping", arguments, count: batch)
                }
                try await Task.sleep(for: pause)
            }
            return jobs
        }
    }

    /// - Returns: the acknowledged IDs.
    package func stop() async throws -> [String] {
        stops.next()
        return try await task.value
    }
}
