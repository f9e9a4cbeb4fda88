import BackgroundJobs
import TestSupport

extension Drill {
    static let cut = Drill(
        "cut",
        "connections reset every second; half open; replies lost or late; commands held back over a reconnect; 200 ms latency",
        rows: "N1 N2 N3 N4 N5 N13 W15 W16 W17 W20 W21 E2 C1 C4",
        minutes: 1.5
    ) { run in
        // Each on a Redis of its own; they wait more than they work, so they go on side by side.
        try await withThrowingTaskGroup(of: Void.self) { group in
            for fault in Disturbance.all { group.addTask { try await fault.happen(run) } }
            group.addTask {
                var halfOpen = try await HalfOpen(run)
                try await halfOpen.happen(run)
            }
            try await group.waitForAll()
        }
    }
}

/// Something that is done to the network of a worker all the time, while jobs run, and that nobody is to notice: no job is
/// lost, reaped or run twice.
private struct Disturbance: Sendable {
    let name: String
    /// How long the jobs take, in turn.
    let milliseconds: [Int]
    /// So many jobs at most that have not ended. More than there are fibers: some are claimed while it goes on.
    var backlog = 20
    /// What shows that it has happened, and how often at least.
    var hits: (name: String, least: Int, count: @Sendable (FaultProxy, _ worker: Program) -> Int)?
    /// Of the worker.
    var options: [String] = []
    /// What is set up before, and who enqueues the jobs.
    var prepare: @Sendable (Stage, FaultProxy, DrillRun) async throws -> Manager = { stage, _, _ in stage.manager }
    /// One time of it.
    let disturb: @Sendable (FaultProxy) async throws -> Void

    static let all = [resets, lostReplies, lateReplies, heldCommands, slowness, pauses]

    /// Rows N1, N13.
    private static let resets = Disturbance(name: "resets", milliseconds: [3000]) { proxy in
        try await Task.sleep(for: .seconds(1))
        proxy.cut("bg-worker")
    }

    /// Rows W15, W16, W20, N4, E2, C1: each fifth reply to a claim or a finish, and to an enqueue, with its connection.
    private static let lostReplies = Disturbance(
        name: "replies lost",
        milliseconds: [20],
        hits: ("replies", 10, { proxy, _ in proxy.losses })
    ) { stage, proxy, _ in
        let exchange = try await stage.records("SCRIPT", "LOAD", Scripts().exchange.source).text ?? ""
        let (exchanges, enqueues) = (Counter(), Counter())
        proxy.rule { passing in
            switch passing.command.first {
            case "EXEC": enqueues.next().isMultiple(of: 5) ? .lose : .pass
            case "EVALSHA" where passing.command[1] == exchange: exchanges.next().isMultiple(of: 5) ? .lose : .pass
            default: .pass
            }
        }
        return try Manager(
            redis: RedisOptions(url: proxy.url, connectTimeout: .seconds(10)),
            logger: LocalSystem.quiet
        )
    } disturb: { _ in
        try await Task.sleep(for: .milliseconds(50))
    }

    /// Row C4: each twentieth reply to a claim or a finish comes when the worker has given up waiting for it.
    private static let lateReplies = Disturbance(
        name: "replies late",
        milliseconds: [20],
        hits: ("connections given up", 2, { $1.count(of: "left a command unanswered") }),
        options: ["--dead-after", "2"]
    ) { stage, proxy, _ in
        let exchange = try await stage.records("SCRIPT", "LOAD", Scripts().exchange.source).text ?? ""
        let exchanges = Counter()
        proxy.rule { passing in
            guard passing.command.first == "EVALSHA", passing.command[1] == exchange else { return .pass }
            return exchanges.next().isMultiple(of: 20) ? .delay(.seconds(3)) : .pass
        }
        return stage.manager
    } disturb: { _ in
        try await Task.sleep(for: .milliseconds(50))
    }

    /// Row W21: what was sent on a connection arrives after the worker has adopted its attempts on the next one. There are always
    /// jobs that a late claim can take, and some that run since before it and for longer than the watcher's grace after it.
    private static let heldCommands = Disturbance(
        name: "commands held back",
        milliseconds: Array(repeating: 50, count: 49) + [2500],
        backlog: 100
    ) { proxy in
        proxy.hold("bg-worker:")
        try await Task.sleep(for: .milliseconds(300))
        proxy.cut("bg-worker:")
        try await Task.sleep(for: .milliseconds(400))
        proxy.release()
        try await Task.sleep(for: .milliseconds(100))
    }

    /// Row N5: 100 ms each way, half as much more or less, and 256 kB a second.
    private static let slowness = Disturbance(name: "200 ms latency", milliseconds: [100]) { _, proxy, _ in
        proxy.delay(.milliseconds(100))
        proxy.throttle(bytesPerSecond: 256 * 1024)
        return try Manager(
            redis: RedisOptions(url: proxy.url, connectTimeout: .seconds(10)),
            logger: LocalSystem.quiet
        )
    } disturb: { proxy in
        for milliseconds in [50, 100, 150] {
            proxy.delay(.milliseconds(milliseconds))
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    /// Row N3, below `--dead-after`: nothing arrives for half of it.
    private static let pauses = Disturbance(name: "pauses", milliseconds: [300]) { proxy in
        proxy.hold("bg-worker")
        try await Task.sleep(for: .seconds(1))
        proxy.release()
        try await Task.sleep(for: .milliseconds(500))
    }

    func happen(_ run: DrillRun) async throws {
        let stage = try await Stage(deadAfter: run.deadAfter)
        let proxy = try await FaultProxy.start(before: stage.server.port)
        let manager = try await prepare(stage, proxy, run)
        let watcher = try await stage.watcher(run.patience)
        let worker = try await stage.worker(["--connect-timeout", "10"] + options, url: proxy.url)
        func hit() -> Int { hits?.count(proxy, worker) ?? 0 }
        let end = ContinuousClock.now + run.time(60, atLeast: 5)
        var jobs: [String] = []
        var times = 0
        while ContinuousClock.now < end || times < 2 || hit() < hits?.least ?? 0 {
            for _ in 0..<backlog where jobs.count - stage.ledger.ended < backlog {
                let arguments = #"{"ms":\#(milliseconds[jobs.count % milliseconds.count])}"#
                jobs.append(try await manager.enqueue("Sleeping", arguments: arguments).id)
            }
            try await disturb(proxy)
            times += 1
        }
        try await stage.ended(jobs)
        try await stage.drained()
        await manager.close()
        run.figure("times", times, atLeast: 2, part: name)
        if let hits { run.figure(hits.name, hit(), atLeast: hits.least, part: name) }
        try await run.witness(stage, acknowledged: jobs, part: name)
        run.noneUnlessStalled("begun twice", stage.ledger.started - jobs.count, part: name)
        run.noneUnlessStalled("reaped", watcher.count(of: "Ended an attempt"), part: name)
        run.noneUnlessStalled("results refused", worker.count(of: "refused"), part: name)
        run.figure("processes alive", [watcher, worker].count { $0.isRunning }, atLeast: 2, part: name)
    }
}

/// Rows N2, N3: a worker is cut off from all for longer than `--dead-after`, and nobody is told. Its jobs run elsewhere, and
/// what it has made of them itself is refused.
private struct HalfOpen {
    private let deadAfter: Int
    private let stage: Stage
    private let proxy: FaultProxy
    private let watcher: Program
    private let lonely: Program
    private var jobs: [String] = []
    /// Those that it ran when it was cut off, and after how long the others began them.
    private var taken: [String] = []
    private var recoveries: [Double] = []
    private var excuses = Excuses()

    init(_ run: DrillRun) async throws {
        // So that a short run cuts off none of the others.
        let deadAfter = run.isFull ? 2 : 4
        (self.deadAfter, stage) = (deadAfter, try await Stage(deadAfter: deadAfter))
        proxy = try await FaultProxy.start(before: stage.server.port)
        watcher = try await stage.watcher()
        lonely = try await stage.worker("--connect-timeout", "0.5", url: proxy.url)
    }

    mutating func happen(_ run: DrillRun) async throws {
        for _ in 0..<run.count(8) { try await once() }
        // It goes on by itself.
        let last = try await stage.enqueue("Instant")
        try await stage.ended(last)
        try await stage.drained()
        var stale = 0
        for job in taken {
            let attempts = try await stage.records.attempts(of: job)
            stale += attempts.count { $0["err"] == nil && ($0["nod"] ?? "").contains("-\(lonely.pid)-") }
        }
        let part = "half open"
        run.figure("jobs run elsewhere", recoveries.count, atLeast: 5, part: part)
        // The other one begins to work, and silence is counted in whole seconds.
        let bound = run.isFull ? Double(deadAfter) + 0.1 + 2 : nil
        run.figure("the last one after", recoveries.max() ?? 0, "s", atMost: bound, part: part)
        run.figure("stale results accepted", stale, atMost: 0, part: part)
        run.figure("cut off", watcher.count(of: "Cut off a worker"), atLeast: 1, part: part)
        try await run.witness(stage, acknowledged: jobs + last, part: part, excuses: excuses)
        run.figure("processes alive", [watcher, lonely].count { $0.isRunning }, atLeast: 2, part: part)
    }

    private mutating func once() async throws {
        // Some end while it is alone, some after.
        let new =
            try await stage.enqueue("Sleeping", #"{"ms":1500}"#, count: 5)
            + stage.enqueue("Sleeping", #"{"ms":6000}"#, count: 5)
        jobs += new
        try await eventually("they run") { stage.ledger.started(of: new).count == 10 }
        let cut = Ledger.now
        proxy.isolate()
        let ended = Set(stage.ledger.entries.filter { $0.event == .end }.map(\.job))
        let left = new.filter { !ended.contains($0) }
        taken += left
        let other = try await stage.worker()
        try await eventually("they run elsewhere") {
            stage.ledger.started(of: left, by: other.pid).count == left.count
        }
        recoveries += stage.ledger.started(of: left, by: other.pid).map { Double($0 - cut) / 1e9 }
        proxy.restore()
        excuses.add(zombie: lonely.pid, since: cut)
        try await stage.drained()
        other.signal(15)
        _ = try await other.exit()
    }
}

extension Ledger {
    /// When attempts of these jobs have begun.
    fileprivate func started(of jobs: [String], by pid: Int32? = nil) -> [Int64] {
        let jobs = Set(jobs)
        return entries.filter { $0.event == .start && jobs.contains($0.job) && (pid == nil || $0.pid == pid) }.map(
            \.time
        )
    }
}
