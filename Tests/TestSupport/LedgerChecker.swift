/// Reads a ledger and says what became of the jobs that were acknowledged.
package struct LedgerChecker: Sendable {
    package struct Report: Sendable, Equatable {
        /// Acknowledged and never ended.
        package var lost: Set<String> = []
        /// In the ledger, and never acknowledged.
        package var unexpected: Set<String> = []
        /// Jobs that ended more than once.
        package var duplicated: Set<String> = []
        /// Jobs of which two attempts ran at the same time, or one was begun twice.
        package var overlapping: Set<String> = []
        /// From the end of a process to the next start of each job that it had running, in ns, ascending.
        package var recoveries: [Int64] = []

        package init() {}
    }

    private let entries: [Ledger.Entry]
    private let deaths: [Int32: Int64]
    private let zombies: [Int32: [ClosedRange<Int64>]]

    /// - Parameters:
    ///   - deaths: when each process was killed.
    ///   - zombies: when processes stood still for so long that others had to take their jobs: what these ran then may
    ///     overlap.
    package init(_ ledger: Ledger, deaths: [Int32: Int64] = [:], zombies: [Int32: [ClosedRange<Int64>]] = [:]) {
        entries = ledger.entries
        self.deaths = deaths
        self.zombies = zombies
    }

    package func report(acknowledged: some Sequence<String>) -> Report {
        let acknowledged = Set(acknowledged)
        let byJob = Dictionary(grouping: entries, by: \.job)
        var report = Report()
        report.unexpected = Set(byJob.keys).subtracting(acknowledged)
        for job in acknowledged {
            let entries = byJob[job] ?? []
            let ends = entries.count { $0.event == .end }
            if ends == 0 { report.lost.insert(job) }
            if ends > 1 { report.duplicated.insert(job) }
            let spans = spans(of: entries)
            if overlap(spans) || isOneBegunTwice(entries) { report.overlapping.insert(job) }
            report.recoveries += recoveries(spans)
        }
        report.recoveries.sort()
        return report
    }

    /// The jobs that ended twice, in attempts that nobody had taken from their workers. (An end whose attempt was taken had not
    /// been reported, and the job had to run again.)
    ///
    /// - Parameter taken: the attempts that a watcher has ended.
    package func duplicated(besides taken: Set<String>) -> Set<String> {
        let ends = entries.filter { $0.event == .end && !taken.contains($0.attempt) }
        return Set(Dictionary(grouping: ends, by: \.job).filter { $0.value.count > 1 }.keys)
    }

    private struct Span {
        var from: Int64
        var to: Int64
        var died: Bool
        /// Its process stood still meanwhile.
        var froze: Bool
    }

    /// Whether one began before another had ended; those that stood still don't count.
    private func overlap(_ spans: [Span]) -> Bool {
        var last = Int64.min
        for span in spans where !span.froze {
            if span.from < last { return true }
            last = max(last, span.to)
        }
        return false
    }

    private func isOneBegunTwice(_ entries: [Ledger.Entry]) -> Bool {
        let starts = entries.filter { $0.event == .start }
        return Set(starts.map(\.attempt)).count < starts.count
    }

    /// When each attempt of a job ran, in order: to its end, or to that of its process.
    private func spans(of entries: [Ledger.Entry]) -> [Span] {
        Dictionary(grouping: entries, by: \.attempt).values.compactMap { attempt -> Span? in
            guard let start = attempt.first(where: { $0.event == .start }) else { return nil }
            let end = attempt.first { $0.event != .start }?.time
            let to = end ?? deaths[start.pid] ?? .max
            return Span(
                from: start.time,
                to: to,
                died: end == nil && deaths[start.pid] != nil,
                froze: zombies[start.pid, default: []].contains { $0.overlaps(start.time...max(start.time, to)) }
            )
        }.sorted { $0.from < $1.from }
    }

    private func recoveries(_ spans: [Span]) -> [Int64] {
        zip(spans, spans.dropFirst()).compactMap { former, next in former.died ? next.from - former.to : nil }
    }
}
