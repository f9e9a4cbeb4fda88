import ArgumentParser
import BackgroundJobs
import Foundation
import TestSupport

@main
struct DrillCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drill",
        abstract:
            "Breaks things on purpose, on a Redis, workers and watchers of its own, and checks that nothing is lost.",
        discussion: "Drills:\n" + Drill.all.map { "  \($0.name.padded(to: 10)) \($0.faults)" }.joined(separator: "\n")
    )

    @Argument(help: "Which drills; all, if none is named.")
    var names: [String] = []

    @Option(help: "Minutes that each drill goes on for, instead of its own time.")
    var minutes: Double?

    @Option(help: "What decides all that is left to chance.")
    var seed: UInt64?

    @Flag(help: "A short form of each, for every build.")
    var short = false

    @Option(name: .customLong("json"), help: ArgumentHelp("Where all figures are written.", valueName: "file"))
    var output: String = "drill-report.json"

    func validate() throws {
        for name in names where !Drill.all.contains(where: { $0.name == name }) {
            let known = Drill.all.map(\.name).joined(separator: ", ")
            throw ValidationError("There is no drill “\(name)”. There are: \(known).")
        }
        if let minutes, !(minutes > 0 && minutes <= 10_000) {
            throw ValidationError("--minutes takes a number above 0, of at most 10000.")
        }
        if short, minutes != nil { throw ValidationError("Either --short or --minutes.") }
    }

    func run() async throws {
        if try await FuzzBatch.serveIfAsked() { return }
        let seed = seed ?? UInt64.random(in: 1...999_999)
        var results: [DrillResult] = []
        for drill in Drill.all where names.isEmpty || names.contains(drill.name) {
            let result = await run(drill, seed: seed)
            print(result.text)
            fflush(nil)
            results.append(result)
        }
        let report = try await DrillReport(seed: seed, results: results)
        try report.json().write(to: URL(fileURLWithPath: output))
        let failed = results.filter { !$0.holds }
        print("\(results.count - failed.count) of \(results.count) drills hold; seed \(seed); figures in \(output)")
        if !failed.isEmpty {
            print("Again: ./cli/drill \(failed.map(\.drill).joined(separator: " ")) --seed \(seed)" + again)
            throw ExitCode.failure
        }
    }

    private var again: String { short ? " --short" : minutes.map { " --minutes \($0)" } ?? "" }

    private func run(_ drill: Drill, seed: UInt64) async -> DrillResult {
        let share = short ? min(1, 0.13 / drill.minutes) : (minutes ?? drill.minutes) / drill.minutes
        let run = DrillRun(share: share, seed: seed)
        let folder = "/tmp/bg-drill-\(drill.name)-\(getpid())"
        let begin = ContinuousClock.now
        run.standstill.begin()
        var failure: String?
        do {
            try Files.collect(in: folder)
            Files.keep()
            let limit = short ? 400 : 120 + 240 * drill.minutes * share
            try await Self.body(of: drill, run, within: .seconds(limit), folder: folder)
        } catch {
            failure = String(describing: error)
        }
        run.standstill.end()
        run.figure("the machine stood still, at most", run.standstill.longest / .seconds(1), "s")
        let result = DrillResult(
            drill,
            run,
            seconds: begin.duration(to: .now) / .seconds(1),
            failure: failure,
            folder: folder
        )
        if result.holds { try? FileManager.default.removeItem(atPath: folder) }
        return result
    }

    /// A drill that hangs ends with an error. Should it not even be possible to cancel it, the process ends, and all that it has
    /// started with it.
    private static func body(
        of drill: Drill,
        _ run: DrillRun,
        within limit: Duration,
        folder: String
    ) async throws {
        let emergency = Task.detached {
            try await Task.sleep(for: limit + .seconds(180))
            print("\(drill.name) hangs; seed \(run.seed); all that its processes wrote: \(folder)")
            fflush(nil)
            _exit(70)
        }
        defer { emergency.cancel() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await drill.body(run) }
            group.addTask {
                try await Task.sleep(for: limit)
                throw TookTooLong(description: "not within \(limit): the drill")
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}

extension String {
    func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
