import ArgumentParser

/// A length of time on the command line: `500ms`, `5s`, `5m`, `2h`, `1d`, or a plain number of seconds, each with a fraction
/// if need be.
struct DurationArgument: Sendable, Hashable, ExpressibleByArgument, CustomStringConvertible {
    /// The longest one, 100 years.
    static let limit = Duration.seconds(36_500 * 86_400)

    /// The length of time.
    var duration: Duration

    init(_ duration: Duration) {
        self.duration = duration
    }

    /// Reads an argument; nil for anything that is none. ``parse(_:)`` says why.
    init?(argument: String) {
        guard let parsed = try? Self.parse(argument) else { return nil }
        self = parsed
    }

    /// A transform for `@Option` that says why it refuses something.
    ///
    /// - Parameter shortest: the shortest time that is allowed.
    static func parser(from shortest: Duration = .zero) -> @Sendable (String) throws -> DurationArgument {
        { text in
            let argument = try parse(text)
            guard argument.duration >= shortest else {
                throw ValidationError("The shortest time is \(DurationArgument(shortest)).")
            }
            return argument
        }
    }

    /// The shortest form that reads back as the same.
    var description: String {
        let (seconds, attoseconds) = duration.components
        guard attoseconds == 0 else {
            let milliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000
            return attoseconds % 1_000_000_000_000_000 == 0
                ? "\(milliseconds)ms" : "\(Double(seconds) + Double(attoseconds) / 1e18)s"
        }
        for (unit, length) in [("d", 86_400 as Int64), ("h", 3600), ("m", 60)]
        where seconds != 0 && seconds % length == 0 {
            return "\(seconds / length)\(unit)"
        }
        return "\(seconds)s"
    }

    static func parse(_ text: String) throws -> DurationArgument {
        let number = text.prefix { $0.isASCII && $0.isNumber || $0 == "." }
        let units: [Substring: Double] = ["": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let unit = units[text.dropFirst(number.count)], let value = Double(number),
            number.first?.isNumber == true, number.last?.isNumber == true
        else {
            throw ValidationError("A time is a number and a unit, as in 500ms, 5s, 5m, 2h, 1d; without unit: seconds.")
        }
        let seconds = value * unit
        guard seconds <= Double(limit.components.seconds) else {
            throw ValidationError("The longest time is \(DurationArgument(limit)).")
        }
        // Whole nanoseconds, so that 0.1 is a tenth and not its nearest binary fraction; where a Double does not hold so many
        // digits, whole milliseconds.
        return DurationArgument(
            seconds < 1e6
                ? .nanoseconds(Int64((seconds * 1e9).rounded())) : .milliseconds(Int64((seconds * 1e3).rounded()))
        )
    }
}
