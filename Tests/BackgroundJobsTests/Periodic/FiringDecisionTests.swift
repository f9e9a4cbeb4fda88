import Foundation
import Testing

@testable import BackgroundJobs

@Suite("What becomes of a periodic job that is due")
struct FiringDecisionTests {
    private static let start: Int64 = 1_767_225_600_000  // 2026-01-01T00:00:00Z

    private static func decide(
        _ schedule: PeriodicSchedule,
        late: Int64,
        _ missed: MissedTimes = .once,
        until: Int64? = nil
    ) throws -> FiringDecision {
        FiringDecision(
            try PeriodicTimes(schedule),
            due: start,
            now: start + late,
            missed: missed,
            until: until.map { start + $0 }
        )
    }

    private static func fired(_ time: Int64?, next: Int64?) -> (Int64?, Firing.Next) {
        (time.map { start + $0 }, next.map { .at(start + $0) } ?? .never("until"))
    }

    @Test(
        "in time or nearly, every time; after that the last one, once or not at all",
        arguments: [
            // (late, once: fired for and next; none: the same)
            (0, 0, 1000, 0, 1000), (2000, 0, 1000, 0, 1000), (2001, 2000, 3000, 2000, 3000),
            (86_400_999, 86_400_000, 86_401_000, 86_400_000, 86_401_000),
        ] as [(Int64, Int64?, Int64, Int64?, Int64)]
    )
    func everySecond(_ late: Int64, _ once: Int64?, _ next: Int64, _ none: Int64?, _ nextOfNone: Int64) throws {
        for schedule in [PeriodicSchedule.cron("* * * * * *"), .every(.seconds(1))] {
            let first = try Self.decide(schedule, late: late)
            #expect((first.time, first.next) == Self.fired(once, next: next))
            let second = try Self.decide(schedule, late: late, .none)
            #expect((second.time, second.next) == Self.fired(none, next: nextOfNone))
        }
    }

    @Test("a missed time of a rare one is run late, or left out")
    func rare() throws {
        let day: Int64 = 86_400_000
        for schedule in [PeriodicSchedule.cron("@daily"), .every(.seconds(86_400))] {
            let late = try Self.decide(schedule, late: 3 * day + 5000)
            #expect((late.time, late.next) == Self.fired(3 * day, next: 4 * day))
            let nearly = try Self.decide(schedule, late: 3 * day + 5000, .none)
            #expect((nearly.time, nearly.next) == Self.fired(3 * day, next: 4 * day))
            let out = try Self.decide(schedule, late: 3 * day + 11_000, .none)
            #expect((out.time, out.next) == Self.fired(nil, next: 4 * day))
        }
    }

    @Test("nothing is fired for a time after its end")
    func until() throws {
        let last = try Self.decide(.every(.seconds(10)), late: 0, until: 9999)
        #expect((last.time, last.next) == Self.fired(0, next: nil))
        let more = try Self.decide(.every(.seconds(10)), late: 0, until: 10_000)
        #expect((more.time, more.next) == Self.fired(0, next: 10_000))
        let missed = try Self.decide(.every(.seconds(10)), late: 100_000, until: 35_000)
        #expect((missed.time, missed.next) == Self.fired(30_000, next: nil))
        let over = try Self.decide(.every(.seconds(10)), late: 0, until: -1)
        #expect((over.time, over.next) == Self.fired(nil, next: nil))
    }

    @Test("years that were missed are passed over at once")
    func years() throws {
        let tenYears: Int64 = 3652 * 86_400_000
        // 02:45 by the clocks there.
        let late = tenYears + 6_300_000
        let decision = try Self.decide(.cron("0-30 2 * * *", timeZone: "Europe/Berlin"), late: late)
        #expect((decision.time, decision.next) == Self.fired(tenYears + 5_400_000, next: tenYears + 90_000_000))
    }

    @Test("periods are between 100 ms and a hundred years", arguments: [-1.0, 0, 0.099, 3.2e9])
    func periods(_ seconds: Double) {
        #expect(throws: BackgroundError.self) { try PeriodicSchedule.every(.seconds(seconds)).next(1) }
    }

    @Test("the next times are listed")
    func next() throws {
        let start = Date(timeIntervalSince1970: 1_767_225_600)
        let times = try PeriodicSchedule.cron("0 3 * * *", timeZone: "Europe/Berlin").next(2, after: start)
        #expect(times.map { $0.ISO8601Format() } == ["2026-01-01T02:00:00Z", "2026-01-02T02:00:00Z"])
        let periods = try PeriodicSchedule.every(.seconds(90)).next(3, after: start)
        #expect(periods.map { $0.timeIntervalSince(start) } == [90, 180, 270])
        #expect(throws: BackgroundError.self) { try PeriodicSchedule.cron("@daily", timeZone: "Mars/Olympus").next(1) }
    }
}
