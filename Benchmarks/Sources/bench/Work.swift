import ArgumentParser
import BackgroundJobs
import Foundation
import Logging
import Synchronization

/// A worker in a process of its own, told what to do by its standard input: see ``Child``.
struct Work: AsyncParsableCommand {
    static let word = "work"

    @Option var redis: String
    @Option var fibers: Int
    @Option var queues: String
    @Flag var endsWhenEmpty = false

    func run() async throws {
        var jobs = JobRegistry()
        jobs.register(Noop.self)
        jobs.register(Nap.self)
        jobs.register(Stamp.self)
        jobs.register(Timed.self)
        jobs.register("Big", raw: { _, _ in })
        let options = WorkerOptions(
            queues: try .strict(queues.split(separator: ",").map(String.init)),
            fibers: fibers,
            endsWhenEmpty: endsWhenEmpty
        )
        let worker = try Worker(options, redis: RedisOptions(url: redis), jobs: jobs, logger: .warnings)
        let console = Console(stop: worker.stop)
        try await worker.run()
        console.answer()
    }
}

/// A watcher likewise.
struct Watch: AsyncParsableCommand {
    static let word = "watch"

    @Option var redis: String
    @Option(help: "How many attempts of each kind are kept.") var keep: Int?

    func run() async throws {
        var options = WatcherOptions()
        if let keep { options.keepCompleted = Retention(age: nil, count: keep) }
        let watcher = try Watcher(options, redis: RedisOptions(url: redis), logger: .warnings)
        let console = Console(stop: watcher.stop)
        try await watcher.run()
        console.answer()
    }
}

/// Does nothing.
struct Noop: Job {
    var n: Int
    func perform(_ context: JobContext) async throws {}
}

/// Sleeps.
struct Nap: Job {
    var ms: Int
    func perform(_ context: JobContext) async throws {
        try await Task.sleep(for: .milliseconds(ms), tolerance: .zero)
    }
}

/// Notes how long ago it was called.
struct Stamp: Job {
    /// ``Moment/now`` of the call.
    var at: Int64
    func perform(_ context: JobContext) async throws {
        let latency = Double(Moment.now - at) / 1e6
        Console.latencies.withLock { $0.append(latency) }
    }
}

/// Says how long it took itself, in ms.
struct Timed: Job {
    func perform(_ context: JobContext) async throws -> Double {
        let begun = Moment.now
        return Double(Moment.now - begun) / 1e6
    }
}

/// A clock that all processes of a machine share, in ns.
enum Moment {
    static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

/// Answers the process that started this one.
private final class Console: Sendable {
    static let latencies = Mutex<[Double]>([])
    private let cpuBefore = Console.cpuSeconds

    init(stop: @escaping @Sendable () -> Void) {
        Thread { [self] in
            var byte: UInt8 = 0
            while read(0, &byte, 1) == 1 { answer() }
            stop()
        }.start()
    }

    func answer() {
        let latencies = Self.latencies.withLock { latencies in
            defer { latencies.removeAll(keepingCapacity: true) }
            return latencies
        }
        let usage = Usage(
            cpu: Self.cpuSeconds - cpuBefore,
            memory: Self.megabytes,
            p50: latencies.quantile(0.5),
            p99: latencies.quantile(0.99),
            most: latencies.max() ?? 0
        )
        guard var line = try? JSONEncoder().encode(usage) else { preconditionFailure("a usage can be written as JSON") }
        line.append(UInt8(ascii: "\n"))
        FileHandle.standardOutput.write(line)
    }

    private static var cpuSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// What is resident; where the system does not tell, what was at most.
    private static var megabytes: Double {
        #if os(Linux)
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        let pages = text.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? 0
        return pages * Double(sysconf(Int32(_SC_PAGESIZE))) / 1e6
        #else
        var usage = rusage()
        getrusage(RUSAGE_SELF, &usage)
        return Double(usage.ru_maxrss) / 1e6
        #endif
    }
}

extension Logger {
    /// What the system warns of is worth seeing in a measurement, too.
    static var warnings: Logger {
        var logger = Logger(label: "bench", factory: { StreamLogHandler.standardError(label: $0) })
        logger.logLevel = .warning
        return logger
    }
}
