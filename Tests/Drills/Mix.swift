import BackgroundJobs
import Synchronization
import TestSupport

/// Load of all kinds: jobs that succeed, fail and are tried again, are run later, by a period, in chains and batches, or only once
/// at a time.
final class Mix: Sendable {
    private let feed: Feed
    private let ties: Task<[String], any Error>
    private let stops = Counter()
    private let made = Made()

    init(_ stage: Stage, _ run: DrillRun) async throws {
        feed = Feed(stage, backlog: 200, pause: .milliseconds(8)) { .mixed(run) }
        let inspector = try stage.inspector()
        for number in 0..<5 {
            try await inspector.declare(PeriodicJob("p\(number)", .every(.seconds(1)), className: "Instant"))
        }
        ties = Task { [stops, made] in
            var jobs: [String] = []
            while stops.value == 0 {
                // Who does not know the ID can't ask what became of it, so only what was acknowledged counts.
                jobs += made.count(try? await Self.chain(stage), as: "chains")
                jobs += made.count(try? await Self.batch(stage), as: "batches")
                jobs += made.count(
                    try? await DrillRun.beside("unique jobs") { try await Self.unique(stage, run) },
                    as: "unique jobs"
                )
                try await Task.sleep(for: .milliseconds(100))
            }
            for number in 0..<5 { try await inspector.removePeriodic("p\(number)") }
            await inspector.close()
            return jobs
        }
    }

    /// How many of each kind there were: not to have had any proves nothing.
    func tell(_ run: DrillRun) {
        for kind in ["chains", "batches", "unique jobs"] { run.figure(kind, made.counts[kind] ?? 0, atLeast: 1) }
    }

    private final class Made: Sendable {
        private let all = Mutex<[String: Int]>([:])
        var counts: [String: Int] { all.withLock { $0 } }

        /// Counts what was acknowledged; nil: nothing was.
        func count(_ jobs: [String]?, as kind: String) -> [String] {
            if jobs?.isEmpty == false { all.withLock { $0[kind, default: 0] += 1 } }
            return jobs ?? []
        }
    }

    /// - Returns: all that were acknowledged.
    func stop() async throws -> [String] {
        stops.next()
        return try await ties.value + feed.stop()
    }

    private static func chain(_ stage: Stage) async throws -> [String] {
        let chain = Step(number: 0, ms: 20).then(Step(number: 1, ms: 50)).then(Step(number: 2, ms: 0))
        return try await stage.manager.enqueue(chain).steps
    }

    private static func batch(_ stage: Stage) async throws -> [String] {
        let members = Mutex<[String]>([])
        let batch = try await stage.manager.batch(onComplete: Callback(), onSuccess: Callback()) { batch in
            let jobs = try await batch.enqueue(contentsOf: (0..<5).map { Member(ms: $0 * 20) }).map(\.id)
            members.withLock { $0 = jobs }
        }
        let status = try? await batch.status()
        return members.withLock { $0 } + [status?.onComplete, status?.onSuccess].compactMap { $0 }
    }

    private static func unique(_ stage: Stage, _ run: DrillRun) async throws -> [String] {
        let handle = try await stage.manager.enqueue(
            "Sleeping",
            arguments: #"{"ms":200}"#,
            options: JobOptions(
                crashRetries: .all,
                unique: .unique(for: .seconds(10), by: .key("key \(run.random(in: 0...9))"))
            )
        )
        return handle.isDuplicate ? [] : [handle.id]
    }
}
