import Foundation
import TestSupport

/// The workers of a drill, and what was done to them.
struct Crew {
    let stage: Stage
    private let arguments: [String]
    private let limits: [String]
    private(set) var workers: [Program] = []
    /// When each that was killed, or died of what it ran, was seen to be gone.
    private(set) var deaths: [Int32: Int64] = [:]

    init(_ stage: Stage, _ count: Int, _ arguments: String..., limits: [String] = []) async throws {
        self.stage = stage
        self.arguments = arguments + ["--log-level", "info"]
        self.limits = limits
        for _ in 0..<count { try await hire() }
        for worker in workers { try await worker.logged("Working on") }
    }

    mutating func hire() async throws {
        workers.append(try await stage.worker(arguments, limits: limits, waits: false))
    }

    /// Kills a worker, and starts another in its place.
    mutating func kill(_ index: Int) async throws {
        let victim = workers.remove(at: index)
        victim.kill()
        deaths[victim.pid] = Ledger.now
        try await hire()
    }

    /// Takes a worker out, which somebody else is to end.
    mutating func release(_ index: Int) -> Program { workers.remove(at: index) }

    /// Starts another worker in the place of each that has ended by itself.
    mutating func replaceFallen() async throws {
        for index in workers.indices.reversed() where !workers[index].isRunning { try await kill(index) }
    }

    var pids: Set<Int32> { Set(workers.map(\.pid)) }

    /// How many of them run.
    var running: Int { workers.count(where: \.isRunning) }
}
