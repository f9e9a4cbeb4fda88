public import ArgumentParser

/// A length of time on the command line: `500ms`, `5s`, `5m`, `2h`, `1d`, or a plain number of seconds, each with a fraction
/// if need be.
///
/// ```swift
/// @Option(help: "How often to look.", transform: DurationArgument.parser(in: .milliseconds(10)...(.seconds(60))))
/// var interval = DurationArgument(.seconds(1))
/// ```
public struct DurationArgument: Sendable, Hashable, ExpressibleByArgument, CustomStringConvertible {
    /// The longest one, 100 years.
    public static let limit = Duration.seconds(36_500 * 86_400)

    /// The length of time.
    public var duration: Duration

    /// Makes an argument, for a default value.
    public init(_ duration: Duration) {
        self.duration = duration
    }

    /// Reads an argument; nil for anything that is none. ``parser(in:)`` says why.
    public init?(argument: String) {
        guard let parsed = try? Self.parse(argument) else { return nil }
        self = parsed
    }

    /// A transform for `@Option` that refuses what lies outside `range`, and says why.
    public static func parser(
        in range: ClosedRange<Duration> = .zero...limit
    ) -> @Sendable (String) throws -> DurationArgument {
        { text in
            let parsed = try parse(text)
            guard range.contains(parsed.duration) else {
                let lower = DurationArgument(range.lowerBound)
                let upper = DurationArgument(range.upperBound)
                throw ValidationError("It must lie between \(lower) and \(upper).")
            }
            return parsed
        }
    }

    /// The shortest form that reads back as the same.
    public var description: String {
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
        // Whole nanoseconds, so that 0.1 is a tenth and not its nearest binary fraction.
        return DurationArgument(.nanoseconds(Int64((seconds * 1e9).rounded())))
    }
}
