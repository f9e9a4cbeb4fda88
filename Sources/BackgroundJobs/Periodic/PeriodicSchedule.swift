public import Foundation

/// When a periodic job is to run: a cron expression in a time zone, or a plain period.
public struct PeriodicSchedule: Sendable, Hashable, CustomStringConvertible {
    /// The field `exp`: a cron expression, or `every:` and a number of milliseconds.
    package var expression: String
    /// The field `tz`; nil: UTC.
    package var zone: String?

    package init(expression: String, zone: String? = nil) {
        self.expression = expression
        self.zone = zone
    }

    /// As a cron expression says.
    ///
    /// - Parameters:
    ///   - expression: five fields, six with seconds in front, or a name such as `@daily`; see ``CronExpression``.
    ///   - timeZone: whose wall clocks it speaks of: a name of the tz database, such as `Europe/Berlin`.
    public static func cron(_ expression: String, timeZone: String = "UTC") -> PeriodicSchedule {
        let words = expression.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        return PeriodicSchedule(expression: words, zone: timeZone == "UTC" ? nil : timeZone)
    }

    /// Again and again after so long; the first time one period after it was declared. The times are counted from one another, not
    /// from when jobs begin or end, so they don't drift.
    ///
    /// - Parameter period: from 100 ms to a hundred years.
    public static func every(_ period: Duration) -> PeriodicSchedule {
        PeriodicSchedule(expression: "every:\(period.ceilingMilliseconds)")
    }

    /// The next times.
    ///
    /// - Parameters:
    ///   - count: how many, 1 to 1000.
    ///   - date: after which; of a plain period, from which it is counted.
    /// - Returns: fewer where there are no more.
    /// - Throws: ``BackgroundError`` with the code `invalidArgument` for what is no cron expression, time zone or period.
    public func next(_ count: Int, after date: Date = Date()) throws(BackgroundError) -> [Date] {
        precondition((1...1000).contains(count), "1 to 1000 times are asked for")
        let times = try PeriodicTimes(self)
        var found: [Date] = []
        var last = date.milliseconds
        while found.count < count, let time = times.next(after: last) {
            found.append(Date(milliseconds: time))
            last = time
        }
        return found
    }

    /// As it is shown: the expression and the time zone, or the period.
    public var description: String {
        if case .every(let period)? = try? PeriodicTimes(self) { return "every \(Self.text(period))" }
        return expression + (zone.map { " \($0)" } ?? "")
    }

    private static func text(_ period: Int64) -> String {
        for (unit, length) in [("d", 86_400_000 as Int64), ("h", 3_600_000), ("m", 60_000), ("s", 1000)]
        where period % length == 0 {
            return "\(period / length)\(unit)"
        }
        return "\(period)ms"
    }
}

/// A schedule that has been read. Times are in ms.
enum PeriodicTimes: Sendable {
    case cron(CronExpression, TimeZone)
    case every(Int64)

    private static let shortest: Int64 = 100

    init(_ schedule: PeriodicSchedule) throws(BackgroundError) {
        guard schedule.expression.hasPrefix("every:") else {
            let name = schedule.zone ?? "UTC"
            guard let zone = TimeZone(identifier: name) else {
                throw BackgroundError(
                    .invalidArgument,
                    "There is no time zone \(Names.quoted(name)): write a name of the tz database, such as Europe/Berlin or UTC."
                )
            }
            self = .cron(try CronExpression(schedule.expression), zone)
            return
        }
        guard let period = Int64(schedule.expression.dropFirst("every:".count)), period >= Self.shortest,
            .milliseconds(period) <= JobOptions.longest
        else {
            throw BackgroundError(
                .invalidArgument,
                "The period \(Names.quoted(schedule.expression)) can't be kept: it lies between 100 ms and a hundred years."
            )
        }
        self = .every(period)
    }

    /// The time after one of its times. For a plain period the moment counts as one of them.
    func next(after time: Int64) -> Int64? {
        switch self {
        case .every(let period): return time + period
        case .cron(let expression, let zone):
            let seconds = Int(time / 1000)
            return expression.next(after: seconds, in: zone).map { Int64($0) * 1000 }
        }
    }

    /// The last time that is not after `now`, given that `time` is one.
    func last(from time: Int64, notAfter now: Int64) -> Int64 {
        switch self {
        case .every(let period): return now < time ? time : time + (now - time) / period * period
        case .cron:
            // The earliest moment after which there is none until now is the last time itself.
            guard let first = next(after: time), first <= now else { return time }
            var (before, found) = (time / 1000, now / 1000)
            while found - before > 1 {
                let middle = (before + found) / 2
                if let next = next(after: middle * 1000), next <= now { before = middle } else { found = middle }
            }
            return found * 1000
        }
    }
}

/// What is to become of a periodic job that is due.
struct FiringDecision: Equatable {
    /// The time it is fired for; nil: it is passed over.
    var time: Int64?
    var next: Firing.Next

    /// A time that lies so far back, ms, has been missed. Those within are made up for, so that a short pause of the watchers skips
    /// nothing.
    static let missedAfter: Int64 = 2000
    /// With ``MissedTimes/none`` a time that lies further back is not run any more, ms.
    static let latest: Int64 = 10_000

    /// - Parameters:
    ///   - due: when it was due.
    ///   - now: the server's time, not before.
    ///   - until: no time after this one is run.
    init(_ times: PeriodicTimes, due: Int64, now: Int64, missed: MissedTimes, until: Int64?) {
        let end = until ?? .max
        guard due <= end else {
            (time, next) = (nil, .never("until"))
            return
        }
        var time = due
        if now - due > Self.missedAfter { time = times.last(from: due, notAfter: min(now, end)) }
        self.time = missed == .none && now - time > Self.latest ? nil : time
        next = times.next(after: time).flatMap { $0 <= end ? .at($0) : nil } ?? .never("until")
    }
}
