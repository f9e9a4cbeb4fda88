import ArgumentParser
import BackgroundJobs
import BackgroundJobsBenchmarking
import Foundation

@main
enum Bench {
    static func main() async {
        let words = Array(CommandLine.arguments.dropFirst())
        switch words.first {
        case Work.word: await Work.main(Array(words.dropFirst()))
        case Watch.word: await Watch.main(Array(words.dropFirst()))
        default: await Measure.main(words)
        }
    }
}

/// Runs benchmarks and prints the table.
struct Measure: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measures the system beside its yardsticks. Start it by ./cli/bench.",
        discussion: """
            Benchmarks:
            \(Benchmark.all.map { "  \($0.name.padding(16))\($0.what)" }.joined(separator: "\n"))

            Exit status: 1 if an aim that is a ratio was missed by more than a tenth, or a benchmark failed or has no figure. With
            --quick no figure is held against its aim.
            """
    )

    @Argument(help: "Which benchmarks (default: all).", transform: Benchmark.init(named:))
    var benchmarks: [Benchmark] = []
    @Option(help: "URL of a Redis that may be emptied.") var redis: String
    @Option(help: ArgumentHelp("Writes all figures to this file.", valueName: "file")) var json: String?
    @Option(help: "Runs of each benchmark; medians count. (default: 5; with --quick 2)") var runs: Int?
    @Flag(help: "Small volumes, to see whether the benchmarks work: the figures mean little, and no aims count.")
    var quick = false
    @Flag(help: "Redis writes its append-only file, synced every second.") var aof = false

    func validate() throws {
        guard runs.map({ $0 > 0 }) ?? true else { throw ValidationError("--runs has to be 1 at least.") }
    }

    func run() async throws {
        // A child that has died is found out when it is read from.
        signal(SIGPIPE, SIG_IGN)
        raiseFileLimit()
        let stage = try Stage(url: redis, isQuick: quick, runs: runs ?? (quick ? 2 : 5))
        if aof { try await stage.yardstick.appendOnly() }
        let facts = try await Facts(stage)
        print(facts)
        var rows: [Row] = []
        var failures: [String] = []
        func fail(_ failure: String) {
            failures.append(failure)
            FileHandle.standardError.write(Data("Failed: \(failure)\n".utf8))
        }
        for benchmark in benchmarks.isEmpty ? Benchmark.all : benchmarks {
            do {
                try await stage.yardstick.flush()
                for var row in try await benchmark.body(stage) {
                    if quick { row.aim = nil }
                    print(row)
                    rows.append(row)
                    if let fault = row.fault { fail("\(row.benchmark), \(row.name): \(fault)") }
                }
            } catch {
                fail("\(benchmark.name): \(error)")
            }
        }
        try await stage.yardstick.flush()
        await stage.yardstick.close()
        if let json { try Report(facts: facts, rows: rows, failures: failures).write(to: json) }
        let missed = rows.filter { $0.verdict == .missed && $0.aim?.isOfRatio == true }
        for row in missed { print("Missed by more than a tenth: \(row.benchmark), \(row.name)") }
        if !missed.isEmpty || !failures.isEmpty { throw ExitCode.failure }
    }

    /// A crowd of connections needs more files than the usual 1024.
    private func raiseFileLimit() {
        var limit = rlimit()
        #if os(Linux)
        let files = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        #else
        let files = RLIMIT_NOFILE
        #endif
        getrlimit(files, &limit)
        limit.rlim_cur = min(limit.rlim_max, 10_000)
        setrlimit(files, &limit)
    }
}

/// One kind of measurement.
struct Benchmark: Sendable {
    let name: String
    let what: String
    let body: @Sendable (Stage) async throws -> [Row]

    init(_ name: String, _ what: String, _ body: @escaping @Sendable (Stage) async throws -> [Row]) {
        self.name = name
        self.what = what
        self.body = body
    }

    init(named name: String) throws {
        guard let known = Self.all.first(where: { $0.name == name }) else {
            throw ValidationError(
                "There is no benchmark \"\(name)\". There are: \(Self.all.map(\.name).joined(separator: ", "))."
            )
        }
        self = known
    }

    static let all = [
        Benchmark("noop", "no-op jobs that are queued already, 1 to 1,000 fibers") { try await $0.noop() },
        Benchmark("steady", "enqueueing, working and trimming at once") { try await $0.steady() },
        Benchmark("redis-cost", "CPU time of Redis and its memory, a job") { try await $0.redisCost() },
        Benchmark("worker-cost", "CPU time of the worker a job, its memory") { try await $0.workerCost() },
        Benchmark("two-workers", "two processes instead of one") { try await $0.twoWorkers() },
        Benchmark("enqueue", "one by one, 50 tasks, in bulk") { try await $0.enqueue() },
        Benchmark("latency", "from the call to the job's first line, idle worker") { try await $0.latency() },
        Benchmark("loaded-latency", "the same at half of the throughput, open loop") { try await $0.loadedLatency() },
        Benchmark("await", "from the call to the result") { try await $0.awaitResult() },
        Benchmark("sleepers", "10,000 jobs that sleep 10 ms") { try await $0.sleepers() },
        Benchmark("schedule", "10,000 jobs due at random ms of 10 s") { try await $0.schedule() },
        Benchmark("burst", "100,000 jobs due at the same ms") { try await $0.burst() },
        Benchmark("trim", "how fast a watcher removes what completed") { try await $0.trim() },
        Benchmark("depth", "with millions of jobs waiting or on record") { try await $0.depth() },
        Benchmark("crowd", "a watcher over 1,000 connections and 10,000 attempts") { try await $0.crowd() },
        Benchmark("idle", "worker and watcher with nothing to do") { try await $0.idle() },
        Benchmark("distance", "Redis 1 ms away") { try await $0.distance() },
        Benchmark("big-jobs", "arguments of 1, 10 and 100 KiB") { try await $0.bigJobs() },
    ]
}

extension Yardstick {
    /// Turns on the append-only file, and waits until its base is written.
    func appendOnly() async throws {
        try await flush()
        try await configure("appendfsync", "everysec")
        try await configure("appendonly", "yes")
        while try await info("persistence", "aof_rewrite_in_progress") + info("persistence", "aof_rewrite_scheduled")
            > 0
        {
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    func configure(_ name: String, _ value: String) async throws {
        try await integer("CONFIG", "SET", name, value)
    }
}
