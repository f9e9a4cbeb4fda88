import BackgroundJobs
import Synchronization
import TestSupport

/// A producer that goes on in the background, whatever becomes of Redis. It chooses the IDs, so it may ask for a job again
/// that it can't tell the fate of.
final class Feed: Sendable {
    struct Order: Sendable {
        var className: String
        var arguments: String
        var delay: Duration?
        var options = JobOptions(crashRetries: .all)

        /// A job that takes so long.
        static func sleeping(_ milliseconds: Int) -> Order {
            Order(className: "Sleeping", arguments: #"{"ms":\#(milliseconds)}"#)
        }
    }

    private let task: Task<[String], any Error>
    private let calls = Calls()
    private let stops = Counter()
    private let failures = Counter()

    /// - Parameters:
    ///   - queue: where the jobs wait.
    ///   - backlog: at most so many that have not ended: more would only have to be worked off afterwards.
    ///   - pause: the time between two jobs.
    ///   - order: the next job.
    init(
        _ stage: Stage,
        queue: String = "default",
        backlog: Int = 300,
        pause: Duration = .milliseconds(2),
        _ order: @escaping @Sendable () -> Order
    ) {
        task = Task { [stops, failures, calls] in
            try await DrillRun.beside("feed of \(queue)") {
                var jobs: [String] = []
                while stops.value == 0 {
                    if jobs.count - stage.ledger.ended < backlog {
                        let id = "\(queue)-\(jobs.count)"
                        let called = Ledger.now
                        try await Self.send(order(), id, stage, queue, failures)
                        jobs.append(id)
                        calls.all.withLock { $0[id] = called...Ledger.now }
                    }
                    try await Task.sleep(for: pause)
                }
                return jobs
            }
        }
    }

    /// From when to when each job was being enqueued: in the end, it was acknowledged.
    var enqueued: [String: ClosedRange<Int64>] { calls.all.withLock { $0 } }

    /// How many were acknowledged so far.
    var count: Int { calls.all.withLock { $0.count } }

    private final class Calls: Sendable {
        let all = Mutex<[String: ClosedRange<Int64>]>([:])
    }

    /// How often Redis did not take a job, or nobody knew.
    var refusals: Int { failures.value }

    /// - Returns: all IDs; each was acknowledged.
    func stop() async throws -> [String] {
        stops.next()
        return try await task.value
    }

    private static func send(
        _ order: Order,
        _ id: String,
        _ stage: Stage,
        _ queue: String,
        _ failures: Counter
    ) async throws {
        while true {
            do {
                try await stage.manager.enqueue(
                    order.className,
                    arguments: order.arguments,
                    in: order.delay,
                    queue: queue,
                    id: id,
                    options: order.options
                )
                return
            } catch let error as BackgroundError
                where [.unavailable, .refused, .unknownFate].contains(error.code)
            {
                failures.next()
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }
}
