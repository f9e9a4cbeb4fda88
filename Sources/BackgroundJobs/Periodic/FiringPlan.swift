/// Finds what is to become of periodic jobs that are due.
package struct FiringPlan: Sendable {
    /// What has been read of schedules: the text of `exp` and `tz`, and what it means.
    private var schedules: [PeriodicSchedule: PeriodicTimes] = [:]

    package init() {}

    /// - Parameter now: the store's time, ms.
    /// - Throws: ``BackgroundError`` with a sentence about what keeps it from being fired.
    package mutating func firing(_ entry: DuePeriodics.Entry, now: Int64) throws(BackgroundError) -> Firing {
        let fields: [String: String]
        switch entry.fields {
        case .damaged(let sentence): throw BackgroundError(.damaged, sentence)
        case .read(let read): fields = read
        }
        guard let expression = fields["exp"], let className = fields["cls"], let queue = fields["que"] else {
            let lacking = ["exp", "cls", "que"].filter { fields[$0] == nil }
            throw BackgroundError(.damaged, "its hash lacks \(lacking.joined(separator: ", "))")
        }
        try Names.checkPeriodic(entry.name)
        try Names.checkQueue(queue)
        try Names.checkClass(className)
        var until: Int64?
        if let text = fields["unt"] {
            guard let end = Int64(text) else {
                throw BackgroundError(.damaged, "its field unt is \(Names.quoted(text)), which is no time")
            }
            until = end
        }
        let times = try times(of: PeriodicSchedule(expression: expression, zone: fields["tz"]))
        let missed = MissedTimes(rawValue: fields["mis"] ?? "") ?? .once
        let decision = FiringDecision(times, due: entry.due, now: now, missed: missed, until: until)
        return Firing(
            name: entry.name,
            due: entry.due,
            time: decision.time,
            next: decision.next,
            expression: expression,
            zone: fields["tz"] ?? "",
            missed: fields["mis"] ?? "",
            until: fields["unt"] ?? "",
            job: .randomUUID()
        )
    }

    private mutating func times(of schedule: PeriodicSchedule) throws(BackgroundError) -> PeriodicTimes {
        if schedules.count > 10_000 { schedules = [:] }
        if let known = schedules[schedule] { return known }
        let times = try PeriodicTimes(schedule)
        schedules[schedule] = times
        return times
    }
}
