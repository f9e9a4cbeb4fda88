/// A condition did not come true in time.
package struct TookTooLong: Error, CustomStringConvertible {
    package let description: String

    package init(description: String) { self.description = description }
}

/// Looks until there is a value: for what gives no event, such as a key of Redis or the end of a process.
///
/// - Parameters:
///   - what: what is awaited, for the error.
///   - limit: generous, since the tests share slow machines; a promise about time is checked on its own.
package func eventually<Value>(
    _ what: String,
    within limit: Duration = .seconds(60),
    isolation: isolated (any Actor)? = #isolation,
    _ look: () async throws -> Value?
) async throws -> Value {
    let deadline = ContinuousClock.now + limit
    while true {
        if let value = try await look() { return value }
        guard ContinuousClock.now < deadline else { throw TookTooLong(description: "not within \(limit): \(what)") }
        try await Task.sleep(for: .milliseconds(10))
    }
}

/// Looks until something is so.
package func eventually(
    _ what: String,
    within limit: Duration = .seconds(60),
    isolation: isolated (any Actor)? = #isolation,
    _ look: () async throws -> Bool
) async throws {
    try await eventually(what, within: limit, isolation: isolation) { try await look() ? () : nil }
}
