public import Foundation

/// What becomes of the times of a periodic job at which nothing could be fired, since no watcher ran or Redis was away.
public enum MissedTimes: String, Sendable, Hashable, CaseIterable {
    /// The last of them is run once, as soon as it is possible.
    case once
    /// None of them is run: a time that lies more than ten seconds back is passed over.
    case none
}

/// What becomes of a time of a periodic job while the job that it fired before still waits or runs.
public enum Overlap: String, Sendable, Hashable, CaseIterable {
    /// The next job is fired all the same.
    case allow
    /// This time is left out.
    case skip
}

/// A job that is enqueued again and again, by the watchers.
///
/// ```swift
/// let nightly = try PeriodicJob("nightly", .cron("0 3 * * *", timeZone: "Europe/Berlin"), Cleanup(days: 30))
/// ```
///
/// A worker program declares its own with ``JobRegistry/periodic(_:_:_:queue:options:missed:overlap:count:until:)``; others are
/// declared with ``Inspector/declare(_:)`` or `bg-cli cron add`.
public struct PeriodicJob: Sendable {
    /// Its name, of `A-Z a-z 0-9 _ - . @`, 1 to 128 bytes: one of this name at most is in a namespace.
    public let name: String
    /// When it is run.
    public let schedule: PeriodicSchedule
    let times: PeriodicTimes
    /// Its fields in Redis, but for the owner.
    let fields: [String: [UInt8]]
    let until: Int64?

    /// Makes a periodic job of a job.
    ///
    /// - Parameters:
    ///   - name: its name.
    ///   - schedule: when it is run.
    ///   - job: the job; its stored properties become the arguments.
    ///   - queue: the queue; nil: the type's ``Job/queue``.
    ///   - options: what each of the jobs asks for. `expires` is counted from when it is fired. There are no uniqueness locks here:
    ///     `overlap` serves.
    ///   - missed: what becomes of times at which it could not be fired.
    ///   - overlap: what becomes of a time while the job before waits or runs.
    ///   - count: how many times it is fired, at least 1; then it has ended. nil: for ever.
    ///   - until: no time after this is run; nil: for ever.
    /// - Throws: ``BackgroundError`` with the code `invalidArgument` for anything that is not allowed, with what to write instead.
    public init<J: Job>(
        _ name: String,
        _ schedule: PeriodicSchedule,
        _ job: J,
        queue: String? = nil,
        options: JobOptions = JobOptions(),
        missed: MissedTimes = .once,
        overlap: Overlap = .allow,
        count: Int? = nil,
        until: Date? = nil
    ) throws(BackgroundError) {
        let arguments: Data
        do {
            arguments = try canonicalEncoder.encode(job)
        } catch {
            throw BackgroundError(.invalidArgument, "A \(J.name) can't be written as JSON: \(error)", cause: error)
        }
        // Those of the type are the worker's own; but these two are up to whoever enqueues.
        var options = options
        options.expires = options.expires ?? J.options.expires
        options.unique = options.unique ?? J.options.unique
        try self.init(
            name,
            schedule,
            className: J.name,
            arguments: String(decoding: arguments, as: UTF8.self),
            queue: queue ?? J.queue,
            options: options,
            missed: missed,
            overlap: overlap,
            count: count,
            until: until
        )
    }

    /// Makes a periodic job by its class name, with arguments as they are: for workers written elsewhere.
    ///
    /// - Parameters:
    ///   - name: its name.
    ///   - schedule: when it is run.
    ///   - className: the class name.
    ///   - arguments: one JSON value, by convention an object, up to 1 MiB; it is not parsed here.
    ///   - queue: the queue.
    ///   - options: what each of the jobs asks for.
    ///   - missed: what becomes of times at which it could not be fired.
    ///   - overlap: what becomes of a time while the job before waits or runs.
    ///   - count: how many times it is fired; nil: for ever.
    ///   - until: no time after this is run; nil: for ever.
    /// - Throws: ``BackgroundError`` with the code `invalidArgument`.
    public init(
        _ name: String,
        _ schedule: PeriodicSchedule,
        className: String,
        arguments: String = "{}",
        queue: String = "default",
        options: JobOptions = JobOptions(),
        missed: MissedTimes = .once,
        overlap: Overlap = .allow,
        count: Int? = nil,
        until: Date? = nil
    ) throws(BackgroundError) {
        try Names.checkPeriodic(name)
        try Names.checkClass(className)
        try Names.checkQueue(queue)
        try Manager.checkSize(of: arguments.utf8.count, className, limit: 1 << 20)
        guard options.unique == nil else {
            throw BackgroundError(
                .invalidArgument,
                "The periodic job \(name) can't take a uniqueness lock: to leave out a time while the job before waits or runs, "
                    + "say overlap: .skip (--no-overlap)."
            )
        }
        if let count, count < 1 {
            throw BackgroundError(
                .invalidArgument,
                "The periodic job \(name) is to be fired \(count) times: at least 1."
            )
        }
        if let until, !(0...9e15).contains(until.timeIntervalSince1970 * 1000) {
            throw BackgroundError(
                .invalidArgument,
                "The periodic job \(name) can't end at \(until): it is too far away."
            )
        }
        self.name = name
        self.schedule = schedule
        times = try PeriodicTimes(schedule)
        self.until = until.map(\.milliseconds)
        var fields = ["exp": schedule.expression, "cls": className, "que": queue, "arg": arguments]
        fields["tz"] = schedule.zone
        if missed == .none { fields["mis"] = missed.rawValue }
        if overlap == .skip { fields["ovl"] = overlap.rawValue }
        fields["cnt"] = count.map { "\($0)" }
        fields["unt"] = self.until.map { "\($0)" }
        fields["ttl"] = try options.expiry().map { "\($0)" }
        for (name, value) in try options.fields() + options.placement() { fields[name] = value }
        self.fields = fields.mapValues { Array($0.utf8) }
    }

    /// What is written, at this time of the server.
    ///
    /// - Parameter owner: the program that declares it; nil: somebody by hand, who is told if it would never run.
    package func declaration(by owner: String?, now: Int64) throws(BackgroundError) -> Declaration {
        let first = times.next(after: now) ?? .max
        guard owner != nil || first <= until ?? .max - 1 else {
            throw BackgroundError(
                .invalidArgument,
                "The periodic job \(name) would never run: its end comes before its first time."
            )
        }
        var fields = fields
        if let owner { fields["own"] = Array(owner.utf8) }
        // One of a program that is over is ended by the watcher that finds it due.
        return Declaration(name: name, first: min(first, 1 << 53), fields: fields)
    }
}

extension Names {
    /// Periodic jobs: as queues. No colon, so that no key of another kind can look like theirs, whatever the namespaces.
    package static func checkPeriodic(_ name: String) throws(BackgroundError) {
        do {
            try checkQueue(name)
        } catch {
            throw BackgroundError(error.code, error.message.replacing("queue name", with: "name of the periodic job"))
        }
    }
}
