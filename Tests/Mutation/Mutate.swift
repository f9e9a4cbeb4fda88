import ArgumentParser
import BackgroundJobs
import BackgroundRedis
import Foundation
import TestSupport

/// `./cli/mutate`: whether the tests notice a script that is wrong.
@main
struct Mutate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mutate",
        abstract:
            "Makes the Lua scripts wrong, a line at a time, and tells what the tests at store level don't notice.",
        discussion: """
            Each line is left out once, and altered once: a condition turned round, another operator, constant, command or \
            name. What does not compile is counted as invalid, and another alteration is tried. Tests/Mutation/equivalent.txt \
            names mutants that behave as the scripts do. Exit status 1 if less than 95 % of the others are noticed; those with \
            which the tests came to no end, twice, are told, and count for neither.
            """
    )

    @Argument(help: ArgumentHelp("Only these files, such as reap.lua.", valueName: "file"))
    var files: [String] = []

    @Option(help: "Only so many mutants, taken at random.")
    var sample: Int?

    @Option(help: "Decides which alterations are made, and which are in the sample.")
    var seed: UInt64 = 1

    @Flag(help: "Says which mutants there are, and runs nothing.")
    var list = false

    @Option(help: "How many are tried at the same time.")
    var jobs = 2

    @Option(help: "Seconds that a few suites of the tests may take; after that they are tried once more.")
    var limit = 180

    @Option(help: "After so many minutes no more are begun.")
    var minutes: Double?

    @Option(help: "A file that keeps what was found: what stands in it is not tried again.")
    var record: String?

    func validate() throws {
        guard jobs > 0 else { throw ValidationError("--jobs takes a number from 1.") }
        guard limit > 0 else { throw ValidationError("--limit takes a number of seconds from 1.") }
        guard minutes ?? 1 > 0 else { throw ValidationError("--minutes takes a number above 0.") }
        guard sample ?? 1 > 0 else { throw ValidationError("--sample takes a number from 1.") }
        for file in files where !FileManager.default.fileExists(atPath: "\(LuaFile.folder)/\(file)") {
            throw ValidationError("There is no file \(LuaFile.folder)/\(file).")
        }
    }

    func run() async throws {
        var chosen = try files.isEmpty ? LuaFile.all() : files.map { try LuaFile($0) }
        chosen.sort { $0.name < $1.name }
        var found = try await mutants(of: chosen)
        var random = SplitMix64(seed: seed)
        if let sample {
            let picked = Set(found.flatMap(\.mutants).shuffled(using: &random).prefix(sample))
            for index in found.indices { found[index].mutants.removeAll { !picked.contains($0) } }
        }
        if list {
            for mutant in found.flatMap(\.mutants) { print(mutant.description) }
            return
        }
        let equivalents = try Equivalents()
        var record = try Record(record)
        let files = Dictionary(uniqueKeysWithValues: chosen.map { ($0.name, $0) })
        let open = found.flatMap(\.mutants).filter { record.lines[$0] == nil && !equivalents.contains($0) }
        try await run(open, files, &record)
        let summary = Summary(found, record, equivalents)
        print(summary.text)
        if summary.share < 95 { throw ExitCode(1) }
    }

    /// Of each file its mutants that compile, and how many did not.
    private func mutants(of files: [LuaFile]) async throws -> [(name: String, mutants: [Mutant], invalid: Int)] {
        let server = try await RedisServer.start(tcp: false)
        var found: [(name: String, mutants: [Mutant], invalid: Int)] = []
        try await withRedisStore(server) { redis in
            for file in files {
                let scripts = Scripts()
                guard let path = Scripts.all.first(where: { scripts[keyPath: $0].source.contains(file.text) }) else {
                    throw StoreTests.Failure(description: "\(file.name) is in no script: build again.")
                }
                let source = scripts[keyPath: path].source
                let (mutants, invalid) = try await file.mutants(seed: seed) { text in
                    let script = source.replacingOccurrences(of: file.text, with: text)
                    var pipeline = Pipeline()
                    pipeline.command("SCRIPT", "LOAD", script)
                    let reply = try await redis.send(pipeline)[0]
                    if case .error = reply { return false }
                    return true
                }
                found.append((file.name, mutants, invalid))
            }
        }
        await server.stop()
        return found
    }

    private func run(_ open: [Mutant], _ files: [String: LuaFile], _ record: inout Record) async throws {
        let tests = StoreTests(limit: .seconds(limit))
        if record.lines.isEmpty, let file = files.values.first {
            let outcome = try await tests.run(file, nil)
            guard outcome == .survived else {
                throw StoreTests.Failure(description: "The tests do not pass without a mutant: \(outcome)")
            }
        }
        let end = minutes.map { ContinuousClock.now + .seconds($0 * 60) }
        try await withThrowingTaskGroup(of: (Mutant, StoreTests.Outcome).self) { group in
            var waiting = open[...]
            func begin() {
                guard end.map({ ContinuousClock.now < $0 }) ?? true, let mutant = waiting.popFirst(),
                    let file = files[mutant.file]
                else { return }
                group.addTask { (mutant, try await tests.run(file, mutant)) }
            }
            for _ in 0..<jobs { begin() }
            while let (mutant, outcome) = try await group.next() {
                try record.add(mutant, outcome)
                switch outcome {
                case .noticed(let test): print("noticed   \(mutant.description)  by \(test)")
                case .survived: print("SURVIVED  \(mutant.description)")
                case .broken(let reason): print("broken    \(mutant.description)  as \(reason)")
                }
                begin()
            }
        }
    }
}
