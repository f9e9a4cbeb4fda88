import BackgroundJobs
import Foundation

/// Periodic jobs for people.
enum CronText {
    static func table(_ records: [PeriodicRecord]) -> String {
        var table = TextTable(
            ["name", "schedule", "zone", "next", "last", "fired", "queue", "class", "owner"],
            rightAligned: [5]
        )
        for record in records {
            table.add([
                record.name, expression(record), record.timeZone ?? "",
                record.next.map(Timestamp.text) ?? record.state.rawValue, record.lastTime.map(Timestamp.text) ?? "",
                "\(record.fired)", record.queue ?? "", record.className ?? "", record.owner ?? "",
            ])
        }
        return table.text
    }

    private static func expression(_ record: PeriodicRecord) -> String {
        record.expression.map { PeriodicSchedule.cron($0).description } ?? ""
    }

    /// All that is known of one, and its next times.
    ///
    /// - Parameter now: for the times of a paused one.
    static func text(_ record: PeriodicRecord, now: Date = .now) -> String {
        let fields: [(String, String?)] = [
            ("state", record.state.rawValue + (record.end.map { ", \(end($0, record))" } ?? "")),
            ("schedule", record.expression.map { PeriodicSchedule.cron($0).description }),
            ("time zone", record.timeZone),
            ("class", record.className),
            ("arguments", record.arguments?.description),
            ("queue", record.queue),
            ("owner", record.owner),
            ("missed", record.missed == .once ? nil : "\(record.missed)"),
            ("overlap", record.overlap == .allow ? nil : "\(record.overlap)"),
            ("expires", record.expires.map { "\(DurationArgument($0)) after it was fired" }),
            ("fired", "\(record.fired)\(record.count.map { " of \($0)" } ?? "")"),
            ("left out", record.skipped == 0 ? nil : "\(record.skipped)"),
            ("until", record.until.map(Timestamp.text)),
            ("last time", record.lastTime.map(Timestamp.text)),
            ("last job", record.lastJob),
        ]
        let others = options(record).map { ($0.0, $0.1 as String?) }
        let lines = (fields + others).compactMap { name, value in
            value.map { "  \(Printable.escaped(name).padding(13)) \(Printable.escaped($0))\n" }
        }
        let label = record.state == .paused ? "if resumed" : "next"
        let times = record.nextTimes(5, ifResumedAt: now).enumerated().map { index, date in
            "  \((index == 0 ? label : "").padding(13)) \(time(date, record.timeZone))\n"
        }
        return "periodic job \(Printable.escaped(record.name))\n" + (lines + times).joined()
    }

    /// What its jobs ask for, in words; what can't be read, and what is not of the protocol, as it is.
    private static func options(_ record: PeriodicRecord) -> [(String, String)] {
        var faults: [String] = []
        let options = JobOptions(fields: record.otherFields.mapValues(\.description), faults: &faults)
        let known: [(field: String, name: String, value: String?)] = [
            ("ret", "retries", options.retries.map { "\($0)" }),
            ("bck", "backoff", options.backoff.flatMap { _ in record.otherFields["bck"]?.description }),
            ("rfr", "retried for", options.retryFor.map { "\(DurationArgument($0))" }),
            ("rqu", "retry queue", options.retryQueue),
            ("tmo", "time limit", options.timeout.map { "\(DurationArgument($0))" }),
            ("dlv", "delivery", options.delivery?.rawValue),
            ("crm", "crash retries", options.crashRetries.flatMap { try? $0.text() }),
            ("crw", "crash window", options.crashWindow.map { $0 == .zero ? "for ever" : "\(DurationArgument($0))" }),
        ]
        let read = known.filter { $0.value != nil }
        let rest = record.otherFields.filter { field in !read.contains { $0.field == field.key } }
        return read.map { ($0.name, $0.value ?? "") }
            + rest.sorted { $0.key < $1.key }.map { ("(\($0.key))", $0.value.description) }
    }

    private static func end(_ reason: String, _ record: PeriodicRecord) -> String {
        switch reason {
        case "count": "it was fired as often as it was to be"
        case "until": "its last time has passed"
        default: reason
        }
    }

    /// A time in UTC and, where that is another, by the clocks of a time zone.
    static func time(_ date: Date, _ zone: String?) -> String {
        guard let zone, let found = TimeZone(identifier: zone) else { return Timestamp.text(date) }
        let offset = found.secondsFromGMT(for: date)
        let local = Timestamp.text(date.addingTimeInterval(Double(offset))).prefix(19).replacing("T", with: " ")
        let minutes = abs(offset) / 60
        let hours = "\(minutes / 60 < 10 ? "0" : "")\(minutes / 60):\(minutes % 60 < 10 ? "0" : "")\(minutes % 60)"
        return "\(Timestamp.text(date))  \(local) \(offset < 0 ? "-" : "+")\(hours)"
    }
}

extension String {
    fileprivate func padding(_ width: Int) -> String {
        self + String(repeating: " ", count: Swift.max(0, width - count))
    }
}
