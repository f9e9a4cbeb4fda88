import ArgumentParser
import BackgroundJobs

/// How long and how many records are kept, on the command line: `24h,100000`. Either half may be `all` or `0`; whichever is
/// exceeded first counts. `all` and `0` alone stand for both halves.
struct RetentionArgument: Sendable, Hashable, ExpressibleByArgument, CustomStringConvertible {
    /// The retention.
    var retention: Retention

    init(_ retention: Retention) {
        self.retention = retention
    }

    /// Reads an argument; nil for anything that is none. ``parse(_:)`` says why.
    init?(argument: String) {
        guard let parsed = try? Self.parse(argument) else { return nil }
        self = parsed
    }

    /// Reads an argument: a transform for `@Option`.
    @Sendable
    static func parse(_ text: String) throws -> RetentionArgument {
        if text == "all" { return RetentionArgument(Retention(age: nil, count: nil)) }
        if text == "0" { return RetentionArgument(Retention(age: .zero, count: 0)) }
        let halves = text.split(separator: ",", omittingEmptySubsequences: false)
        guard halves.count == 2 else {
            throw ValidationError("A retention is an age and a number, as in 24h,100000; either may be all or 0.")
        }
        let age = halves[0] == "all" ? nil : try DurationArgument.parse(String(halves[0])).duration
        return RetentionArgument(Retention(age: age, count: try count(halves[1])))
    }

    /// The form in which it is written on the command line.
    var description: String {
        let age = retention.age.map { $0 == .zero ? "0" : "\(DurationArgument($0))" } ?? "all"
        return "\(age),\(retention.count.map(String.init) ?? "all")"
    }

    private static func count(_ text: Substring) throws -> Int? {
        if text == "all" { return nil }
        guard text.allSatisfy({ $0.isASCII && $0.isNumber }), let count = Int(text), count <= 1 << 53 else {
            throw ValidationError("The number of records is all or digits; “\(Printable.escaped(text))” is neither.")
        }
        return count
    }
}
