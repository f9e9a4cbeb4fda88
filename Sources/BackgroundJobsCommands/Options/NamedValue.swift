import ArgumentParser
import BackgroundJobs

/// Values that go by names on the command line.
enum NamedValue {
    /// Reads a name: a transform for `@Option`.
    @Sendable
    static func parse<Value: RawRepresentable<String> & CaseIterable>(_ name: String) throws -> Value {
        if let value = Value(rawValue: name) { return value }
        throw ValidationError("It is one of \(Value.allCases.map(\.rawValue).joined(separator: ", ")).")
    }

    /// Reads the name of a worker or a watcher, by which jobs are placed as well.
    @Sendable
    static func node(_ name: String) throws -> String {
        guard Names.isNodeName(name) else {
            throw ValidationError(
                "\(Names.quoted(name)) is no name of a worker: these have 1 to 40 of A-Z a-z 0-9 _ . -, as bg-cli workers shows them."
            )
        }
        return name
    }
}
