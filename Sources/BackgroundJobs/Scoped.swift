/// Runs a service beside `body` and stops it gracefully when `body` is done.
///
/// - Returns: what `body` returns.
/// - Throws: what `body` throws, or what the service does; then `body` is cancelled.
func withRunning<Value: Sendable>(
    _ run: @escaping @Sendable () async throws -> Void,
    stop: () -> Void,
    _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await withThrowingTaskGroup(of: Result<Value, any Error>?.self) { group in
        group.addTask {
            try await run()
            return nil
        }
        group.addTask {
            do {
                return .success(try await body())
            } catch {
                return .failure(error)
            }
        }
        var outcome: Result<Value, any Error>?
        while let ended = try await group.next() {
            guard let ended else { continue }
            outcome = ended
            stop()
        }
        guard let outcome else { throw CancellationError() }
        return try outcome.get()
    }
}
