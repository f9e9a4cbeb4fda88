import BackgroundJobs
import BackgroundJobsBenchmarking
import NIOCore

/// Jobs a second.
extension Stage {
    /// No-op jobs that are queued already, through one worker, beside what a bare client gets from the same scripts.
    ///
    /// A thousand fibers have twice as many jobs in a call as the ceiling, so they also stand beside one that has as many.
    func noop() async throws -> [Row] {
        let jobs = volume(100_000, quick: 4000)
        var (ceilings, wide): ([Double], [Double]) = ([], [])
        var drains: [Int: [Drained]] = [:]
        for _ in 0..<runs {
            ceilings.append(try await ceiling(jobs))
            wide.append(try await ceiling(jobs, batch: 128))
            // One fiber makes a call for each job: fewer of them will do.
            for fibers in [1, 10, 100, 1000] {
                drains[fibers, default: []].append(try await drained(fibers == 1 ? jobs / 5 : jobs, fibers: fibers))
            }
        }
        let rows = drains.sorted { $0.key < $1.key }.flatMap { fibers, drains -> [Row] in
            [
                Row(
                    "noop",
                    Self.fibers(fibers),
                    drains.map(\.rate),
                    "jobs/s",
                    beside: ("ceiling", ceilings),
                    aim: fibers >= 100 ? .ratioAtLeast(0.8) : nil
                ),
                Row("noop", "\(Self.fibers(fibers)): batch", drains.map(\.batch), "jobs/call"),
                Row("noop", "\(Self.fibers(fibers)): CPU of Redis", drains.map(\.redisMicroseconds), "µs/job"),
                Row("noop", "\(Self.fibers(fibers)): CPU of worker", drains.map(\.workerMicroseconds), "µs/job"),
            ]
        }
        let rates = drains[1000, default: []].map(\.rate)
        return rows + [Row("noop", "1,000 fibers, 128 a call", rates, "jobs/s", beside: ("ceiling of 128", wide))]
    }

    static func fibers(_ count: Int) -> String { count == 1 ? "1 fiber" : "\(count.grouped) fibers" }

    /// The same with two processes.
    func twoWorkers() async throws -> [Row] {
        let jobs = volume(100_000, quick: 4000)
        var (one, two): ([Double], [Double]) = ([], [])
        for _ in 0..<runs {
            one.append(try await drained(jobs, fibers: 100).rate)
            two.append(try await drained(jobs, fibers: 100, processes: 2).rate)
        }
        return [Row("two-workers", "100 fibers each", two, "jobs/s", beside: ("one", one), aim: .ratioAtLeast(1))]
    }

    /// Redis 1 ms away, beside the same proxy without a delay.
    func distance() async throws -> [Row] {
        let jobs = volume(100_000, quick: 4000)
        let near = try await Proxy.start(before: url)
        let far = try await Proxy.start(before: url, delay: .milliseconds(1))
        var (direct, through, delayed): ([Double], [Double], [Double]) = ([], [], [])
        for _ in 0..<runs {
            direct.append(try await drained(jobs, fibers: 1000).rate)
            through.append(try await drained(jobs, fibers: 1000, through: near.url).rate)
            delayed.append(try await drained(jobs, fibers: 1000, through: far.url).rate)
        }
        await near.stop()
        await far.stop()
        return [
            Row(
                "distance",
                "1,000 fibers, 1 ms",
                delayed,
                "jobs/s",
                beside: ("without delay", through),
                aim: .ratioAtLeast(0.6)
            ),
            Row("distance", "1,000 fibers, proxy alone", through, "jobs/s", beside: ("direct", direct)),
        ]
    }

    /// Arguments of 1, 10 and 100 KiB: bytes on the wire both ways, and the worker beside the bare client.
    func bigJobs() async throws -> [Row] {
        var rows: [Row] = []
        for (kibibytes, full) in [(1, 50_000), (10, 10_000), (100, 2000)] {
            let jobs = volume(full, quick: full / 20)
            let arguments = "{\"text\":\"" + String(repeating: "x", count: kibibytes * 1024 - 11) + "\"}"
            let filling = Yardstick.Filling("Big", arguments: { _ in arguments })
            // What the jobs weigh together, MB.
            let weight = Double(jobs * kibibytes * 1024) / 1e6
            var (ceilings, rates, sent, fetched): ([Double], [Double], [Double], [Double]) = ([], [], [], [])
            for _ in 0..<runs {
                ceilings.append(try await ceiling(jobs, with: filling))
                try await yardstick.flush()
                let before = try await traffic()
                try await yardstick.fill(queue, jobs: jobs, with: filling)
                let between = try await traffic()
                rates.append(try await drain(jobs, fibers: 100).rate)
                // The counters were set to 0 in between.
                let after = try await traffic()
                sent.append((between.input - before.input) / 1e6)
                fetched.append(after.output / 1e6)
            }
            let name = "\(kibibytes) KiB"
            let weights = (name: "arguments", samples: [Double](repeating: weight, count: runs))
            // Of small arguments, what goes with them is no small part.
            let aim: Aim? = kibibytes > 1 ? .ratioAtMost(1.1) : nil
            rows += [
                Row("big-jobs", name, rates, "jobs/s", beside: ("ceiling", ceilings), aim: .ratioAtLeast(0.8)),
                Row("big-jobs", "\(name): sent", sent, "MB", beside: weights, aim: aim),
                Row("big-jobs", "\(name): fetched", fetched, "MB", beside: weights, aim: aim),
            ]
        }
        return rows
    }

    /// Bytes that Redis has read and written.
    private func traffic() async throws -> (input: Double, output: Double) {
        (
            try await yardstick.info("stats", "total_net_input_bytes"),
            try await yardstick.info("stats", "total_net_output_bytes")
        )
    }
}
