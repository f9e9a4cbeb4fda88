public import Foundation

/// Ends a periodic job, by its name, with the reason.
package typealias PeriodicEnding = @Sendable (_ name: String, _ reason: String) async throws -> Void

extension JobRegistry {
    /// Declares a periodic job: each worker of this program does so when it starts. What has not changed goes on as it stands, so
    /// that a restart neither skips nor repeats a time; what the program no longer declares is removed; those of other programs, and
    /// those made by hand, are left alone.
    ///
    /// ```swift
    /// jobs.periodic("nightly", .cron("0 3 * * *", timeZone: "Europe/Berlin"), Cleanup(days: 30))
    /// jobs.periodic("beat", .every(.seconds(30)), Beat(), overlap: .skip)
    /// ```
    ///
    /// - Parameters:
    ///   - name: its name.
    ///   - schedule: when it is run.
    ///   - job: the job; its stored properties become the arguments.
    ///   - queue: the queue; nil: the type's ``Job/queue``.
    ///   - options: what each of the jobs asks for.
    ///   - missed: what becomes of times at which it could not be fired.
    ///   - overlap: what becomes of a time while the job before waits or runs.
    ///   - count: how many times it is fired; nil: for ever.
    ///   - until: no time after this is run; nil: for ever.
    /// - Precondition: no other is declared under the name, and all is as ``PeriodicJob`` allows.
    public mutating func periodic<J: Job>(
        _ name: String,
        _ schedule: PeriodicSchedule,
        _ job: J,
        queue: String? = nil,
        options: JobOptions = JobOptions(),
        missed: MissedTimes = .once,
        overlap: Overlap = .allow,
        count: Int? = nil,
        until: Date? = nil
    ) {
        do {
            periodic(
                try PeriodicJob(
                    name,
                    schedule,
                    job,
                    queue: queue,
                    options: options,
                    missed: missed,
                    overlap: overlap,
                    count: count,
                    until: until
                )
            )
        } catch {
            preconditionFailure("the periodic job \(name): \(error.message)")
        }
    }

    /// Declares a periodic job that was made before.
    ///
    /// - Precondition: no other is declared under its name.
    public mutating func periodic(_ job: PeriodicJob) {
        precondition(!periodics.contains { $0.name == job.name }, "the periodic job \(job.name) is declared twice")
        periodics.append(job)
    }
}
