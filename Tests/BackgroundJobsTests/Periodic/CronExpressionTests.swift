import Foundation
import TestSupport
import Testing

@testable import BackgroundJobs

@Suite("Cron expressions")
struct CronExpressionTests {
    /// A date of the calendar with an offset, such as `2026-03-29T02:30:00+01:00`.
    static func date(_ text: String) throws -> Date { try Date.ISO8601FormatStyle().parse(text) }

    /// The times after a moment, in UTC.
    static func times(_ expression: String, _ zone: String, after start: String, _ count: Int) throws -> [String] {
        let (expression, zone) = (try CronExpression(expression), try #require(TimeZone(identifier: zone)))
        var found: [String] = []
        var last = try date(start)
        while found.count < count, let next = expression.next(after: last, in: zone) {
            found.append(next.ISO8601Format())
            last = next
        }
        return found
    }

    @Test(
        "say when",
        arguments: [
            ("* * * * *", "2026-01-01T00:00:00Z", ["2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z"]),
            ("* * * * *", "2026-01-01T00:00:59Z", ["2026-01-01T00:01:00Z"]),
            ("* * * * * *", "2026-01-01T00:00:59Z", ["2026-01-01T00:01:00Z", "2026-01-01T00:01:01Z"]),
            ("*/20 * * * * *", "2026-01-01T00:00:00Z", ["2026-01-01T00:00:20Z", "2026-01-01T00:00:40Z"]),
            ("0 3 * * *", "2026-01-01T03:00:00Z", ["2026-01-02T03:00:00Z"]),
            ("*/15 9-10 * * *", "2026-01-01T09:31:00Z", ["2026-01-01T09:45:00Z", "2026-01-01T10:00:00Z"]),
            ("0,30 9-17/4 * * *", "2026-01-01T09:15:00Z", ["2026-01-01T09:30:00Z", "2026-01-01T13:00:00Z"]),
            ("0 0 1 JAN *", "2026-01-01T00:00:00Z", ["2027-01-01T00:00:00Z"]),
            ("0 0 1 jan,jul *", "2026-01-01T00:00:00Z", ["2026-07-01T00:00:00Z", "2027-01-01T00:00:00Z"]),
            ("0 0 * * MON", "2026-01-01T00:00:00Z", ["2026-01-05T00:00:00Z", "2026-01-12T00:00:00Z"]),
            ("0 0 * * 7", "2026-01-01T00:00:00Z", ["2026-01-04T00:00:00Z"]),
            ("0 0 * * 0", "2026-01-01T00:00:00Z", ["2026-01-04T00:00:00Z"]),
            (
                "0 0 * * FRI-SUN", "2026-01-01T00:00:00Z",
                ["2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z", "2026-01-09T00:00:00Z"]
            ),
            ("0 0 * * 5-7", "2026-01-03T00:00:00Z", ["2026-01-04T00:00:00Z", "2026-01-09T00:00:00Z"]),
            // Either of the days, where both are restricted.
            (
                "0 0 13 * FRI", "2026-01-01T00:00:00Z",
                ["2026-01-02T00:00:00Z", "2026-01-09T00:00:00Z", "2026-01-13T00:00:00Z"]
            ),
            // A field that begins with * restricts nothing: then both.
            ("0 0 */2 * FRI", "2026-01-01T00:00:00Z", ["2026-01-09T00:00:00Z", "2026-01-23T00:00:00Z"]),
            ("0 0 31 * *", "2026-01-31T00:00:00Z", ["2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"]),
            ("0 0 29 2 *", "2026-01-01T00:00:00Z", ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
            ("0 0 29 2 *", "2096-03-01T00:00:00Z", ["2104-02-29T00:00:00Z"]),
            ("0 0 29 2 */7", "2026-01-01T00:00:00Z", ["2032-02-29T00:00:00Z", "2060-02-29T00:00:00Z"]),
            ("@yearly", "2026-01-01T00:00:00Z", ["2027-01-01T00:00:00Z"]),
            ("@annually", "2026-01-01T00:00:00Z", ["2027-01-01T00:00:00Z"]),
            ("@monthly", "2026-01-01T00:00:00Z", ["2026-02-01T00:00:00Z"]),
            ("@weekly", "2026-01-01T00:00:00Z", ["2026-01-04T00:00:00Z"]),
            ("@daily", "2026-01-01T00:00:00Z", ["2026-01-02T00:00:00Z"]),
            ("@Midnight", "2026-01-01T00:00:00Z", ["2026-01-02T00:00:00Z"]),
            ("@hourly", "2026-01-01T00:00:00Z", ["2026-01-01T01:00:00Z"]),
            ("59 59 23 31 12 *", "2026-01-01T00:00:00Z", ["2026-12-31T23:59:59Z", "2027-12-31T23:59:59Z"]),
            ("0 0 1 1 *", "1960-06-01T00:00:00Z", ["1961-01-01T00:00:00Z"]),
        ] as [(String, String, [String])]
    )
    func utc(_ expression: String, _ start: String, _ expected: [String]) throws {
        #expect(try Self.times(expression, "UTC", after: start, expected.count) == expected)
    }

    @Test(
        "follow the clocks of a time zone",
        arguments: [
            ("0 3 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", ["2026-03-28T02:00:00Z", "2026-03-29T01:00:00Z"]),
            // Left out, so at the first moment after; once, also where that is a time of its own.
            ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]),
            ("0 2,3 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", ["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"]),
            (
                "10,50 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z",
                ["2026-03-29T01:00:00Z", "2026-03-30T00:10:00Z"]
            ),
            // Shown twice, so the first time.
            ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]),
            ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:45:00Z", ["2026-10-26T01:30:00Z"]),
            ("30 2 * * *", "Europe/Berlin", "2026-10-25T01:15:00Z", ["2026-10-26T01:30:00Z"]),
            // With a star the clocks are followed.
            (
                "30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z",
                ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"]
            ),
            (
                "*/30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z",
                ["2026-03-30T00:00:00Z", "2026-03-30T00:30:00Z"]
            ),
            ("30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", ["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"]),
            (
                "30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z",
                ["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"]
            ),
            (
                "30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z",
                ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]
            ),
            // Half an hour: 02:00 to 02:30 is left out, 01:30 to 02:00 is shown twice.
            (
                "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z",
                ["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"]
            ),
            (
                "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z",
                ["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"]
            ),
            (
                "45 * * * *", "Australia/Lord_Howe", "2026-04-04T14:00:00Z",
                ["2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z", "2026-04-04T16:15:00Z"]
            ),
            ("0 0 * * *", "Asia/Kathmandu", "2026-01-01T00:00:00Z", ["2026-01-01T18:15:00Z", "2026-01-02T18:15:00Z"]),
            // A day that there was not.
            ("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", ["2011-12-30T10:00:00Z", "2012-12-29T22:00:00Z"]),
            ("30 2 * * *", "Europe/Berlin", "2044-03-26T12:00:00Z", ["2044-03-27T01:00:00Z", "2044-03-28T00:30:00Z"]),
        ] as [(String, String, String, [String])]
    )
    func zones(_ expression: String, _ zone: String, _ start: String, _ expected: [String]) throws {
        #expect(try Self.times(expression, zone, after: start, expected.count) == expected)
    }

    @Test(
        "are refused, with what to write instead",
        arguments: [
            ("", "five belong"), ("* * *", "it has 3 fields"), ("* * * * * * *", "it has 7 fields"),
            ("60 * * * *", "60 does not lie in 0 to 59"), ("* 24 * * *", "0 to 23"), ("* * 0 * *", "1 to 31"),
            ("* * * 13 *", "1 to 12"), ("* * * * 8", "0 to 7"), ("-1 * * * *", "expected a number"),
            ("a * * * *", "is no number"), ("* * * FOO *", "JAN to DEC"), ("* * * * TUES", "SUN to SAT"),
            ("*/0 * * * *", "a number from 1"), ("*/x * * * *", "a number from 1"),
            ("*/90 * * * *", "every and a time"),
            ("5/15 * * * *", "5-59/15"), ("1,,2 * * * *", "expected a number"), ("1-2-3 * * * *", "expected a number"),
            ("*/2/3 * * * *", "more than one step"), ("* 22-2 * * *", "22-23,0-2"), ("* * * * FRI-MON", "5-6,0-1"),
            ("* * L * *", "28-31"), ("* * LW * *", "no W here"), ("* * 15W * *", "no W here"),
            ("* * * * 5L", "22-31"), ("0 0 * * L", "write the day itself, as SAT"),
            ("* * * * 5#2", "8-14"), ("* * ? * *", "write *"), ("@reboot", "where the program starts"),
            ("@every 5m", "every 5m"), ("@fortnightly", "@weekly"), ("@daily *", "alone"),
            ("0 0 30 2 *", "no date matches"), ("0 0 31 4,6,9,11 *", "no date matches"), ("٣ * * * *", "is no number"),
        ]
    )
    func refusals(_ expression: String, _ words: String) {
        #expect {
            _ = try CronExpression(expression)
        } throws: { error in
            let error = error as? BackgroundError
            return error?.code == .invalidArgument && error?.message.contains(words) == true
        }
    }

    @Test("are the same whatever the spaces", arguments: [" 0  3 * *\t* ", "0 3 * * *"])
    func spaces(_ text: String) throws {
        #expect(try CronExpression(text).description == "0 3 * * *")
        #expect(PeriodicSchedule.cron(text) == .cron("0 3 * * *"))
    }

    // MARK: By brute force

    /// All times between two moments: every second's clock time is looked at.
    private static func bruteForce(_ expression: CronExpression, _ zone: TimeZone, _ range: Range<Int>) -> [Int] {
        var found: Set<Int> = []
        var shown: Set<Int> = []
        var last: Int?
        // From two days before, to know what the clocks have shown.
        for second in stride(from: range.lowerBound - 2 * 86_400, to: range.upperBound, by: 60) {
            let clock = second + zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(second)))
            if let last, clock > last + 60, !expression.followsClock {
                let skipped = stride(from: last + 60, to: clock, by: 60)
                if skipped.contains(where: { !shown.contains($0) && expression.matches($0) }) { found.insert(second) }
            }
            if expression.followsClock || !shown.contains(clock), expression.matches(clock) { found.insert(second) }
            shown.insert(clock)
            last = clock
        }
        return found.filter { range.contains($0) }.sorted()
    }

    private static func field(_ range: ClosedRange<Int>, _ random: inout SplitMix64) -> String {
        let low = random.pick(Array(range))
        let high = random.pick(Array(low...range.upperBound))
        return random.pick([
            "*", "*", "*/\(1 + random.upTo(range.upperBound))", "\(low)", "\(low)", "\(low)-\(high)",
            "\(low)-\(high)/\(1 + random.upTo(5))", "\(low),\(high)",
        ])
    }

    @Test("agree with looking at every minute, round the changes of the clocks", arguments: 1...60)
    func random(seed: Int) throws {
        var random = SplitMix64(seed: UInt64(seed))
        let (name, start) = random.pick([
            ("UTC", "2026-02-26T00:00:00Z"), ("Europe/Berlin", "2026-03-27T10:00:00Z"),
            ("Europe/Berlin", "2026-10-23T10:00:00Z"), ("America/New_York", "2026-03-06T10:00:00Z"),
            ("America/New_York", "2026-10-30T10:00:00Z"), ("Australia/Lord_Howe", "2026-04-03T00:00:00Z"),
            ("Australia/Lord_Howe", "2026-10-02T00:00:00Z"), ("Asia/Kathmandu", "2026-12-30T00:00:00Z"),
        ])
        let zone = try #require(TimeZone(identifier: name))
        let from = Int(try Self.date(start).timeIntervalSince1970)
        let range = from..<(from + 5 * 86_400)
        for _ in 0..<10 {
            // Often about the hours at which clocks are changed.
            let hour = random.upTo(2) == 0 ? "\(1 + random.upTo(3))" : Self.field(0...23, &random)
            let text =
                "\(Self.field(0...59, &random)) \(hour) \(random.upTo(3) == 0 ? Self.field(1...28, &random) : "*") * "
                + (random.upTo(3) == 0 ? Self.field(0...6, &random) : "*")
            let expression = try CronExpression(text)
            var found: [Int] = []
            var last = range.lowerBound - 1
            while let next = expression.next(after: last, in: zone), next < range.upperBound {
                #expect(next > last, "\(text) \(name)")
                found.append(next)
                last = next
            }
            let expected = Self.bruteForce(expression, zone, range)
            #expect(found == expected, "\(text) \(name) \(start)")
            // From anywhere between.
            for _ in 0..<20 {
                let moment = range.lowerBound + random.upTo(4 * 86_400)
                let next = expression.next(after: moment, in: zone)
                #expect(
                    next.map { $0 < range.upperBound ? $0 : nil } ?? nil == expected.first { $0 > moment },
                    "\(text) \(name)"
                )
            }
        }
    }

    @Test("are found at once, however rare")
    func speed() throws {
        let clock = ContinuousClock()
        let berlin = try #require(TimeZone(identifier: "Europe/Berlin"))
        let rare = try CronExpression("0 0 29 2 */7")
        let time = clock.measure { for _ in 0..<10 { _ = rare.next(after: 1_800_000_000, in: berlin) } }
        // Going through all minutes of decades takes seconds each.
        #expect(time < .seconds(5), "\(time)")
    }
}

extension CronExpression {
    /// Whether a minute of a wall clock matches, by another way: that of Foundation.
    fileprivate func matches(_ clock: Int) -> Bool {
        let parts = Calendar.utc.dateComponents(
            [.minute, .hour, .day, .month, .weekday],
            from: Date(timeIntervalSince1970: Double(clock))
        )
        guard minutes.contains(parts.minute!), hours.contains(parts.hour!), months.contains(parts.month!) else {
            return false
        }
        let (isDay, isWeekday) = (days.contains(parts.day!), weekdays.contains(parts.weekday! - 1))
        return days.beginsWithStar || weekdays.beginsWithStar ? isDay && isWeekday : isDay || isWeekday
    }
}

extension Calendar {
    fileprivate static let utc: Calendar = {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .gmt
        return calendar
    }()
}
