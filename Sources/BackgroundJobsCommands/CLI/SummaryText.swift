import BackgroundJobs
import Foundation

/// A summary for people: the sums, a table of the queues, and one of the workers with what each of them runs.
enum SummaryText {
    /// The most running jobs that are shown of a worker.
    private static let shownRuns = 10

    static func text(_ summary: SystemSummary) -> String {
        var parts = [totals(summary.totals)]
        if !summary.queues.isEmpty { parts.append(queues(summary.queues)) }
        if !summary.workers.isEmpty { parts.append(workers(summary)) }
        return parts.joined(separator: "\n")
    }

    private static func totals(_ totals: SystemSummary.Totals) -> String {
        let lines = [
            ("queues", "\(totals.queues)" + (totals.paused > 0 ? ", \(totals.paused) paused" : "")),
            ("workers", "\(totals.workers), \(totals.fibers) fibers, \(totals.processing) busy"),
            ("watchers", "\(totals.watchers)"),
            (
                "waiting",
                "\(totals.ready) ready, \(totals.scheduled) scheduled, \(totals.suspects) suspects, \(totals.placed) placed"
            ),
            ("dead", "\(totals.dead)"),
            ("so far", counters(totals.counters)),
        ]
        return lines.map { name, value in
            "\(name)\(String(repeating: " ", count: 9 - name.count)) \(value)\n"
        }.joined()
    }

    /// What happened most often first.
    private static func counters(_ counters: [String: Int]) -> String {
        let shown = counters.filter { $0.value > 0 }.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        return shown.isEmpty
            ? "nothing has ended" : shown.map { "\($0.value) \(Printable.escaped($0.key))" }.joined(separator: ", ")
    }

    private static func queues(_ queues: [QueueSummary]) -> String {
        var table = TextTable(
            ["queue", "state", "ready", "scheduled", "suspects", "placed", "processing", "dead", "so far"],
            rightAligned: Set(2...7)
        )
        for queue in queues {
            let status = queue.status
            let counts = [
                status.ready, status.scheduled, status.suspects, status.placed, status.processing, status.dead,
            ]
            table.add(
                [status.name, status.isPaused ? "paused" : "open"] + counts.map { "\($0)" } + [counters(queue.counters)]
            )
        }
        return table.text
    }

    private static func workers(_ summary: SystemSummary) -> String {
        summary.workers.map { entry in
            let worker = entry.worker
            let fibers = worker.isStalled ? "stalled" : "\(worker.fibers) fibers"
            let facts = [
                fibers, worker.busy.map { "\($0) busy" }, "queues \(worker.queues.joined(separator: ","))",
                worker.host.map { "host \($0)" }, worker.processID.map { "process \($0)" },
                worker.version.map { "version \($0)" }, worker.memory.map { "\(($0 + 524_288) / 1_048_576) MiB" },
                "connected for \(worker.connectedFor.readable)",
            ]
            let runs = entry.running ?? []
            let rest = runs.count > shownRuns ? "  … and \(runs.count - shownRuns) more\n" : ""
            return Printable.escaped("\(worker.node): \(facts.compactMap(\.self).joined(separator: ", "))") + "\n"
                + runs.prefix(shownRuns).map { line($0, summary) }.joined() + rest
        }.joined()
    }

    private static func line(_ run: WorkerRun, _ summary: SystemSummary) -> String {
        let since = run.since.map { Duration.seconds(max(0, summary.time.timeIntervalSince($0))).readable }
        let what = "\(run.className ?? "?") \(run.job ?? "?") of \(run.queue ?? "?")"
        return "  " + Printable.escaped(what + (since.map { ", for \($0)" } ?? "")) + "\n"
    }
}
