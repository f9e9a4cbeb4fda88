import BackgroundJobs
import BackgroundJobsBenchmarking

/// How long it takes.
extension Stage {
    /// An idle worker, one job every 20 ms: from the call to enqueue to the first line of the job; beside a bare client that
    /// waits for the job and claims it.
    func latency() async throws -> [Row] {
        let rounds = volume(300, quick: 30)
        let manager = try manager()
        let worker = try worker(100)
        try await connect(manager, worker)
        var (bare, ours): ([[Double]], [Usage]) = ([], [])
        for _ in 0..<runs {
            bare.append(try await yardstick.pickUps("bare", rounds: rounds, every: .milliseconds(20)))
            for _ in 0..<rounds {
                try await Task.sleep(for: .milliseconds(20))
                try await manager.enqueue(Stamp(at: Moment.now))
            }
            try await Task.sleep(for: .milliseconds(200))
            ours.append(try await worker.usage())
        }
        try await worker.stop()
        await manager.close()
        return [
            Row(
                "latency",
                "p50",
                ours.map(\.p50),
                "ms",
                beside: ("bare client", bare.map { $0.quantile(0.5) }),
                aim: .atMost(0.3)
            ),
            Row(
                "latency",
                "p99",
                ours.map(\.p99),
                "ms",
                beside: ("bare client", bare.map { $0.quantile(0.99) }),
                aim: .atMost(1)
            ),
            Row("latency", "most", ours.map(\.most), "ms", beside: ("bare client", bare.map { $0.max() ?? 0 })),
        ]
    }

    /// Waits until both have made their connections, and jobs go through.
    private func connect(_ manager: Manager, _ worker: Child) async throws {
        for _ in 0..<20 { try await manager.enqueue(Stamp(at: Moment.now)) }
        try await until("the worker has begun") { try await completed() == 20 }
        _ = try await worker.usage()
    }

    /// Half of the greatest throughput, whatever becomes of it: each job has its time, and what it is late counts, be it that
    /// the producer was held up, Redis, or the worker.
    func loadedLatency() async throws -> [Row] {
        let rate = try await drained(volume(100_000, quick: 4000), fibers: 100).rate / 2
        let jobs = Int(rate * Double(volume(10, quick: 1)))
        try await yardstick.flush()
        let manager = try manager()
        let worker = try worker(100)
        try await connect(manager, worker)
        var usages: [Usage] = []
        for _ in 0..<runs {
            let before = try await completed()
            try await openLoop(jobs, rate: rate, manager)
            try await until("all are done") { try await completed() == before + jobs }
            usages.append(try await worker.usage())
        }
        try await worker.stop()
        await manager.close()
        return [
            Row("loaded-latency", "load", [rate], "jobs/s"),
            Row("loaded-latency", "p50", usages.map(\.p50), "ms"),
            Row("loaded-latency", "p99", usages.map(\.p99), "ms", aim: .atMost(10)),
            Row("loaded-latency", "most", usages.map(\.most), "ms"),
        ]
    }

    /// Every ms it sends what is due, and waits for no answer. The arguments of each job hold the time when it was due.
    private func openLoop(_ jobs: Int, rate: Double, _ manager: Manager) async throws {
        let begun = Moment.now
        try await withThrowingDiscardingTaskGroup { group in
            var sent = 0
            while sent < jobs {
                let due = min(jobs, Int(Double(Moment.now - begun) / 1e9 * rate))
                if due > sent {
                    let times = (sent..<due).map { begun + Int64(Double($0) / rate * 1e9) }
                    group.addTask {
                        try await manager.enqueue("Stamp", contentsOf: times.map { "{\"at\":\($0)}" })
                    }
                    sent = due
                }
                try await Task.sleep(for: .milliseconds(1), tolerance: .zero)
            }
        }
    }

    /// From the call to enqueue to the result in hand, less the job's own time.
    func awaitResult() async throws -> [Row] {
        let rounds = volume(300, quick: 30)
        let manager = try manager()
        let worker = try worker(100)
        var (bare, ours): ([[Double]], [[Double]]) = ([], [])
        try await connect(manager, worker)
        _ = try await manager.enqueue(Timed()).value
        for _ in 0..<runs {
            bare.append(try await yardstick.pickUps("bare", rounds: rounds, every: .milliseconds(5)))
            var times: [Double] = []
            for _ in 0..<rounds {
                let called = ContinuousClock.now
                let own = try await manager.enqueue(Timed()).value
                times.append(called.duration(to: .now).milliseconds - own)
            }
            ours.append(times)
        }
        try await worker.stop()
        await manager.close()
        func row(_ name: String, _ part: Double) -> Row {
            Row(
                "await",
                name,
                ours.map { $0.quantile(part) },
                "ms",
                beside: ("bare pick-up", bare.map { $0.quantile(part) })
            )
        }
        return [row("p50", 0.5), row("p99", 0.99)]
    }

    /// 10,000 jobs that sleep 10 ms. With as many fibers as they need, 100 take 1 s and 1,000 a tenth of it.
    func sleepers() async throws -> [Row] {
        let jobs = volume(10_000, quick: 2000)
        let nap = Yardstick.Filling("Nap", arguments: { _ in "{\"ms\":10}" })
        let kinds = [(fibers: 100, aim: 1.15), (fibers: 1000, aim: 0.3)]
        var times: [Int: [Double]] = [:]
        for _ in 0..<runs {
            for (fibers, _) in kinds {
                try await yardstick.flush()
                try await yardstick.fill(queue, jobs: jobs, with: nap)
                let since = try await yardstick.serverTime()
                _ = try await worker(fibers, endsWhenEmpty: true).end()
                // The first ones ended 10 ms after they had begun.
                times[fibers, default: []].append(try await yardstick.span(queue, since: since).seconds + 0.01)
            }
        }
        return kinds.map { fibers, aim in
            let ideal = Double(jobs) * 0.01 / Double(fibers)
            return Row(
                "sleepers",
                Self.fibers(fibers),
                times[fibers] ?? [],
                "s",
                beside: ("ideal", times[fibers, default: []].map { _ in ideal }),
                aim: isQuick ? nil : .atMost(aim)
            )
        }
    }
}
