import BackgroundRedis
import Foundation

/// Periodic jobs by hand.
extension Inspector {
    /// What became of a declaration by hand.
    public enum PeriodicDeclaration: String, Sendable, Hashable {
        /// It is there now.
        case added
        /// It is what was given now.
        case changed
        /// It was there as given; its next time stays.
        case unchanged
    }

    /// Declares a periodic job, or changes one that was made by hand. One that has ended begins anew; one that is paused stays so.
    ///
    /// - Parameter job: the periodic job.
    /// - Returns: what became of it.
    /// - Throws: ``BackgroundError``: `invalidArgument` if it would never run, `refused` if a program declares one of this name:
    ///   what is changed there would be so until that program starts again; `damaged` if its key is of another type.
    @discardableResult
    public func declare(_ job: PeriodicJob) async throws(BackgroundError) -> PeriodicDeclaration {
        let declaration = try job.declaration(by: nil, now: try await serverTime())
        let declared = try await store.patiently(where: \.mayBeRepeated) { () async throws(BackgroundError) in
            try await store.declare([declaration], by: nil, areAll: false, revives: true)
        }
        switch declared.verdicts.first {
        case .added: return .added
        case .changed: return .changed
        case .unchanged, nil: return .unchanged
        case .foreign(let owner):
            throw BackgroundError(
                .refused,
                "The periodic job \(job.name) belongs to the program \(Names.quoted(owner)): choose another name, or change it there."
            )
        case .damaged(let sentence):
            throw BackgroundError(.damaged, "\(sentence). Remove it first (bg-cli cron remove \(job.name)).")
        }
    }

    /// All periodic jobs, those that are due first in front, those that rest at the end; without their arguments.
    ///
    /// - Throws: ``BackgroundError``: `damaged` if the key `crons` is of another type.
    public func periodicJobs() async throws(BackgroundError) -> [PeriodicRecord] {
        let reply = try await read("ZRANGE", keys.periodics, "0", "-1", "WITHSCORES").array ?? []
        let entries = stride(from: 0, to: reply.count - 1, by: 2).map {
            (reply[$0].text ?? "", Self.due(reply[$0 + 1]))
        }
        var records: [PeriodicRecord] = []
        for start in stride(from: 0, to: entries.count, by: Self.pageLimit) {
            let page = entries[start..<min(start + Self.pageLimit, entries.count)]
            var pipeline = Pipeline()
            for entry in page { pipeline.command(["HMGET", keys.periodic(entry.0)] + PeriodicRecord.listed) }
            for (entry, reply) in zip(page, try await read(pipeline)) {
                guard !reply.isWrongType else {
                    records.append(PeriodicRecord(entry.0, problem: "\(keys.periodic(entry.0)) is no hash"))
                    continue
                }
                let fields = HashFields(PeriodicRecord.listed, reply.array ?? [])
                records.append(PeriodicRecord(entry.0, score: entry.1, fields))
            }
        }
        return records
    }

    /// A periodic job.
    ///
    /// - Parameter name: its name.
    /// - Returns: nil if there is none of this name.
    /// - Throws: ``BackgroundError``: `invalidArgument` for a name that is none, `damaged` if its key is no hash.
    public func periodicJob(_ name: String) async throws(BackgroundError) -> PeriodicRecord? {
        try Names.checkPeriodic(name)
        let fields = HashFields(all: try await read("HGETALL", keys.periodic(name)).array ?? [])
        let score = try await read("ZSCORE", keys.periodics, name)
        guard !fields.isEmpty || score != .null else { return nil }
        return PeriodicRecord(name, score: Self.due(score), fields)
    }

    /// Removes a periodic job, damaged or not. Jobs that it has fired go on. A program that declares it does so again when one of its workers
    /// starts.
    ///
    /// - Throws: ``BackgroundError`` with the code `jobNotFound` if there is none of this name.
    public func removePeriodic(_ name: String) async throws(BackgroundError) {
        _ = try await steer(name, .remove)
    }

    /// Keeps a periodic job from being fired until it is resumed; times that come meanwhile are not made up for. It stays paused when its
    /// program starts again.
    ///
    /// - Returns: false if it has ended: then nothing was changed.
    /// - Throws: ``BackgroundError`` with the code `jobNotFound` if there is none of this name.
    @discardableResult
    public func pausePeriodic(_ name: String) async throws(BackgroundError) -> Bool {
        try await steer(name, .pause) == .done
    }

    /// Lets a paused periodic job be fired again, from its next time on.
    ///
    /// - Returns: false if it has ended; true also if it was not paused.
    /// - Throws: ``BackgroundError`` with the code `jobNotFound` if there is none of this name, `damaged` if its schedule can't be read.
    @discardableResult
    public func resumePeriodic(_ name: String) async throws(BackgroundError) -> Bool {
        for _ in 0..<10 {
            guard let record = try await periodicJob(name) else { throw .noPeriodic(name) }
            guard let schedule = record.schedule else {
                throw BackgroundError(
                    .damaged,
                    "The periodic job \(name) has no field exp. Declare it anew, or remove it."
                )
            }
            let times: PeriodicTimes
            do throws(BackgroundError) {
                times = try PeriodicTimes(schedule)
            } catch {
                throw BackgroundError(
                    .damaged,
                    "The periodic job \(name) can't be resumed: \(error.message) Declare it anew, or remove it."
                )
            }
            guard let next = times.next(after: try await serverTime()) else { return false }
            if let until = record.until, next > until.milliseconds {
                _ = try await steer(name, .end(reason: "until"))
                return false
            }
            let action = PeriodicAction.resume(
                next: next,
                expression: record.expression ?? "",
                zone: record.timeZone ?? ""
            )
            switch try await steer(name, action) {
            case .changed: continue
            case .ended: return false
            case .done, .idle, .missing: return true
            }
        }
        throw BackgroundError(.refused, "The periodic job \(name) is being changed all the time. Nothing was done.")
    }

    /// Enqueues a job of a periodic job now, whether that is paused or not. It counts for nothing else, and its times stay as they are.
    ///
    /// - Returns: the ID of the job.
    /// - Throws: ``BackgroundError`` with the code `jobNotFound` if there is none of this name.
    @discardableResult
    public func runPeriodic(_ name: String) async throws(BackgroundError) -> String {
        let job = String.randomUUID()
        _ = try await steer(name, .run(job: job))
        return job
    }

    /// Does something to a periodic job that is there. The scripts may be repeated whatever became of the first call.
    private func steer(_ name: String, _ action: PeriodicAction) async throws(BackgroundError) -> PeriodicVerdict {
        // Whatever its name: this is also how one is got rid of that can have got there by hand alone.
        if action != .remove { try Names.checkPeriodic(name) }
        var isFirst = true
        let verdict = try await store.patiently(where: \.mayBeRepeated) { () async throws(BackgroundError) in
            defer { isFirst = false }
            let verdict = try await store.steer(name, action)
            // What the call before, whose answer was lost, has removed.
            return verdict == .missing && action == .remove && !isFirst ? .done : verdict
        }
        guard verdict != .missing else { throw .noPeriodic(name) }
        return verdict
    }

    private static func due(_ score: RESPValue) -> Int64? {
        guard let value = score.text.flatMap(Double.init), abs(value) < 1e16 else { return nil }
        return Int64(value)
    }
}

extension BackgroundError {
    fileprivate static func noPeriodic(_ name: String) -> BackgroundError {
        BackgroundError(.jobNotFound, "There is no periodic job with the name \(name).")
    }
}
