import Foundation
import TestSupport

/// The workers of a drill, and what was done to them.
struct Crew {
    let stage: Stage
    private let arguments: [String]
    private let limits: [String]
    private(set) var workers: [Program] = []
    /// When each was killed, and when each that died of what it ran was last seen alive.
    private(set) var deaths: [Int32: Int64] = [:]
    private var lastSeen: [Int32: Int64] = [:]

    init(_ stage: Stage, _ count: Int, _ arguments: String..., limits: [String] = []) async throws {
        self.stage = stage
        self.arguments = arguments + ["--log-level", "info"]
        self.limits = limits
        for _ in 0..<count { try await hire() }
        for worker in workers { try await worker.logged("Working on") }
    }

    mutating func hire() async throws {
        // A Swift program that crashes stands still while it writes a backtrace, for many seconds in a debug build. What is to be
        // seen here is what comes after.
        let environment = ["SWIFT_BACKTRACE": "enable=no"]
        workers.append(try await stage.worker(arguments, environment: environment, limits: limits, waits: false))
    }

    /// Kills a worker, and starts another in its place.
    mutating func kill(_ index: Int) async throws {
        let victim = workers.remove(at: index)
        deaths[victim.pid] = Ledger.now
        victim.kill()
        try await hire()
    }

    /// Takes a worker out, which somebody else is to end.
    mutating func release(_ index: Int) -> Program { workers.remove(at: index) }

    /// Starts another worker in the place of each that has ended by itself. To be called every few milliseconds.
    mutating func replaceFallen() async throws {
        for index in workers.indices.reversed() {
            let (worker, now) = (workers[index], Ledger.now)
            if worker.isRunning {
                lastSeen[worker.pid] = now
            } else {
                deaths[worker.pid] = lastSeen[worker.pid] ?? now
                workers.remove(at: index)
                try await hire()
            }
        }
    }

    var pids: Set<Int32> { Set(workers.map(\.pid)) }

    /// The indexes of those that have begun to work.
    var working: [Int] { workers.indices.filter { workers[$0].count(of: "Working on") > 0 } }

    /// How many of them run.
    var running: Int { workers.count(where: \.isRunning) }
}
