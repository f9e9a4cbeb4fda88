import ArgumentParser

/// Values that go by names on the command line.
enum NamedValue {
    /// Reads a name: a transform for `@Option`.
    @Sendable
    static func parse<Value: RawRepresentable<String> & CaseIterable>(_ name: String) throws -> Value {
        if let value = Value(rawValue: name) { return value }
        throw ValidationError("It is one of \(Value.allCases.map(\.rawValue).joined(separator: ", ")).")
    }
}
