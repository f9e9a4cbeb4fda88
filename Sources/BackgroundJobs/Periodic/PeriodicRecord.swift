public import Foundation

/// A periodic job as it is in Redis.
///
/// Read leniently: a field that is missing, or that can't be read, is nil.
public struct PeriodicRecord: Sendable, Hashable, Encodable {
    /// Its name.
    public var name: String
    /// How it stands.
    public var state: State
    /// When it is due next; nil if it is paused or has ended.
    public var next: Date?
    /// When it is run (`exp`): a cron expression, or `every:` and milliseconds.
    public var expression: String?
    /// The time zone of the expression (`tz`); nil: UTC.
    public var timeZone: String?
    /// The class name (`cls`).
    public var className: String?
    /// The queue (`que`).
    public var queue: String?
    /// The arguments (`arg`). Lists leave them out.
    public var arguments: FieldValue?
    /// The program that declares it (`own`); nil: it was made by hand.
    public var owner: String?
    /// What becomes of missed times (`mis`).
    public var missed: MissedTimes
    /// What becomes of a time while the job before has not ended (`ovl`).
    public var overlap: Overlap
    /// How many times it is fired (`cnt`); nil: for ever.
    public var count: Int?
    /// No time after this is run (`unt`).
    public var until: Date?
    /// How long a fired job has to begin (`ttl`).
    public var expires: Duration?
    /// How many times it was fired since it was declared as it is (`fis`).
    public var fired: Int
    /// How many times were left out since the job before had not ended (`ski`).
    public var skipped: Int
    /// The last time that it was fired for (`lat`).
    public var lastTime: Date?
    /// The ID of the last job (`las`).
    public var lastJob: String?
    /// Why it has ended (`end`): `count`, `until`, or what its job said.
    public var end: String?
    /// What is wrong with it, a sentence each: then it is not fired.
    public var problems: [String]
    /// The other fields: what its jobs ask for, as in a job's hash, and what is not of the protocol.
    public var otherFields: [String: FieldValue]

    /// How a periodic job stands.
    public enum State: String, Sendable, Hashable, Encodable {
        /// It is fired when its time comes.
        case active
        /// It is not, until somebody resumes it.
        case paused
        /// It will not be fired any more.
        case ended
        /// Its hash can't be read.
        case damaged
    }

    /// The fields that lists ask for.
    static let listed = [
        "exp", "tz", "cls", "que", "own", "mis", "ovl", "cnt", "unt", "ttl", "fis", "ski", "lat", "las", "end", "pau",
    ]

    /// - Parameter score: when it is due next, ms; nil if it rests.
    init(_ name: String, score: Int64?, _ fields: HashFields) {
        var fields = fields
        self.name = name
        expression = fields.text("exp")
        timeZone = fields.text("tz")
        className = fields.text("cls")
        queue = fields.text("que")
        arguments = fields.value("arg")
        owner = fields.text("own")
        missed = fields.text("mis").flatMap(MissedTimes.init) ?? .once
        overlap = fields.text("ovl").flatMap(Overlap.init) ?? .allow
        count = fields.int("cnt")
        until = fields.date("unt")
        expires = fields.duration("ttl")
        fired = fields.int("fis") ?? 0
        skipped = fields.int("ski") ?? 0
        lastTime = fields.date("lat")
        lastJob = fields.text("las")
        end = fields.text("end")
        let isPaused = fields.text("pau") == "1"
        otherFields = [:]
        problems = []
        for (field, value) in [("exp", expression), ("cls", className), ("que", queue)] where value == nil {
            problems.append("the hash has no field \(field)")
        }
        if let expression {
            do throws(BackgroundError) {
                _ = try PeriodicTimes(PeriodicSchedule(expression: expression, zone: timeZone))
            } catch {
                problems.append(error.message)
            }
        }
        for (name, check) in [(queue, Names.checkQueue), (className, Names.checkClass)] {
            guard let name else { continue }
            do throws(BackgroundError) {
                try check(name)
            } catch {
                problems.append(error.message)
            }
        }
        for field in ["cnt", "unt"] {
            if let value = fields.text(field) {
                problems.append("the field \(field) is no number: \(Names.quoted(value))")
            }
        }
        otherFields = fields.rest()
        state = !problems.isEmpty ? .damaged : end != nil ? .ended : isPaused ? .paused : .active
        next = state == .active ? score.map { Date(milliseconds: $0) } : nil
        if state == .active, score == nil {
            problems.append("it has no time: resume it, or declare it anew")
            state = .damaged
        }
    }

    /// One whose key is of another type.
    init(_ name: String, problem: String) {
        self.init(name, score: nil, HashFields([], []))
        problems = [problem]
    }

    /// When it is run.
    public var schedule: PeriodicSchedule? {
        expression.map { PeriodicSchedule(expression: $0, zone: timeZone) }
    }

    /// Its next times, as far as they are known now; none if it is paused or has ended.
    ///
    /// - Parameters:
    ///   - number: how many, 1 to 1000.
    ///   - now: the server's time, to be told those that a paused one would have if it were resumed then.
    public func nextTimes(_ number: Int, ifResumedAt now: Date? = nil) -> [Date] {
        precondition((1...1000).contains(number), "1 to 1000 times are asked for")
        guard let schedule, let times = try? PeriodicTimes(schedule) else { return [] }
        let resumed = state == .paused ? now.flatMap { times.next(after: $0.milliseconds) } : nil
        guard let next = next ?? resumed.map({ Date(milliseconds: $0) }) else { return [] }
        if let until, next > until { return [] }
        var found = [next]
        let left = count.map { min(number, $0 - fired) } ?? number
        while found.count < left, let time = times.next(after: found[found.count - 1].milliseconds) {
            let date = Date(milliseconds: time)
            if let until, date > until { break }
            found.append(date)
        }
        return found
    }

    private enum CodingKeys: String, CodingKey {
        case name, state, next, expression, timeZone, queue, arguments, owner, missed, overlap, count, until, fired,
            skipped
        case className = "class"
        case expiresMilliseconds, lastTime, lastJob, end, problems, otherFields
    }

    /// Writes the record.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(state, forKey: .state)
        try container.encodeIfPresent(next, forKey: .next)
        try container.encodeIfPresent(expression, forKey: .expression)
        try container.encodeIfPresent(timeZone, forKey: .timeZone)
        try container.encodeIfPresent(className, forKey: .className)
        try container.encodeIfPresent(queue, forKey: .queue)
        try container.encodeIfPresent(arguments, forKey: .arguments)
        try container.encodeIfPresent(owner, forKey: .owner)
        try container.encode(missed.rawValue, forKey: .missed)
        try container.encode(overlap.rawValue, forKey: .overlap)
        try container.encodeIfPresent(count, forKey: .count)
        try container.encodeIfPresent(until, forKey: .until)
        try container.encodeIfPresent(expires?.fractionalMilliseconds, forKey: .expiresMilliseconds)
        try container.encode(fired, forKey: .fired)
        try container.encode(skipped, forKey: .skipped)
        try container.encodeIfPresent(lastTime, forKey: .lastTime)
        try container.encodeIfPresent(lastJob, forKey: .lastJob)
        try container.encodeIfPresent(end, forKey: .end)
        try container.encode(problems, forKey: .problems)
        try container.encode(otherFields, forKey: .otherFields)
    }
}
