public import Foundation

/// When a periodic job is to run, as cron says it.
///
/// Five fields, minute, hour, day of the month, month and day of the week; or six, with the second in front. A field is `*`, a
/// number, a range `9-17`, either with a step (`*/15`, `9-17/2`), or a list of these with commas between. Months and days of
/// the week have names too (`JAN`, `MON`); Sunday is 0 or 7. Where both days are restricted, either will do, as in cron; a field
/// that begins with `*` restricts nothing, and then both have to match. Instead of the fields: `@yearly`, `@annually`,
/// `@monthly`, `@weekly`, `@daily`, `@midnight`, `@hourly`.
///
/// When clocks are changed:
/// - with a fixed hour and minute no time runs twice, that is, one that the clocks show twice runs the first time; and one that they
///   leave out runs at the first moment after;
/// - where minute or hour begin with `*`, it runs whenever the clocks show a time that matches: twice if they do so twice, and
///   not at all if they leave it out.
public struct CronExpression: Sendable, Hashable, CustomStringConvertible {
    /// The expression, its fields separated by single spaces.
    public let description: String
    let seconds: CronField
    let minutes: CronField
    let hours: CronField
    let days: CronField
    let months: CronField
    let weekdays: CronField

    /// Whether it runs whenever the clocks show a matching time, rather than once for each.
    var followsClock: Bool { minutes.beginsWithStar || hours.beginsWithStar }

    private static let named = [
        "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
        "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
    ]

    /// Reads an expression.
    ///
    /// - Throws: ``BackgroundError`` with the code `invalidArgument`, saying what is wrong and what to write instead; also for an
    ///   expression that no date matches, such as `0 0 30 2 *`.
    public init(_ text: String) throws(BackgroundError) {
        let words = text.split(whereSeparator: \.isWhitespace).map(String.init)
        description = words.joined(separator: " ")
        var fields = words
        if let word = words.first, word.hasPrefix("@") {
            guard words.count == 1, let meant = Self.named[word.lowercased()] else { throw Self.unknown(word, text) }
            fields = meant.split(separator: " ").map(String.init)
        }
        guard fields.count == 5 || fields.count == 6 else {
            throw .cron(
                text,
                "it has \(fields.count) field\(fields.count == 1 ? "" : "s"), where five belong (minute, hour, day of the month, "
                    + "month, day of the week), or six with the second in front"
            )
        }
        if fields.count == 5 { fields.insert("0", at: 0) }
        seconds = try CronField(fields[0], .second, text)
        minutes = try CronField(fields[1], .minute, text)
        hours = try CronField(fields[2], .hour, text)
        days = try CronField(fields[3], .day, text)
        months = try CronField(fields[4], .month, text)
        weekdays = try CronField(fields[5], .weekday, text)
        guard firstDay(after: 0) != nil else {
            throw .cron(text, "no date matches it: these months don't have such a day")
        }
    }

    private static func unknown(_ word: String, _ text: String) -> BackgroundError {
        switch word.lowercased() {
        case "@reboot":
            .cron(text, "there is no @reboot here: enqueue the job where the program starts")
        case "@every":
            .cron(text, "a plain period is no cron expression: write every 5m, or .every(.seconds(300)) in a program")
        default:
            .cron(
                text,
                "expected @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly, alone, or five fields"
            )
        }
    }

    /// The first time after a moment.
    ///
    /// - Parameters:
    ///   - date: the moment; it is not among the results itself.
    ///   - zone: whose wall clocks it speaks of.
    /// - Returns: nil if there is none that a calendar can tell.
    public func next(after date: Date, in zone: TimeZone = .gmt) -> Date? {
        let seconds = date.timeIntervalSince1970.rounded(.down)
        guard abs(seconds) < 1e11 else { return nil }
        return next(after: Int(seconds), in: zone).map { Date(timeIntervalSince1970: Double($0)) }
    }
}

extension BackgroundError {
    static func cron(_ text: String, _ what: String) -> BackgroundError {
        BackgroundError(.invalidArgument, "The cron expression \(Names.quoted(text)) can't be read: \(what).")
    }
}
