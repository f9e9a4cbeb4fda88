import Foundation

/// One field of a cron expression: the numbers that it allows.
struct CronField: Sendable, Hashable {
    /// A bit for each number, 0 to 59.
    private(set) var bits: UInt64 = 0
    let beginsWithStar: Bool

    /// Which field it is.
    enum Kind: String {
        case second, minute, hour
        case day = "day of the month"
        case month
        case weekday = "day of the week"

        var range: ClosedRange<Int> {
            switch self {
            case .second, .minute: 0...59
            case .hour: 0...23
            case .day: 1...31
            case .month: 1...12
            case .weekday: 0...7
            }
        }

        var names: [String] {
            switch self {
            case .month: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
            case .weekday: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
            default: []
            }
        }
    }

    func contains(_ number: Int) -> Bool { bits & 1 << UInt64(number) != 0 }

    /// The lowest number allowed that is not below this one.
    func first(from number: Int) -> Int? {
        guard number < 64 else { return nil }
        let rest = bits & (UInt64.max << UInt64(number))
        return rest == 0 ? nil : rest.trailingZeroBitCount
    }

    /// - Parameter expression: all of it, for what is said when it can't be read.
    init(_ text: String, _ kind: Kind, _ expression: String) throws(BackgroundError) {
        beginsWithStar = text.hasPrefix("*")
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            do {
                try add(String(part), kind)
            } catch {
                throw .cron(expression, "the \(kind.rawValue), \(Names.quoted(text)): \(error.sentence)")
            }
        }
        // Sunday is 0 as well as 7.
        if kind == .weekday, contains(7) { bits = bits & 0x7F | 1 }
    }

    private struct Fault: Error {
        var sentence: String
    }

    private mutating func add(_ part: String, _ kind: Kind) throws(Fault) {
        try Self.refuseExtensions(part, kind)
        let pieces = part.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard pieces.count <= 2 else { throw Fault(sentence: "it has more than one step") }
        let numbers = try Self.range(pieces[0], kind)
        guard pieces.count == 2 else {
            for number in numbers { bits |= 1 << UInt64(number) }
            return
        }
        guard pieces[0] == "*" || pieces[0].contains("-") else {
            throw Fault(
                sentence: "a step belongs to * or to a range: write \(pieces[0])-\(kind.range.upperBound)/\(pieces[1])"
            )
        }
        guard let step = Int(pieces[1]), step > 0 else { throw Fault(sentence: "a step is a number from 1") }
        guard step <= kind.range.upperBound else {
            throw Fault(
                sentence: "a step of \(step) goes beyond the \(kind.rawValue)s, which end at \(kind.range.upperBound), "
                    + "and then begin anew; for other periods write every and a time"
            )
        }
        for number in stride(from: numbers.lowerBound, through: numbers.upperBound, by: step) {
            bits |= 1 << UInt64(number)
        }
    }

    private static func range(_ text: String, _ kind: Kind) throws(Fault) -> ClosedRange<Int> {
        // Of the days of the week 7 is Sunday once more.
        if text == "*" { return kind == .weekday ? 0...6 : kind.range }
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
        guard ends.count <= 2, !ends.contains("") else {
            throw Fault(sentence: "expected a number, a range as in 1-5, or *")
        }
        let first = try number(ends[0], kind)
        guard ends.count == 2 else { return first...first }
        var last = try number(ends[1], kind)
        // FRI-SUN
        if kind == .weekday, last == 0, first > 0, Int(ends[1]) == nil { last = 7 }
        guard first <= last else {
            let lowest = kind.range.lowerBound
            let highest = kind == .weekday ? 6 : kind.range.upperBound
            throw Fault(
                sentence: "the range \(text) runs backwards: write \(first)-\(highest),\(lowest)-\(last)"
            )
        }
        return first...last
    }

    private static func number(_ text: String, _ kind: Kind) throws(Fault) -> Int {
        if let index = kind.names.firstIndex(of: text.lowercased()) { return index + kind.range.lowerBound }
        guard let number = Int(text), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            let names =
                kind.names.isEmpty
                ? ""
                : " or a name of three letters, \(kind.names[0].uppercased()) to "
                    + "\(kind.names[kind.names.count - 1].uppercased())"
            throw Fault(sentence: "\(Names.quoted(text)) is no number\(names)")
        }
        guard kind.range.contains(number) else {
            throw Fault(sentence: "\(number) does not lie in \(kind.range.lowerBound) to \(kind.range.upperBound)")
        }
        return number
    }

    /// What some schedulers know and cron does not.
    private static func refuseExtensions(_ part: String, _ kind: Kind) throws(Fault) {
        if part == "?" { throw Fault(sentence: "there is no ? here: write *") }
        if part.contains("#") {
            throw Fault(
                sentence:
                    "there is no # here: write the days on which it may fall, as 8-14 for the second one of a month, leave the "
                    + "day of the week *, and let the job look which day it is"
            )
        }
        let upper = part.uppercased()
        let hasDigitsOrNothing = { (rest: Substring) in
            rest.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2D }
        }
        if [.day, .weekday].contains(kind), upper.hasSuffix("W"),
            hasDigitsOrNothing(upper.dropLast().drop { $0 == "L" })
        {
            throw Fault(
                sentence:
                    "there is no W here: write the days on which it may fall, and let the job look which day it is"
            )
        }
        if [.day, .weekday].contains(kind), upper.hasPrefix("L") || upper.hasSuffix("L"),
            hasDigitsOrNothing(upper.hasPrefix("L") ? upper.dropFirst() : upper.dropLast())
        {
            guard kind == .day else {
                throw Fault(
                    sentence:
                        "there is no L here: write the day itself, as SAT; for the last one of a month write 22-31 for the "
                        + "day of the month, leave the day of the week *, and let the job look which day it is"
                )
            }
            throw Fault(
                sentence:
                    "there is no L here: write 28-31, and let the job look whether the next day is in another month; or 1, for "
                    + "the day after the last"
            )
        }
    }
}
