import Foundation

/// Finding times. Everything is in whole seconds: those of the Unix clock, and those of a *wall clock*, which are the seconds since
/// 1970-01-01 00:00 as if there were no time zones.
extension CronExpression {
    /// A day of the week falls on February 29 at least once in so many years (12 and 28 years apart round 2100).
    private static let years = 50
    private static let day = 86_400
    /// Wall clocks are never so far from each other.
    private static let widestOffset = 26 * 3600

    /// The first moment after this one.
    ///
    /// It goes through the stretches between changes of the clocks, from a day before, so that it knows which times they have
    /// shown already.
    func next(after time: Int, in zone: TimeZone) -> Int? {
        var start = time - Self.widestOffset
        // The wall clocks have shown all before this.
        var shown = Int.min
        let horizon = time + Self.years * 366 * Self.day
        while start < horizon {
            let offset = zone.offset(at: start)
            let end = zone.change(after: start)
            if end ?? .max > time {
                let from = max(start, time + 1) + offset
                guard let found = wallClock(from: followsClock ? from : max(from, shown)) else { return nil }
                guard let end, found >= end + offset else { return found - offset }
            }
            guard let end else { return nil }
            if !followsClock {
                shown = max(shown, end + offset)
                let isLeftOut = wallClock(from: shown).map { $0 < end + zone.offset(at: end) } ?? false
                if isLeftOut, end > time { return end }
            }
            start = end
        }
        return nil
    }

    /// The first wall-clock second that matches, from this one on.
    private func wallClock(from second: Int) -> Int? {
        let day = second.dividedDown(by: Self.day)
        if matches(CivilDate(day: day)), let time = timeOfDay(from: second - day * Self.day) {
            return day * Self.day + time
        }
        guard let next = firstDay(after: day), let time = timeOfDay(from: 0) else { return nil }
        return next * Self.day + time
    }

    /// The first second of a day that matches, from this one on.
    private func timeOfDay(from second: Int) -> Int? {
        let (hour, minute) = (second / 3600, second / 60 % 60)
        if hours.contains(hour) {
            if minutes.contains(minute), let found = seconds.first(from: second % 60) {
                return hour * 3600 + minute * 60 + found
            }
            if let found = minutes.first(from: minute + 1) { return time(hour, found) }
        }
        guard let found = hours.first(from: hour + 1), let minute = minutes.first(from: 0) else { return nil }
        return time(found, minute)
    }

    private func time(_ hour: Int, _ minute: Int) -> Int? {
        seconds.first(from: 0).map { hour * 3600 + minute * 60 + $0 }
    }

    /// The first matching day after this one, counted from 1970-01-01; nil if there is none at all.
    func firstDay(after day: Int) -> Int? {
        var date = CivilDate(day: day + 1)
        let last = date.year + Self.years
        while date.year <= last {
            if months.contains(date.month) {
                for number in date.day...date.daysOfMonth {
                    date.day = number
                    if matches(date) { return date.dayCount }
                }
            }
            date = date.firstOfNextMonth
        }
        return nil
    }

    private func matches(_ date: CivilDate) -> Bool {
        guard months.contains(date.month) else { return false }
        let (isDay, isWeekday) = (days.contains(date.day), weekdays.contains(date.weekday))
        return days.beginsWithStar || weekdays.beginsWithStar ? isDay && isWeekday : isDay || isWeekday
    }
}

/// A date of the Gregorian calendar (the conversions: Hinnant, "chrono-Compatible Low-Level Date Algorithms").
struct CivilDate: Hashable {
    var year: Int
    var month: Int
    var day: Int

    /// - Parameter day: counted from 1970-01-01.
    init(day: Int) {
        let shifted = day + 719_468
        let era = shifted.dividedDown(by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        self.day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    }

    private init(year: Int, month: Int, day: Int) {
        self.year = year
        self.month = month
        self.day = day
    }

    /// Counted from 1970-01-01.
    var dayCount: Int {
        let shifted = year - (month <= 2 ? 1 : 0)
        let era = shifted.dividedDown(by: 400)
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// 0 is Sunday; 1970-01-01 was a Thursday.
    var weekday: Int {
        let days = dayCount + 4
        return days - days.dividedDown(by: 7) * 7
    }

    var daysOfMonth: Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    var firstOfNextMonth: CivilDate {
        month == 12 ? CivilDate(year: year + 1, month: 1, day: 1) : CivilDate(year: year, month: month + 1, day: 1)
    }
}

extension Int {
    fileprivate func dividedDown(by divisor: Int) -> Int {
        self >= 0 ? self / divisor : -((divisor - 1 - self) / divisor)
    }
}

extension TimeZone {
    fileprivate func offset(at second: Int) -> Int {
        secondsFromGMT(for: Date(timeIntervalSince1970: Double(second)))
    }

    /// When the clocks are changed next; nil: never again.
    fileprivate func change(after second: Int) -> Int? {
        let date = Date(timeIntervalSince1970: Double(second))
        guard let next = nextDaylightSavingTimeTransition(after: date)?.timeIntervalSince1970, next < 1e11 else {
            return nil
        }
        let change = Int(next)
        return change > second ? change : nil
    }
}
