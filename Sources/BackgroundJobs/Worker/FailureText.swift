/// An error that says under which name it goes on record.
package protocol NamedFailure: Error {
    /// The attempt's `err`.
    var failureName: String { get }
    /// The attempt's `msg`.
    var failureMessage: String { get }
}

extension BadArguments: NamedFailure {
    package var failureName: String { "Bad Arguments" }
    package var failureMessage: String { description }
}

extension JobTimeout: NamedFailure {
    package var failureName: String { "Timeout" }
    package var failureMessage: String { description }
}

extension JobOutcome: NamedFailure {
    package var failureName: String {
        switch kind {
        case .discard: "Discarded"
        case .dead: "Dead"
        case .snooze: "Snoozed"
        case .skip: "Skipped"
        case .endPeriodic: "Periodic Job Ended"
        }
    }
    package var failureMessage: String { description }
}

/// Text that goes on record: bounded, and without control characters.
package enum FailureText {
    /// Bytes of a message.
    package static let messageLimit = 4096

    /// An error's name and message, with those of its causes.
    static func of(_ error: any Error) -> (name: String, message: String) {
        var message = words(error)
        var cause = cause(of: error)
        for _ in 0..<4 {
            guard let inner = cause else { break }
            message += "\ncaused by \(name(inner)): \(words(inner))"
            cause = self.cause(of: inner)
        }
        return (printable(name(error), limit: 200), printable(message, limit: messageLimit))
    }

    private static func name(_ error: any Error) -> String {
        (error as? any NamedFailure)?.failureName ?? String(describing: type(of: error))
    }

    private static func words(_ error: any Error) -> String {
        (error as? any NamedFailure)?.failureMessage ?? String(describing: error)
    }

    /// The error beneath: a property that is called so by custom.
    private static func cause(of error: any Error) -> (any Error)? {
        let names = ["cause", "underlying", "underlyingError"]
        return Mirror(reflecting: error).children.lazy
            .filter { names.contains($0.label ?? "") }
            .compactMap { $0.value as? any Error }
            .first
    }

    package static func printable(_ text: String, limit: Int) -> String {
        var result = ""
        var size = 0
        for scalar in text.unicodeScalars {
            let isControl = scalar.value < 0x20 && scalar != "\n" || (0x7F...0x9F).contains(scalar.value)
            let isBidirectionalMark =
                (0x202A...0x202E).contains(scalar.value) || (0x2066...0x2069).contains(scalar.value)
            let shown = isControl || isBidirectionalMark ? scalar.escaped(asASCII: true) : String(scalar)
            size += shown.utf8.count
            guard size <= limit else { return result }
            result += shown
        }
        return result
    }
}
