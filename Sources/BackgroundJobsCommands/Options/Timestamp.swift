import Foundation

/// Times as they are printed: UTC, to the millisecond, such as `2026-11-21T13:00:00.123Z`.
enum Timestamp {
    /// The times that have a year of four digits, in ms.
    private static let printable: ClosedRange<Int64> = -62_135_596_800_000...253_402_300_799_999

    static func text(_ date: Date) -> String {
        let milliseconds = (date.timeIntervalSince1970 * 1000).rounded(.down)
        return text(milliseconds: Int64(exactly: milliseconds) ?? 0)
    }

    /// The text of a time of the protocol; one that is no time of this calendar is shown as its number.
    static func text(milliseconds: Int64) -> String {
        guard printable.contains(milliseconds) else { return "\(milliseconds)" }
        let days = Int((Double(milliseconds) / 86_400_000).rounded(.down))
        let rest = Int(milliseconds - Int64(days) * 86_400_000)
        let (year, month, day) = civil(days)
        return pad(year, 4) + "-" + pad(month, 2) + "-" + pad(day, 2) + "T" + pad(rest / 3_600_000, 2) + ":"
            + pad(rest / 60_000 % 60, 2) + ":" + pad(rest / 1000 % 60, 2) + "." + pad(rest % 1000, 3) + "Z"
    }

    /// Reads a time such as `2026-12-01T08:00:00Z`, with or without a fraction, with `Z` or an offset such as `+01:00`; nil for
    /// one that is on no calendar. (Foundation would move that to the next month or day, counts the days before 1582 by
    /// another calendar, and reads no further than it understands.)
    static func parse(_ text: String) -> Date? {
        let form =
            /(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d{1,9})?(?:Z|([+-])(\d\d)(?::?(\d\d))?)/.asciiOnlyDigits()
        guard let fields = text.wholeMatch(of: form), let year = Int(fields.1), let month = Int(fields.2),
            let day = Int(fields.3), let hour = Int(fields.4), let minute = Int(fields.5), let second = Int(fields.6),
            year > 0, (1...12).contains(month), (1...days(of: month, in: year)).contains(day), hour < 24, minute < 60,
            second < 60, let fraction = Double("0\(fields.7 ?? "")")
        else { return nil }
        let (hours, minutes) = (Int(fields.9 ?? "0") ?? 0, Int((fields.10 ?? nil) ?? "0") ?? 0)
        guard hours < 24, minutes < 60 else { return nil }
        let offset = (hours * 3600 + minutes * 60) * (fields.8 == "-" ? -1 : 1)
        let seconds = number(ofDay: day, month, year) * 86_400 + hour * 3600 + minute * 60 + second - offset
        return Date(timeIntervalSince1970: Double(seconds) + fraction)
    }

    /// A date as the number of its day, counted from 1970-01-01 (Hinnant, days_from_civil).
    private static func number(ofDay day: Int, _ month: Int, _ year: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func days(of month: Int, in year: Int) -> Int {
        let isLeapYear = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        return switch month {
        case 2: isLeapYear ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// The date of a day counted from 1970-01-01 (Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days).
    private static func civil(_ days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (
            yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        )
    }

    private static func pad(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
