import BackgroundJobs
import Foundation
import TestSupport

extension Drill {
    static let full = Drill(
        "full",
        "A Redis whose memory, or whose disk, is full",
        rows: "S6, S7, E5",
        minutes: 0.6
    ) { run in
        try await fullMemory(run)
        #if os(Linux)
        try await fullDisk(run)
        #else
        run.notice("the full disk: it takes prlimit(2), which this system has not")
        #endif
    }

    private static func fullMemory(_ run: DrillRun) async throws {
        let part = "memory"
        let stage = try await Stage(["--maxmemory-policy noeviction"], deadAfter: run.deadAfter)
        let watcher = try await stage.watcher()
        let pad = #"{"pad":"\#(String(repeating: "x", count: 200))"}"#
        var jobs = try await stage.enqueue("Instant", pad, count: run.count(20_000))
        jobs.append(try await stage.manager.enqueue("Instant", in: .seconds(1)).id)
        try await stage.records("CONFIG", "SET", "maxmemory", "1mb")
        let tries = (0..<run.count(1000)).map { "refused-\($0)" }
        let refused = try await refusals(stage, tries, "memory")
        run.none("enqueues that were not refused", Set(tries).subtracting(refused), part: part)
        run.figure("enqueues refused", refused.count, atLeast: 1, part: part)
        run.none("refused, and yet there", try await stage.known(refused), part: part)

        let worker = try await stage.worker()
        try await stage.drained()
        try await run.witness(stage, acknowledged: jobs, part: part)
        let isFull = try await stage.manager.enqueue("Instant", orNilIfRefusedFor: "memory") == nil
        run.figure("full to the end", isFull ? 1 : 0, atLeast: 1, part: part)
        try await stage.records("CONFIG", "SET", "maxmemory", "0")
        try await stage.ended(try await stage.enqueue("Instant"))
        run.figure("programs alive", [watcher, worker].count(where: \.isRunning), atLeast: 2, part: part)
    }

    /// Tries to enqueue jobs, one by one; returns those that were refused for this reason.
    private static func refusals(_ stage: Stage, _ ids: [String], _ reason: String) async throws -> [String] {
        var refused: [String] = []
        for id in ids where try await stage.manager.enqueue("Instant", id: id, orNilIfRefusedFor: reason) == nil {
            refused.append(id)
        }
        return refused
    }

    #if os(Linux)
    /// The disk takes no more than it holds: a limit on the size of Redis's files, which needs no rights of an operator as mounting
    /// a small disk would. Redis treats the failing write of its append-only file the same.
    private static func fullDisk(_ run: DrillRun) async throws {
        let part = "disk"
        let options = ["--appendonly yes", "--auto-aof-rewrite-percentage 0"]
        let stage = try await Stage(options, deadAfter: run.deadAfter)
        let watcher = try await stage.watcher()
        let crew = try await Crew(stage, 2, "--fibers", "5")
        let feed = Feed(stage, backlog: 60) { .sleeping(run.random(in: 0...500)) }
        var (refused, tries, taken) = ([String](), [String](), [String]())
        for round in 0..<run.count(4) {
            try await Task.sleep(for: .seconds(1))
            try limitFiles(of: stage.server, to: try size(of: stage.server))
            try await eventually("the disk is full") {
                let id = "taken-\(round)-\(taken.count)"
                guard try await refusals(stage, [id], "MISCONF").isEmpty else { return true }
                taken.append(id)
                return false
            }
            let ids = (0..<50).map { "refused-\(round)-\($0)" }
            tries += ids
            refused += try await refusals(stage, ids, "MISCONF")
            try await Task.sleep(for: .seconds(2))
            try limitFiles(of: stage.server, to: .max)
        }
        let jobs = try await feed.stop() + taken
        try await stage.drained()
        run.none("enqueues that were not refused", Set(tries).subtracting(refused), part: part)
        run.figure("enqueues refused", refused.count, atLeast: 50, part: part)
        run.none("refused, and yet there", try await stage.known(refused), part: part)
        try await run.witness(stage, acknowledged: jobs, part: part)
        run.noneUnlessStalled("attempts beside jobs", stage.ledger.started - jobs.count, part: part)
        run.figure("programs alive", crew.running + (watcher.isRunning ? 1 : 0), atLeast: 3, part: part)
    }

    /// The size of the largest file of a server's append-only files.
    private static func size(of server: RedisServer) throws -> UInt {
        let folder = server.directory + "/appendonlydir"
        return try FileManager.default.contentsOfDirectory(atPath: folder).map {
            try FileManager.default.attributesOfItem(atPath: "\(folder)/\($0)")[.size] as? UInt ?? 0
        }.max() ?? 0
    }

    /// prlimit(2), which the headers only show to GNU sources.
    private static let prlimit: Limiting? = {
        // RTLD_DEFAULT is the null pointer here.
        dlsym(nil, "prlimit").map { unsafeBitCast($0, to: Limiting.self) }
    }()
    private typealias Limiting = @convention(c) (Int32, Int32, UnsafePointer<rlimit>, OpaquePointer?) -> Int32

    private static func limitFiles(of server: RedisServer, to size: UInt) throws {
        var limit = rlimit(rlim_cur: size, rlim_max: .max)
        guard prlimit?(server.pid, Int32(RLIMIT_FSIZE.rawValue), &limit, nil) == 0 else {
            throw TookTooLong(description: "the files of Redis can't be limited: errno \(errno)")
        }
    }
    #endif
}

extension Manager {
    /// - Returns: the ID; nil if Redis refused the job with these words.
    fileprivate func enqueue(_ name: String, id: String? = nil, orNilIfRefusedFor reason: String) async throws
        -> String?
    {
        do {
            return try await enqueue(name, id: id).id
        } catch let error as BackgroundError where error.code == .refused && error.message.contains(reason) {
            return nil
        }
    }
}
