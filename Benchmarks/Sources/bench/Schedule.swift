import BackgroundJobs
import BackgroundJobsBenchmarking
import Foundation

/// Jobs that are due at a time.
extension Stage {
    /// Jobs due at random ms: how late they begin, by the server's clock.
    func schedule() async throws -> [Row] {
        let (jobs, seconds) = (volume(10_000, quick: 1000), volume(10, quick: 1))
        var lateness: [[Double]] = []
        for _ in 0..<runs {
            try await yardstick.flush()
            let (worker, watcher) = (try worker(100), try watcher())
            let now = try await yardstick.serverTime()
            // Later than all are enqueued, and than a watcher has looked.
            let times = (0..<jobs).map { _ in now + Int64.random(in: 2500...(2500 + Int64(seconds) * 1000)) }
            try await yardstick.fill(queue, jobs: jobs, with: Yardstick.Filling(due: { times[$0] }))
            try await until("all are done", every: .milliseconds(100)) { try await completed() == jobs }
            lateness.append(try await yardstick.lateness(queue))
            guard lateness.last?.count == jobs else { throw Failure("Not all attempts are on record.") }
            try await worker.stop()
            try await watcher.stop()
        }
        return [
            Row("schedule", "late by, p50", lateness.map { $0.quantile(0.5) }, "ms"),
            Row("schedule", "late by, p99", lateness.map { $0.quantile(0.99) }, "ms", aim: .atMost(10)),
            Row("schedule", "late by, most", lateness.map { $0.max() ?? 0 }, "ms"),
            Row("schedule", "early", lateness.map { Double($0.count { $0 < 0 }) }, "jobs", aim: .atMost(0)),
        ]
    }

    /// Jobs due at the same ms: no call may hold Redis for long.
    func burst() async throws -> [Row] {
        let jobs = volume(100_000, quick: 5000)
        var (calls, times): ([Double], [Double]) = ([], [])
        for _ in 0..<runs {
            try await yardstick.flush()
            let (worker, watcher) = (try worker(100), try watcher())
            let due = try await yardstick.serverTime() + Int64(volume(8000, quick: 2500))
            try await yardstick.fill(queue, jobs: jobs, with: Yardstick.Filling(due: { _ in due }))
            guard try await yardstick.serverTime() < due else { throw Failure("They were due before all were there.") }
            try await yardstick.noteSlowCalls()
            try await until("all are done", every: .milliseconds(20)) { try await completed() == jobs }
            calls.append(try await yardstick.slowestCall())
            // From the ms at which they were due, not from the first end.
            let span = try await yardstick.span(queue, since: due)
            guard span.count == jobs else { throw Failure("\(jobs - span.count) jobs ended before they were due.") }
            times.append(Double(span.end - due) / 1000)
            try await worker.stop()
            try await watcher.stop()
        }
        try await yardstick.configure("slowlog-log-slower-than", "10000")
        return [
            Row("burst", "longest call", calls, "ms", aim: .atMost(10)),
            Row("burst", "all done in", times, "s"),
        ]
    }
}
