import BackgroundJobs
import BackgroundJobsBenchmarking

/// Producers.
extension Stage {
    /// One task that awaits each call, 50 such tasks, and bulks of 1,000; beside a bare client that sends the same.
    func enqueue() async throws -> [Row] {
        let manager = try manager()
        // The first call connects.
        try await manager.enqueue(Noop(n: 0))
        let kinds: [(name: String, jobs: Int, tasks: Int, batch: Int, aim: Double)] = [
            ("one by one", volume(50_000, quick: 2000), 1, 1, 30_000),
            ("50 tasks", volume(200_000, quick: 5000), 50, 1, 140_000),
            ("bulk of 1,000", volume(500_000, quick: 20_000), 1, 1000, 300_000),
        ]
        var rows: [Row] = []
        for kind in kinds {
            var (bare, ours): ([Double], [Double]) = ([], [])
            for _ in 0..<runs {
                try await yardstick.flush()
                bare.append(
                    try await rate(kind.jobs) {
                        try await yardstick.fill(queue, jobs: kind.jobs, batch: kind.batch, tasks: kind.tasks)
                    }
                )
                try await yardstick.flush()
                ours.append(
                    try await rate(kind.jobs) {
                        try await enqueue(kind.jobs, tasks: kind.tasks, batch: kind.batch, manager)
                    }
                )
            }
            rows.append(
                Row("enqueue", kind.name, ours, "jobs/s", beside: ("bare client", bare), aim: .atLeast(kind.aim))
            )
        }
        await manager.close()
        return rows
    }

    private func enqueue(_ jobs: Int, tasks: Int, batch: Int, _ manager: Manager) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<tasks {
                group.addTask {
                    for start in stride(from: task * batch, to: jobs, by: tasks * batch) {
                        if batch == 1 {
                            try await manager.enqueue(Noop(n: start))
                        } else {
                            let range = start..<min(start + batch, jobs)
                            try await manager.enqueue(contentsOf: range.lazy.map { Noop(n: $0) })
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private func rate(_ jobs: Int, _ body: () async throws -> Void) async throws -> Double {
        let begun = ContinuousClock.now
        try await body()
        return Double(jobs) / begun.duration(to: .now).seconds
    }

    /// Enqueueing, working and trimming at once. What is trimmed leaves its job's hash for five minutes, so Redis's memory is
    /// flat only after that.
    func steady() async throws -> [Row] {
        let (warmUp, seconds) = (volume(330, quick: 2), volume(60, quick: 5))
        let manager = try manager()
        let (worker, watcher) = (try worker(100), try watcher(keep: volume(100_000, quick: 1000)))
        let end = ContinuousClock.now + .seconds(warmUp + seconds + 1)
        let producer = Task {
            while ContinuousClock.now < end {
                guard try await yardstick.integer("LLEN", "bg:ready:\(queue)") < 10_000 else {
                    try await Task.sleep(for: .milliseconds(1))
                    continue
                }
                try await manager.enqueue(contentsOf: (0..<1000).lazy.map { Noop(n: $0) })
            }
        }
        try await Task.sleep(for: .seconds(warmUp))
        let (rates, memory) = try await watched(for: .seconds(seconds))
        try await producer.value
        await worker.kill()
        try await watcher.stop()
        await manager.close()
        // It grows if it gains more in that time than its samples differ anyway, and than a hundredth.
        let trend = memory.trend
        let allowance = max(trend.scatter, memory.quantile(0.5) / 100)
        return [
            Row("steady", "100 fibers", rates, "jobs/s", aim: .atLeast(35_000)),
            Row("steady", "memory of Redis", memory, "MB"),
            Row(
                "steady",
                "memory of Redis: growth",
                [max(0, trend.gain)],
                "MB",
                beside: ("a hundredth, or scatter", [allowance]),
                aim: .ratioAtMost(1)
            ),
        ]
    }

    /// Looks on: jobs a second in each fifth of the time, and Redis's memory in each sixtieth, MB.
    private func watched(for time: Duration) async throws -> (rates: [Double], memory: [Double]) {
        var (rates, memory): ([Double], [Double]) = ([], [])
        let begun = ContinuousClock.now
        var (done, now) = (try await stored(), ContinuousClock.now)
        for look in 1...60 {
            try await Task.sleep(until: begun + time * look / 60)
            memory.append(try await yardstick.info("memory", "used_memory") / 1e6)
            guard look % 12 == 0 else { continue }
            let (before, began) = (done, now)
            (done, now) = (try await stored(), .now)
            rates.append(Double(done - before) / began.duration(to: now).seconds)
        }
        return (rates, memory)
    }

    /// How many attempts have completed, trimmed ones too.
    private func stored() async throws -> Int {
        try await yardstick.integer("HGET", "bg:stats:\(queue)", "completed")
    }

    /// How fast a watcher trims attempts that completed, with their jobs.
    func trim() async throws -> [Row] {
        let jobs = volume(100_000, quick: 5000)
        var rates: [Double] = []
        for _ in 0..<runs {
            _ = try await ceiling(jobs)
            let watcher = try watcher(keep: 0)
            // From the last look that found all of them.
            var begun = ContinuousClock.now
            try await until("all is trimmed", every: .milliseconds(1)) {
                let asked = ContinuousClock.now
                let left = try await completed()
                if left == jobs { begun = asked }
                return left == 0
            }
            rates.append(Double(jobs) / begun.duration(to: .now).seconds)
            try await watcher.stop()
        }
        return [Row("trim", "attempts with their jobs", rates, "attempts/s")]
    }
}
