import BackgroundJobs
import Foundation
import Testing

@testable import BackgroundJobsCommands

@Suite struct DurationArgumentTests {
    @Test(arguments: [
        ("500ms", Duration.milliseconds(500)), ("5s", .seconds(5)), ("5m", .seconds(300)), ("2h", .seconds(7200)),
        ("1d", .seconds(86_400)), ("5", .seconds(5)), ("0", .zero), ("0.1", .milliseconds(100)),
        ("1.5h", .seconds(5400)),
        ("36500d", DurationArgument.limit), ("2147483641.58", .milliseconds(2_147_483_641_580)),
    ])
    func reads(text: String, duration: Duration) throws {
        #expect(try DurationArgument.parse(text).duration == duration)
        #expect(DurationArgument(argument: text)?.duration == duration)
    }

    @Test(arguments: [
        "", "s", "5x", "-5", "+5", "1e3", "5 s", ".5", "5.", "1.2.3", "nan", "inf", "٥s", "5S", "99999999999999999999d",
        "5mm",
    ])
    func refuses(text: String) {
        #expect(throws: (any Error).self) { try DurationArgument.parse(text) }
        #expect(DurationArgument(argument: text) == nil)
    }

    @Test(arguments: ["500ms", "5s", "5m", "2h", "1d", "0s", "90s"])
    func describesItselfAsItIsWritten(text: String) throws {
        #expect(try DurationArgument.parse(text).description == text)
    }
}

@Suite struct RetentionArgumentTests {
    @Test(arguments: [
        ("24h,100000", Retention(age: .seconds(86_400), count: 100_000)), ("all,5", Retention(age: nil, count: 5)),
        ("7d,all", Retention(age: .seconds(7 * 86_400), count: nil)), ("0,0", Retention(age: .zero, count: 0)),
        ("all", Retention(age: nil, count: nil)), ("0", Retention(age: .zero, count: 0)),
    ])
    func reads(text: String, retention: Retention) throws {
        #expect(try RetentionArgument.parse(text).retention == retention)
    }

    @Test(arguments: [
        "", "24h", "24h,", ",5", "24h,5,6", "24h,-1", "24h,1.5", "x,5", "24h, 5", "24h,99999999999999999999",
    ])
    func refuses(text: String) {
        #expect(throws: (any Error).self) { try RetentionArgument.parse(text) }
    }

    @Test(arguments: ["1d,100000", "all,all", "0,0"])
    func describesItselfAsItIsWritten(text: String) throws {
        #expect(try RetentionArgument.parse(text).description == text)
    }
}

@Suite struct TimestampTests {
    @Test(arguments: [
        (0 as Int64, "1970-01-01T00:00:00.000Z"), (1_545_907_080_109, "2018-12-27T10:38:00.109Z"),
        (951_782_399_999, "2000-02-28T23:59:59.999Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.999Z"), (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (253_402_300_800_000, "253402300800000"), (.max, "9223372036854775807"),
    ])
    func writes(milliseconds: Int64, text: String) {
        #expect(Timestamp.text(milliseconds: milliseconds) == text)
    }

    @Test func agreesWithFoundation() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<1000 {
            let seconds = Int64.random(in: 0...4_000_000_000, using: &generator)
            let expected = Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
            #expect(Timestamp.text(milliseconds: seconds * 1000) == expected.replacing("Z", with: ".000Z"))
        }
    }

    @Test(arguments: ["2026-12-01T08:00:00Z", "2026-12-01T08:00:00.000Z", "2026-12-01T09:00:00+01:00"])
    func reads(text: String) {
        #expect(Timestamp.parse(text).map(Timestamp.text) == "2026-12-01T08:00:00.000Z")
    }

    @Test(arguments: [
        "0001-01-01T00:00:00.000Z", "1001-12-01T08:00:00.000Z", "1582-10-10T00:00:00.000Z", "2000-02-29T23:59:59.999Z",
        "9999-12-31T23:59:59.000Z",
    ])
    func readsWhatItWrites(text: String) {
        #expect(Timestamp.parse(text).map(Timestamp.text) == text)
    }

    @Test(arguments: [
        "", "tomorrow", "2026-12-01", "2026-13-01T08:00:00Z", "2026-12-01T08:00:00", "2026-12-01T08:00:00Zulu",
        "2026-12-01T08:00:00+01:00:00", "2026-12-01T08:00:00+24:00", "2026-12-01T08:00:00-01:60",
        "2026-12-01T08:00:00+1",
        "2026-12-01T08:00:00.Z", "0000-12-01T08:00:00Z", "2026-12-01T08:00:00Z ",
    ])
    func refuses(text: String) {
        #expect(Timestamp.parse(text) == nil)
    }
}
