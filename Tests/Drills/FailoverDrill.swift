import BackgroundJobs
import BackgroundRedis
import Foundation
import TestSupport

extension Drill {
    static let failover = Drill(
        "failover",
        "A replica that lags is promoted; the old master is dead, or goes on for a while, and comes back",
        rows: "R8, N8, S9, S10, S11",
        minutes: 0.75
    ) { run in
        // They sync at once, not after five seconds.
        let options = ["--repl-diskless-sync-delay 0"]
        var master = try await RedisServer.start(options: options)
        var replica = try await RedisServer.start(options: options)
        let address = try Address(master)
        let stage = try Stage(on: master, url: address.url)
        let watcher = try await stage.watcher("--grace", "3", "--keep-completed", "all")
        let crew = try await Crew(stage, 3, "--fibers", "5")
        let feed = Feed(stage, backlog: .max, pause: .milliseconds(5)) { .sleeping(run.random(in: 0...300)) }
        let finish = ContinuousClock.now + run.time(40)
        var gaps: [ClosedRange<Int64>] = []
        var forgotten = 0
        repeat {
            try await replica.follow(master)
            try await Task.sleep(for: .milliseconds(run.random(in: 500...1500)))
            let begin = try await replica.inStep(with: master)
            let time = Duration.milliseconds(run.random(in: 300...800))
            let dies = gaps.count.isMultiple(of: 2)
            let end = try await (dies ? die : linger)(master, replica, address, time)
            gaps.append(begin...end)
            (master, replica) = (replica, master)
            let now = try Stage(on: master, ledger: stage.ledger)
            forgotten += try await now.unknown(feed.enqueued.filter { $0.value.overlaps(begin...end) }.map(\.key))
        } while ContinuousClock.now < finish || forgotten == 0 || gaps.count < run.count(6)
        let jobs = try await feed.stop()
        let last = try Stage(on: master, ledger: stage.ledger)
        try await last.drained()

        run.figure("failovers", gaps.count, atLeast: run.count(6))
        let lost = LedgerChecker(stage.ledger).report(acknowledged: jobs).lost
        let enqueued = feed.enqueued
        let unreplicated = lost.filter { job in gaps.contains { enqueued[job]?.overlaps($0) ?? false } }
        run.figure("lost, not replicated", unreplicated.count, atLeast: 1)
        run.none("lost, though replicated", lost.subtracting(unreplicated))
        try await run.witness(last, acknowledged: jobs, forgets: true)
        run.figure("programs alive", crew.running + (watcher.isRunning ? 1 : 0), atLeast: 4)
    }
}

/// The master dies, and the replica lacks what came last.
///
/// - Returns: when the last job was acknowledged that the new master does not know.
private func die(
    _ master: RedisServer,
    _ replica: RedisServer,
    _ address: Address,
    _ time: Duration
) async throws -> Int64 {
    replica.pause()
    try await Task.sleep(for: time)
    master.kill()
    let end = Ledger.now
    replica.resume()
    _ = try await replica.command("REPLICAOF", "NO", "ONE")
    try address.lead(to: replica)
    try await master.restart()
    return end
}

/// Two masters, until the old one hears that it is none: all are still connected to it.
///
/// - Returns: when the last job was acknowledged that the new master does not know.
private func linger(
    _ master: RedisServer,
    _ replica: RedisServer,
    _ address: Address,
    _ time: Duration
) async throws -> Int64 {
    _ = try await replica.command("REPLICAOF", "NO", "ONE")
    try address.lead(to: replica)
    try await Task.sleep(for: time)
    _ = try await master.command("REPLICAOF", "127.0.0.1", "\(replica.port)")
    return Ledger.now
}

/// A path that leads to the socket of one Redis or another, as a host name or a floating address does.
private final class Address: Sendable {
    private let path = Files.path("master") + ".sock"
    var url: String { "unix://\(path)" }

    init(_ server: RedisServer) throws { try lead(to: server) }

    func lead(to server: RedisServer) throws {
        let next = path + ".next"
        guard symlink(server.socketPath, next) == 0, rename(next, path) == 0 else {
            throw TookTooLong(description: "\(path) can't be made to lead to \(server.socketPath): errno \(errno)")
        }
    }
}

extension Stage {
    /// How many of these jobs it does not know, and no worker has begun.
    fileprivate func unknown(_ jobs: [String]) async throws -> Int {
        let known = Set(try await known(jobs))
        let begun = Set(ledger.entries.map(\.job))
        return jobs.count { !known.contains($0) && !begun.contains($0) }
    }
}

extension RedisServer {
    /// Makes it a replica, and waits until it has all that the master has.
    fileprivate func follow(_ master: RedisServer) async throws {
        _ = try await command("REPLICAOF", "127.0.0.1", "\(master.port)")
        try await eventually("the replica has what the master had") {
            try await replication("master_link_status") == "up"
        }
    }

    /// Waits until it has all that its master has now.
    ///
    /// - Returns: a time; what was acknowledged before is here.
    fileprivate func inStep(with master: RedisServer) async throws -> Int64 {
        let time = Ledger.now
        let offset = Int(try await master.replication("master_repl_offset")) ?? .max
        try await eventually("the replica is in step") {
            (Int(try await replication("slave_repl_offset")) ?? -1) >= offset
        }
        return time
    }

    /// A field of its section “replication”: https://redis.io/docs/latest/commands/info/
    private func replication(_ field: String) async throws -> String {
        let lines = (try await command("INFO", "replication").text ?? "").split(whereSeparator: \.isNewline)
        return lines.first { $0.hasPrefix(field + ":") }.map { String($0.dropFirst(field.count + 1)) } ?? ""
    }
}
