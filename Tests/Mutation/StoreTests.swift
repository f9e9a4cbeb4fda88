import Foundation
import TestSupport

/// The tests at store level, run in a process of their own until the first of them fails.
struct StoreTests: Sendable {
    enum Outcome: Sendable, Equatable {
        /// And by which test, as far as can be told.
        case noticed(String)
        case survived
        /// The tests did not come to an end, twice: it says nothing of the mutant.
        case broken(String)
    }

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// How long the tests may take at most, of a few suites at a time.
    var limit: Duration

    /// Runs those that are nearest to the file, then all others, in the order in which they are worth their time.
    func run(_ file: LuaFile, _ mutant: Mutant?) async throws -> Outcome {
        let near = Self.near[file.name] ?? []
        let folder = "/tmp/bg-mutate-\(UInt32.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let mutated = MutatedFile(before: file.text, after: mutant.map { file.text(with: $0) } ?? file.text)
        try JSONEncoder().encode(mutated).write(to: URL(fileURLWithPath: "\(folder)/mutant.json"))
        let rest = Self.conformance.filter { !near.contains($0) }
        for suites in [near, ["ModelComparison"], Self.damage.filter { !near.contains($0) }, rest] where !suites.isEmpty
        {
            var outcome = try await run(suites, in: folder)
            // A mutant may make them hang or trap, but so may a machine without time or memory.
            if case .broken = outcome { outcome = try await run(suites, in: folder) }
            guard outcome == .survived else { return outcome }
        }
        return .survived
    }

    private func run(_ suites: [String], in folder: String) async throws -> Outcome {
        let log = "\(folder)/log"
        try? FileManager.default.removeItem(atPath: log)
        var environment = ProcessInfo.processInfo.environment
        environment[MutatedFile.variable] = "\(folder)/mutant.json"
        environment[Files.variable] = folder
        let words = [
            "\(Program.folder)/background-jobsPackageTests.xctest", "--testing-library", "swift-testing",
            "--no-parallel", "--filter", "BackgroundJobsTests\\.(\(suites.joined(separator: "|")))/",
        ]
        let process = try ChildProcess(words, environment: environment.map { "\($0.key)=\($0.value)" }, log: log)
        defer { process.kill() }
        let end = ContinuousClock.now + limit
        while ContinuousClock.now < end {
            let exit = process.exit
            let text =
                (try? Data(contentsOf: URL(fileURLWithPath: log))).map { String(decoding: $0, as: UTF8.self) } ?? ""
            if let test = Self.failure(in: text) { return .noticed(test) }
            if let exit { return try Self.outcome(exit, text) }
            try await Task.sleep(for: .milliseconds(20))
        }
        return .broken("they took longer than \(limit)")
    }

    private static func failure(in log: String) -> String? {
        guard let range = log.range(of: " recorded an issue") else { return nil }
        let line = log[..<range.lowerBound].split(separator: "\n").last ?? ""
        return line.range(of: "Test ").map { String(line[$0.upperBound...]) } ?? String(line)
    }

    private static func outcome(_ exit: ChildProcess.Exit, _ log: String) throws -> Outcome {
        guard exit == .status(0) else { return .broken("they ended with \(exit)") }
        guard log.contains("Test run with"), !log.contains("Test run with 0 tests") else {
            throw Failure(description: "The tests were not run:\n\(log.suffix(2000))")
        }
        return .survived
    }

    // MARK: Which tests

    private static let conformance = [
        "AdoptConformance", "AwaitConformance", "BatchConformance", "ChainConformance", "ClaimConformance",
        "DamagedClaimConformance", "EndingConformance", "EnqueueConformance", "FinishConformance", "FiredConformance",
        "MovingConformance", "PeriodicConformance", "PlacementConformance", "QueueConformance", "ReapConformance",
        "RepeatedConformance", "RoomConformance", "SteeringConformance", "TiesConformance", "TrimConformance",
        "UniqueConformance",
    ]
    private static let damage = [
        "LookTests", "WrongTypesTests", "GarbageFieldsTests", "MaxMemoryTests", "EnqueueFaultsTests",
        "ArgumentBytesTests", "NamedKeysTests", "WaitingDamageTests", "TieDamageTests", "PeriodicDamageTests",
        "RightsTests", "SentencesTests", "DeadDamageTests",
    ]

    /// The suites that most likely notice what is wrong in a file: with them it goes faster.
    private static let near = [
        "adopt.lua": ["AdoptConformance"],
        "await.lua": ["AwaitConformance"],
        "cancel.lua": ["SteeringConformance"],
        "claiming.lua": [
            "ClaimConformance", "DamagedClaimConformance", "PlacementConformance", "RoomConformance", "SentencesTests",
        ],
        "clear.lua": ["QueueConformance", "NamedKeysTests", "WaitingDamageTests"],
        "declare.lua": ["PeriodicConformance"],
        "delete.lua": ["SteeringConformance", "TrimConformance"],
        "dequeue.lua": ["EnqueueConformance"],
        "due.lua": ["PeriodicConformance", "PeriodicDamageTests", "NamedKeysTests"],
        "endings.lua": ["EndingConformance", "ReapConformance", "FinishConformance"],
        "enqueue.lua": ["UniqueConformance", "EnqueueConformance", "NamedKeysTests"],
        "exchange.lua": ["FinishConformance", "EndingConformance", "SentencesTests"],
        "fallback.lua": ["PlacementConformance"],
        "fire.lua": ["PeriodicConformance", "RepeatedConformance", "PeriodicDamageTests", "NamedKeysTests"],
        "handing.lua": ["AdoptConformance", "ClaimConformance", "EndingConformance"],
        "look.lua": ["LookTests"],
        "move.lua": ["QueueConformance", "NamedKeysTests", "WaitingDamageTests"],
        "note.lua": ["AwaitConformance"],
        "pause.lua": ["QueueConformance"],
        "periodic.lua": ["PeriodicConformance", "FiredConformance", "PeriodicDamageTests"],
        "prelude.lua": ["FinishConformance", "MovingConformance", "DamagedClaimConformance"],
        "promote.lua": ["MovingConformance", "NamedKeysTests"],
        "reap.lua": ["ReapConformance"],
        "recover.lua": ["MovingConformance", "NamedKeysTests"],
        "removal.lua": ["TrimConformance", "TiesConformance", "DeadDamageTests"],
        "retry.lua": ["SteeringConformance", "WaitingDamageTests"],
        "rights.lua": ["RightsTests"],
        "steer.lua": ["PeriodicConformance", "FiredConformance", "NamedKeysTests"],
        "ties.lua": [
            "ChainConformance", "BatchConformance", "AwaitConformance", "TiesConformance", "TieDamageTests",
        ],
        "together.lua": ["ChainConformance", "BatchConformance", "RepeatedConformance", "NamedKeysTests"],
        "trim.lua": ["TrimConformance", "NamedKeysTests"],
        "waiting.lua": [
            "SteeringConformance", "EnqueueConformance", "QueueConformance", "PlacementConformance",
            "WaitingDamageTests", "NamedKeysTests",
        ],
    ]
}
