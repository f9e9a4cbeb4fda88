/// Reads a ledger and says what became of the jobs that were acknowledged.
package struct LedgerChecker: Sendable {
    package struct Report: Sendable, Equatable {
        /// Acknowledged and never ended.
        package var lost: Set<String> = []
        /// In the ledger, and never acknowledged.
        package var unexpected: Set<String> = []
        /// Jobs that ended more than once.
        package var duplicated: Set<String> = []
        /// Jobs of which two attempts ran at the same time.
        package var overlapping: Set<String> = []
        /// From the end of a process to the next start of each job that it had running, in ns, ascending.
        package var recoveries: [Int64] = []

        package init() {}
    }

    private let entries: [Ledger.Entry]
    private let deaths: [Int32: Int64]
    private let zombies: Set<Int32>

    /// - Parameters:
    ///   - deaths: when each process that was killed was seen to be gone.
    ///   - zombies: processes that stood still for so long that others had to take their jobs: what these ran may overlap.
    package init(_ ledger: Ledger, deaths: [Int32: Int64] = [:], zombies: Set<Int32> = []) {
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
            let spans = spans(of: entries.filter { !zombies.contains($0.pid) })
            if zip(spans, spans.dropFirst()).contains(where: { $0.to > $1.from }) { report.overlapping.insert(job) }
            report.recoveries += recoveries(spans)
        }
        report.recoveries.sort()
        return report
    }

    /// How often a job's worker died while it ran.
    package func crashes(of job: String) -> Int {
        spans(of: entries.filter { $0.job == job }).count { $0.died }
    }

    private struct Span {
        var from: Int64
        var to: Int64
        var died: Bool
    }

    /// When each attempt of a job ran, in order: to its end, or to that of its process.
    private func spans(of entries: [Ledger.Entry]) -> [Span] {
        Dictionary(grouping: entries, by: \.attempt).values.compactMap { attempt -> Span? in
            guard let start = attempt.first(where: { $0.event == .start }) else { return nil }
            if let end = attempt.first(where: { $0.event != .start }) {
                return Span(from: start.time, to: end.time, died: false)
            }
            return Span(from: start.time, to: deaths[start.pid] ?? .max, died: deaths[start.pid] != nil)
        }.sorted { $0.from < $1.from }
    }

    private func recoveries(_ spans: [Span]) -> [Int64] {
        zip(spans, spans.dropFirst()).compactMap { former, next in former.died ? next.from - former.to : nil }
    }
}
