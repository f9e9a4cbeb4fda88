import BackgroundJobs
import BackgroundJobsBenchmarking
import Foundation

/// CPU time and memory.
extension Stage {
    /// What a job costs Redis, beside the leanest scripts that write the same records without any check.
    func redisCost() async throws -> [Row] {
        let jobs = volume(100_000, quick: 4000)
        var (bulk, single): ([Double], [Double]) = ([], [])
        var (own, lean, ownBytes, leanBytes): ([Double], [Double], [Double], [Double]) = ([], [], [], [])
        var commands: [Yardstick.Command] = []
        for _ in 0..<runs {
            try await yardstick.flush()
            let before = try await yardstick.info("memory", "used_memory")
            bulk.append(try await redisMicroseconds(jobs) { try await yardstick.fill(queue, jobs: jobs) })
            try await yardstick.resetStatistics()
            own.append(try await redisMicroseconds(jobs) { try await yardstick.ceiling(queue, jobs: jobs) })
            commands = try await yardstick.commands()
            ownBytes.append((try await yardstick.info("memory", "used_memory") - before) / Double(jobs))

            try await yardstick.flush()
            try await yardstick.fill(queue, jobs: jobs)
            lean.append(
                try await redisMicroseconds(jobs) {
                    try await yardstick.ceiling(queue, jobs: jobs, scripts: .leanest)
                }
            )
            leanBytes.append((try await yardstick.info("memory", "used_memory") - before) / Double(jobs))
            try await yardstick.flush()
            single.append(
                try await redisMicroseconds(jobs / 5) { try await yardstick.fill(queue, jobs: jobs / 5, batch: 1) }
            )
        }
        let rows = [
            Row("redis-cost", "enqueue, bulk of 1,000", bulk, "µs/job", aim: .atMost(2.5)),
            Row("redis-cost", "enqueue, one by one", single, "µs/job", aim: .atMost(12)),
            Row("redis-cost", "claim and finish", own, "µs/job", beside: ("leanest", lean), aim: .ratioAtMost(1.25)),
            Row(
                "redis-cost",
                "memory of a completed job",
                ownBytes,
                "bytes",
                beside: ("leanest", leanBytes),
                aim: .atMost(720)
            ),
        ]
        // Of the last run, by the server's own account: a script's time holds that of all it calls.
        let parts = commands.map { ($0.name, Double($0.microseconds) / Double(jobs)) }.filter { $0.1 >= 0.05 }
        return rows + parts.map { Row("redis-cost", "claim and finish: \($0)", [$1], "µs/job") }
    }

    private func redisMicroseconds(_ jobs: Int, _ body: () async throws -> Void) async throws -> Double {
        let before = try await yardstick.cpuSeconds()
        try await body()
        return (try await yardstick.cpuSeconds() - before) / Double(jobs) * 1e6
    }

    /// What a job costs its worker, and what a worker's fibers take of memory when all are busy.
    func workerCost() async throws -> [Row] {
        let jobs = volume(100_000, quick: 4000)
        var cpu: [Double] = []
        var memory: [Int: [Double]] = [:]
        let aims = [10: 25.0, 1000: 40, 10_000: 120]
        for _ in 0..<runs {
            cpu.append(try await drained(jobs, fibers: 100).workerMicroseconds)
            for fibers in aims.keys { memory[fibers, default: []].append(try await megabytes(fibers: fibers)) }
        }
        return [Row("worker-cost", "CPU, 100 fibers", cpu, "µs/job", aim: .atMost(8))]
            + memory.sorted { $0.key < $1.key }.map { fibers, samples in
                Row(
                    "worker-cost",
                    "memory, \(Self.fibers(fibers))",
                    samples,
                    "MB",
                    aim: aims[fibers].map { .atMost($0) }
                )
            }
    }

    private func megabytes(fibers: Int) async throws -> Double {
        try await yardstick.flush()
        try await yardstick.fill(
            queue,
            jobs: fibers,
            with: Yardstick.Filling("Nap", arguments: { _ in "{\"ms\":3600000}" })
        )
        let worker = try worker(fibers)
        try await until("all fibers are busy") {
            try await yardstick.integer("SCARD", "bg:processing:\(queue)") == fibers
        }
        // The last ones have been handed out; a moment, and they have begun.
        try await Task.sleep(for: .milliseconds(300))
        let memory = try await worker.usage().memory
        await worker.kill()
        return memory
    }

    /// A database that holds much, beside one that is empty otherwise: what it costs to work there.
    func depth() async throws -> [Row] {
        let (million, jobs) = (volume(1_000_000, quick: 10_000), volume(50_000, quick: 2000))
        let farOff = try await yardstick.serverTime() + 86_400_000
        let scheduled = Yardstick.Filling(due: { _ in farOff })
        let kinds: [(name: String, prepare: @Sendable () async throws -> Void)] = [
            ("\(million.grouped) ready", { try await yardstick.fill(queue, jobs: million) }),
            ("\((5 * million).grouped) ready", { try await yardstick.fill(queue, jobs: 5 * million) }),
            ("\(million.grouped) completed", { _ = try await ceiling(million) }),
            ("\(million.grouped) scheduled", { try await yardstick.fill(queue, jobs: million, with: scheduled) }),
        ]
        let shallow = try Stage(url: url + "/1", isQuick: isQuick, runs: runs)
        var rows: [Row] = []
        for (name, prepare) in kinds {
            try await yardstick.flush()
            try await prepare()
            var (deep, flat): ([Depth], [Depth]) = ([], [])
            for _ in 0..<runs {
                deep.append(try await depth(jobs))
                try await shallow.yardstick.flushDatabase()
                flat.append(try await shallow.depth(jobs))
            }
            func beside(_ figure: KeyPath<Depth, Double>) -> (name: String, samples: [Double]) {
                ("empty", flat.map { $0[keyPath: figure] })
            }
            rows += [
                Row("depth", name, deep.map(\.rate), "jobs/s", beside: beside(\.rate), aim: .ratioAtLeast(0.9)),
                Row("depth", "\(name): enqueue", deep.map(\.enqueueing), "µs/job", beside: beside(\.enqueueing)),
                Row("depth", "\(name): claim, finish", deep.map(\.working), "µs/job", beside: beside(\.working)),
                Row("depth", "\(name): promote", deep.map(\.promoting), "µs/job", beside: beside(\.promoting)),
                Row("depth", "\(name): trim", deep.map(\.trimming), "µs/job", beside: beside(\.trimming)),
            ]
        }
        await shallow.yardstick.close()
        return rows
    }

    private struct Depth {
        var rate: Double
        /// CPU time of Redis a job.
        var enqueueing: Double
        var working: Double
        var promoting: Double
        var trimming: Double
    }

    /// Adds jobs, and has as many done; others may be there.
    private func depth(_ jobs: Int) async throws -> Depth {
        let enqueueing = try await redisMicroseconds(jobs) { try await yardstick.fill(queue, jobs: jobs) }
        let since = try await yardstick.serverTime()
        let before = try await yardstick.spent(queue, since: since)
        var after = before
        let worker = try worker(100)
        // It goes on with what was there before, so the time counts for what was done by that very moment.
        try await until("\(jobs) jobs are done", every: .milliseconds(10)) {
            after = try await yardstick.spent(queue, since: since)
            return after.count >= jobs
        }
        await worker.kill()
        let span = try await yardstick.span(queue, since: since)
        let few = jobs / 5
        let due = try await yardstick.serverTime() + 1000
        try await yardstick.fill(queue, jobs: few, with: Yardstick.Filling(due: { _ in due }))
        try await until("they are due") { try await yardstick.serverTime() > due }
        let promoting = try await redisMicroseconds(few) { try await yardstick.promote(queue) }
        let keep = try await completed() - few
        let trimming = try await redisMicroseconds(few) { try await yardstick.trim(queue, keep: keep) }
        return Depth(
            rate: span.rate,
            enqueueing: enqueueing,
            working: (after.cpu - before.cpu) / Double(after.count - before.count) * 1e6,
            promoting: promoting,
            trimming: trimming
        )
    }
}
