import TestSupport

/// What was done to the processes of a drill that excuses what happens to their jobs.
struct Excuses: Sendable {
    /// When each was killed. A job that had ended in one of them, and whose end had not been reported, runs again: at least once
    /// is what is promised.
    var deaths: [Int32: Int64] = [:]
    /// When each stood still for so long that others had to take its jobs. The same holds for these.
    var zombies: [Int32: [ClosedRange<Int64>]] = [:]

    /// Notes that a process stood still since then. When it goes on it takes a moment to see that it has lost its jobs.
    mutating func add(zombie pid: Int32, since time: Int64) {
        zombies[pid, default: []].append(time...(Ledger.now + 1_000_000_000))
    }

    /// Whether a watcher was right to end an attempt: its process was dead, or stood still. (The clocks of Redis and of the
    /// ledger are two, and watchers look twice.)
    func cover(_ reaped: Stage.Reaped) -> Bool {
        let time = reaped.time
        if let death = deaths[reaped.pid], time > death - 100_000_000 { return true }
        return zombies[reaped.pid, default: []].contains {
            $0.lowerBound < time && time < $0.upperBound + 3_000_000_000
        }
    }
}

extension DrillRun {
    /// What the ledger and Redis say when all is over.
    ///
    /// - Parameters:
    ///   - part: which one, where a drill has several.
    ///   - excuses: what was done to the processes.
    ///   - dead: jobs that may be without an end, since they are dead.
    ///   - forgets: whether Redis may have lost what it had acknowledged: then lost, doubled and overlapping jobs are told.
    ///   - recovery: bounds for the median and the 99th percentile of the recovery times, in seconds.
    func witness(
        _ stage: Stage,
        acknowledged jobs: [String],
        part: String = "",
        excuses: Excuses = Excuses(),
        dead: Set<String> = [],
        forgets: Bool = false,
        recovery bounds: (median: Double, most: Double)? = nil
    ) async throws {
        let reaped = try await stage.reaped()
        let known = forgets ? try await stage.known(jobs) : jobs
        none("stuck, or not as it must be", try await stage.unsettled(known), part: part)
        none("unexpected", Set(stage.ledger.entries.map(\.job)).subtracting(jobs), part: part)
        guard forgets else {
            return judge(stage.ledger, jobs, reaped, excuses, dead: dead, part: part, recovery: bounds)
        }
        let report = LedgerChecker(stage.ledger, deaths: excuses.deaths).report(acknowledged: jobs)
        tell(stage.ledger, jobs, report, part, bounds)
        figure("lost, as Redis forgot", report.lost.count, part: part)
        figure("ended twice", report.duplicated.count, part: part)
        figure("overlapping", report.overlapping.count, part: part)
        // Redis had been told of their end.
        figure("ended as nobody answered for them", reaped.count { !excuses.cover($0) }, part: part)
    }

    /// What the ledger says of jobs that Redis has not forgotten.
    ///
    /// - Parameter reaped: all attempts that watchers have ended.
    func judge(
        _ ledger: Ledger,
        _ jobs: [String],
        _ reaped: [Stage.Reaped],
        _ excuses: Excuses,
        dead: Set<String> = [],
        part: String = "",
        recovery bounds: (median: Double, most: Double)? = nil
    ) {
        let checker = LedgerChecker(ledger, deaths: excuses.deaths, zombies: excuses.zombies)
        let report = checker.report(acknowledged: jobs)
        tell(ledger, jobs, report, part, bounds)
        let duplicated = checker.duplicated(besides: Set(reaped.map(\.attempt)))
        none("lost", report.lost.subtracting(dead), part: part)
        figure("ended twice, one end unreported", report.duplicated.subtracting(duplicated).count, part: part)
        none("duplicated", duplicated, part: part)
        none("overlapping", report.overlapping, part: part)
        let wrong = reaped.filter { !excuses.cover($0) }
        noneUnlessStalled("falsely reaped", wrong.map { "\($0.attempt) of \($0.pid)" }, part: part)
    }

    private func tell(
        _ ledger: Ledger,
        _ jobs: [String],
        _ report: LedgerChecker.Report,
        _ part: String,
        _ bounds: (median: Double, most: Double)?
    ) {
        figure("acknowledged", jobs.count, atLeast: 1, part: part)
        none("lines of the ledger that say nothing", ledger.malformed, part: part)
        let times = report.recoveries
        guard !times.isEmpty else { return }
        figure("recoveries", times.count, part: part)
        figure("recovery p50", times.seconds(at: 0.5), "s", atMost: bounds?.median, part: part)
        figure("recovery p99", times.seconds(at: 0.99), "s", atMost: bounds?.most, part: part)
        figure("recovery max", times.seconds(at: 1), "s", part: part)
    }
}
