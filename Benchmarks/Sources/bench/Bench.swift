import ArgumentParser
import BackgroundJobs
import BackgroundJobsBenchmarking
import Foundation
import Logging

/// No-op jobs through one worker, beside what a bare client gets from the same scripts.
@main
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measures the worker beside its yardstick. Start it by ./cli/bench."
    )

    @Argument(help: "noop, latency, schedule, trim (default: all).") var names: [Benchmark] = Benchmark.allCases
    @Option(help: "URL of a Redis that may be emptied.") var redis: String
    @Option(help: "Jobs in each run.") var jobs = 50_000
    @Option(help: "Runs of each; the median counts.") var runs = 5
    @Option(help: "Fibers of the worker.") var fibers = 100
    @Option(help: "The least ratio to the ceiling that passes, in percent.") var aim = 65.0

    enum Benchmark: String, CaseIterable, ExpressibleByArgument {
        case noop, latency, schedule, trim
    }

    struct Noop: Job {
        var n: Int
        func perform(_ context: JobContext) async throws {}
    }

    mutating func run() async throws {
        let redis = RedisOptions(url: redis)
        let yardstick = try Yardstick(redis: redis)
        for name in names {
            try await yardstick.flush()
            switch name {
            case .noop: try await noop(redis, yardstick)
            case .latency: try await latency(redis)
            case .schedule: try await schedule(redis, yardstick)
            case .trim: try await trim(redis, yardstick)
            }
        }
        await yardstick.close()
    }

    /// No-op jobs through one worker, beside what a bare client gets from the same scripts.
    private func noop(_ redis: RedisOptions, _ yardstick: Yardstick) async throws {
        var ceilings: [Double] = []
        var workers: [Double] = []
        var redisMicroseconds: [Double] = []
        var workerMicroseconds: [Double] = []
        var batches: [Double] = []
        for _ in 0..<runs {
            try await yardstick.flush()
            try await yardstick.fill("default", jobs: jobs)
            ceilings.append(Double(jobs) / (try await yardstick.ceiling("default", jobs: jobs)).seconds)

            try await yardstick.flush()
            try await yardstick.fill("default", jobs: jobs)
            try await yardstick.resetStatistics()
            let redisBefore = try await yardstick.cpuSeconds()
            let before = ProcessTime.seconds()
            let begun = ContinuousClock.now
            try await work(redis)
            workers.append(Double(jobs) / begun.duration(to: .now).seconds)
            workerMicroseconds.append((ProcessTime.seconds() - before) / Double(jobs) * 1e6)
            batches.append(Double(jobs) / Double(try await yardstick.scriptCalls()))
            redisMicroseconds.append((try await yardstick.cpuSeconds() - redisBefore) / Double(jobs) * 1e6)
            let done = try await yardstick.completed("default")
            guard done == jobs else { throw ValidationError("The worker completed \(done) of \(jobs) jobs.") }
        }
        let ratio = workers.median / ceilings.median * 100
        print("no-op jobs, \(fibers) fibers, \(jobs) jobs, median of \(runs) alternating runs (least … most)")
        print("  ceiling  \(ceilings.summary) jobs/s")
        print("  worker   \(workers.summary) jobs/s")
        print(String(format: "  ratio    %.0f %% of the ceiling (aim: %.0f %%)", ratio, aim))
        print(
            String(
                format: "  CPU      Redis %.1f µs, worker %.1f µs a job",
                redisMicroseconds.median,
                workerMicroseconds.median
            )
        )
        print(String(format: "  batches  %.0f jobs a call", batches.median))
        if ratio < aim * 0.9 { throw ExitCode.failure }
    }

    /// One worker, until the queue is empty.
    private func work(_ redis: RedisOptions) async throws {
        var jobs = JobRegistry()
        jobs.register(Noop.self)
        let options = WorkerOptions(queues: try .strict(["default"]), fibers: fibers, endsWhenEmpty: true)
        let logger = Logger(label: "bench", factory: { _ in SwiftLogNoOpLogHandler() })
        try await Worker(options, redis: redis, jobs: jobs, logger: logger).run()
    }
}

enum ProcessTime {
    /// CPU time of this process.
    static func seconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}

extension [Double] {
    var median: Double { isEmpty ? 0 : sorted()[count / 2] }
    var summary: String { String(format: "%.0f (%.0f … %.0f)", median, self.min() ?? 0, self.max() ?? 0) }
}
