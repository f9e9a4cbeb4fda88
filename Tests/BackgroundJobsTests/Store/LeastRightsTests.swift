import BackgroundJobs
import BackgroundRedis
import Foundation
import Logging
import Synchronization
import TestSupport
import Testing

/// The Redis users of docs/operations.md: with no more rights than these everything works, and with one less a program says
/// at the start which.
@Suite("The Redis users of docs/operations.md", .timeLimit(.minutes(20)))
struct LeastRightsTests {
    // MARK: Enough

    @Test("are allowed all that producer, worker, watcher, viewer and operator do")
    func enough() async throws {
        let system = try await System.start()
        let (watcher, worker) = (try system.watcher(), try system.worker())
        async let watching: Void = watcher.run()
        async let working: Void = worker.run()

        let manager = try Manager(redis: system.redis("bg-producer"), logger: quiet)
        let now = try await manager.enqueue("Nap", arguments: #"{"sleep":0}"#).id
        let later = try await manager.enqueue("Nap", arguments: #"{"sleep":0}"#, in: .milliseconds(100)).id
        let chosen = try await manager.enqueue("Nap", arguments: #"{"sleep":0}"#, id: "chosen").id
        try await manager.enqueue("Nap", arguments: #"{"sleep":0}"#, id: "chosen")
        let wrong = try await manager.enqueue("NoSuchClass", options: JobOptions(retries: 0)).id
        let placed = try await manager.enqueue(
            "Nap",
            arguments: #"{"sleep":0}"#,
            options: JobOptions(on: "nowhere", fallback: .after(.milliseconds(50)))
        ).id
        for job in [now, later, chosen, placed] {
            try await system.eventually("\(job) completes") {
                $0.hasCompleted
            } job: {
                job
            }
        }
        try await system.eventually("a job of an unknown class is dead") {
            $0.state == .dead
        } job: {
            wrong
        }

        try await managing(system)
        try await periodic(system)
        try await abandonedAttempts(system)
        try await handoff(system)
        try await adoption(system, manager)
        try await cancelling(system, manager)
        try await reading(system, job: now)
        try await dequeuing(system, manager)
        try await givingBack(system, manager, worker)
        try await system.eventually("completed attempts are trimmed") {
            try await system.server.command("ZCARD", "bg:completed:default").int ?? 99 <= 2
        }
        try await working
        watcher.stop()
        try await watching
        await manager.close()
        // Without a watcher, which would end the attempts of a worker that is none.
        try await system.operate()

        // Redis notes every refusal, those within scripts too.
        let refused = try await system.server.command("ACL", "LOG").array ?? []
        #expect(refused.isEmpty, "\(refused)")
        await system.server.stop()
    }

    /// All that a `Manager` offers: to a program, and to a job by `context.manager`.
    private func managing(_ system: System) async throws {
        try await withManager(redis: system.redis("bg-app")) { manager in
            try await Versatile.use(manager)
            try await manager.enqueue(Versatile()).value(within: .seconds(60))
        }
    }

    /// Declared by the worker, fired by the watcher, and ended by the job; and what is no longer declared is removed.
    private func periodic(_ system: System) async throws {
        try await system.eventually("the periodic job has ended") {
            try await system.viewer.periodicJob("often")?.end == "once is enough"
        }
        _ = try await system.server.command(
            "HSET",
            "bg:cron:former",
            "exp",
            "@daily",
            "cls",
            "Nap",
            "que",
            "default",
            "own",
            JobRegistry().program
        )
        _ = try await system.server.command("ZADD", "bg:crons", "+inf", "former")
        let options = try WorkerOptions(queues: .strict(["other-queue"]))
        let second = try Worker(options, redis: system.redis("bg-worker"), jobs: JobRegistry(), logger: quiet)
        try await second.withRunning {
            try await system.eventually("both are removed") { try await system.viewer.periodicJobs().isEmpty }
        }
        _ = try await system.server.command("SREM", "bg:queues", "other-queue")
    }

    /// reap: once to `ready`, once to `suspects`, once to `dead`, and an attempt without a hash.
    private func abandonedAttempts(_ system: System) async throws {
        for (job, crashes) in [("first", 0), ("second", 1), ("fourth", 3)] {
            let server = system.server
            _ = try await server.command(
                ["HSET", "bg:jobs:\(job)", "que", "default", "cls", "Nap", "arg", #"{"sleep":0}"#, "qat", "1"]
                    + ["att", "1", "las", "gone-\(job)"]
                    + (crashes > 0 ? ["crs", "\(crashes)", "crt", system.time] : [])
            )
            _ = try await server.command(
                "HSET",
                "bg:attempts:gone-\(job)",
                "sta",
                "1",
                "job",
                job,
                "que",
                "default",
                "num",
                "1",
                "wrk",
                "999999",
                "nod",
                "ghost-1-00000000"
            )
            _ = try await server.command("SADD", "bg:processing:default", "gone-\(job)")
        }
        _ = try await system.server.command("SADD", "bg:processing:default", "hashless")
        for job in ["first", "second"] {
            try await system.eventually("\(job) runs again") {
                $0.hasCompleted
            } job: {
                job
            }
        }
        try await system.eventually("the fourth crash is the end") {
            $0.state == .dead
        } job: {
            "fourth"
        }
        try await system.eventually("nothing stays in processing") {
            try await system.server.command("SCARD", "bg:processing:default").int == 0
        }
    }

    /// recover: nobody serves this queue, so only a watcher can see to it.
    private func handoff(_ system: System) async throws {
        _ = try await system.server.command("HSET", "bg:jobs:stray", "que", "other", "cls", "Nap", "qat", "1")
        _ = try await system.server.command("RPUSH", "bg:handoff:other", "stray")
        _ = try await system.server.command("SADD", "bg:queues", "other")
        try await system.eventually("a stray ID is ready again") {
            $0.state == .ready
        } job: {
            "stray"
        }
    }

    /// adopt: the worker's connection is ended while a job runs.
    private func adoption(_ system: System, _ manager: Manager) async throws {
        let job = try await manager.enqueue("Nap", arguments: #"{"sleep":0.5}"#).id
        try await system.eventually("the job runs") {
            $0.state == .running
        } job: {
            job
        }
        let attempt = try #require(try await system.viewer.job(job)).attempts[0]
        _ = try await system.server.command("CLIENT", "KILL", "ID", "\(try #require(attempt.workerClient))")
        try await system.eventually("it completes") {
            $0.hasCompleted
        } job: {
            job
        }
        let history = try #require(try await system.viewer.job(job))
        #expect(history.attempts.map(\.adoptions) == [1])
    }

    /// The worker is told, and looks by itself after its connections have broken.
    private func cancelling(_ system: System, _ manager: Manager) async throws {
        for isTold in [true, false] {
            let job = try await manager.enqueue("Nap", arguments: #"{"sleep":600}"#).id
            try await system.eventually("the job runs") {
                $0.state == .running
            } job: {
                job
            }
            if isTold {
                try await withManager(redis: RedisOptions(url: system.server.url, connectTimeout: .seconds(30))) {
                    _ = try await $0.cancel(job)
                }
            } else {
                _ = try await system.server.command("HSET", "bg:jobs:\(job)", "cnl", "1")
                let list = try await system.server.command("CLIENT", "LIST").text ?? ""
                for client in ClientList.parse(Array(list.utf8)) where client.name.hasPrefix("bg-worker-wait:") {
                    _ = try await system.server.command("CLIENT", "KILL", "ID", "\(client.id)")
                }
            }
            try await system.eventually("it is cancelled") {
                $0.state == .ended(how: "Cancelled")
            } job: {
                job
            }
        }
    }

    private func reading(_ system: System, job: String) async throws {
        let status = try await system.viewer.status()
        #expect(
            status.watchers == 1 && status.queues.map(\.name) == ["default", "other"] && status.queues[0].workers == 1
        )
        #expect(try await system.viewer.workers().count == 1)
        for list in JobList.allCases { _ = try await system.viewer.jobs(in: list, queue: "default") }
    }

    private func dequeuing(_ system: System, _ producer: Manager) async throws {
        try await withManager(redis: system.redis("bg-operator")) { manager in
            let waiting = try await manager.enqueue("Nap", in: .seconds(600)).id
            #expect(try await manager.dequeue(waiting))
            #expect(try await manager.dequeue("stray"))
        }
        let inspector = try Inspector(redis: system.redis("bg-operator"), logger: quiet)
        #expect(try await inspector.job("stray") == nil)
        await inspector.close()
    }

    /// finish as `Shutdown`.
    private func givingBack(_ system: System, _ manager: Manager, _ worker: Worker) async throws {
        let job = try await manager.enqueue("Nap", arguments: #"{"sleep":600}"#).id
        try await system.eventually("the job runs") {
            $0.state == .running
        } job: {
            job
        }
        worker.stop()
        try await system.eventually("it is given back") {
            $0.state == .ready
        } job: {
            job
        }
    }

    // MARK: Not more

    /// Not noticed: any reply to a heartbeat will do, a refusal too.
    private static let unnoticed: Set<String> = ["ping"]

    @Test("are told which right they lack, when the program starts", arguments: ["bg-worker", "bg-watcher"])
    func aRightIsMissing(user: String) async throws {
        let system = try await System.start()
        let rules = try #require(system.users[user])
        let rights = rules.filter { $0.hasPrefix("+") }.map { String($0.dropFirst()) }
        #expect(rights.count > 20)
        for right in rights where !Self.unnoticed.contains(right) {
            _ = try await system.server.command(["ACL", "SETUSER", user, "reset"] + rules.filter { $0 != "+\(right)" })
            let command = right.uppercased().replacing("|", with: " ")
            let error = await system.startError(user)
            #expect(error?.code == .notPermitted, "without \(right)")
            #expect(error?.message.uppercased().contains(command) == true, "\(right): \(error?.message ?? "it ran")")
        }
        // And with all of them it starts.
        _ = try await system.server.command(["ACL", "SETUSER", user, "reset"] + rules)
        #expect(await system.startError(user) == nil)
        await system.server.stop()
    }

    @Test("fail to enqueue, or to look, with one right less", arguments: ["bg-producer", "bg-viewer"])
    func aRightIsMissingLater(user: String) async throws {
        let system = try await System.start()
        _ = try await system.server.command(
            "HSET",
            "bg:jobs:j",
            "que",
            "q",
            "cls",
            "Nap",
            "arg",
            "{}",
            "qat",
            "1",
            "las",
            "a"
        )
        _ = try await system.server.command("HSET", "bg:attempts:a", "job", "j", "que", "q", "nod", "n", "wrk", "1")
        _ = try await system.server.command("RPUSH", "bg:ready:q", "j")
        _ = try await system.server.command("SADD", "bg:processing:q", "a")
        _ = try await system.server.command("SADD", "bg:queues", "q")
        let rules = try #require(system.users[user])
        // Asked for only after a broken connection, and where a push met a key of a wrong type.
        let rare: Set<String> = ["exists", "del"]
        for right in rules.filter({ $0.hasPrefix("+") }).map({ String($0.dropFirst()) }) + ["none"] {
            if Self.unnoticed.contains(right) || rare.contains(right) { continue }
            _ = try await system.server.command(["ACL", "SETUSER", user, "reset"] + rules.filter { $0 != "+\(right)" })
            let error = await system.useError(user)
            #expect((error == nil) == (right == "none"), "without \(right): \(error.map { "\($0)" } ?? "it worked")")
        }
        await system.server.stop()
    }

    @Test("are all needed", arguments: ["bg-operator", "bg-app"])
    func areAllNeeded(user: String) async throws {
        let system = try await System.start()
        let rules = try #require(system.users[user])
        for right in ["none"] + rules.filter({ $0.hasPrefix("+") }).map({ String($0.dropFirst()) }) {
            if Self.unnoticed.contains(right) { continue }
            _ = try await system.server.command("FLUSHALL")
            _ = try await system.server.command(
                ["ACL", "SETUSER", user, "reset"] + rules.filter { $0 != "+\(right)" }
            )
            _ = try await system.server.command("ACL", "LOG", "RESET")
            let failure: (any Error)?
            do {
                if user == "bg-app" { try await system.useApp() } else { try await system.operate() }
                failure = nil
            } catch {
                failure = error
            }
            // A script may go on without what it was refused, but Redis has noted it.
            let refused = try await system.server.command("ACL", "LOG").array ?? []
            #expect(
                (failure == nil && refused.isEmpty) == (right == "none"),
                "without \(right): \(refused) \(failure as Any)"
            )
        }
        await system.server.stop()
    }

    @Test(
        "can't be denied a kind of key without noticing",
        arguments: ["attempts", "processing", "failed", "stats", "queues", "cancel", "node", "cron"]
    )
    func aKeyIsMissing(kind: String) async throws {
        let system = try await System.start()
        let kinds = [
            "jobs", "ready", "scheduled", "attempts", "processing", "completed", "failed", "handoff", "suspects",
            "ended",
            "dead", "queues", "paused", "stats", "protocol", "cancel", "unique", "node", "cron", "batch", "awaited",
            "notes",
            "place", "wake",
        ]
        // What a watcher has nothing to do with it may be denied.
        for user in ["cancel", "node"].contains(kind) ? ["bg-worker"] : ["bg-worker", "bg-watcher"] {
            let patterns = kinds.filter { $0 != kind }.map { "~bg:\($0)*" }
            let rules = try #require(system.users[user]).filter { !$0.hasPrefix("~") } + patterns
            _ = try await system.server.command(["ACL", "SETUSER", user, "reset"] + rules)
            let error = await system.startError(user)
            #expect(error?.code == .notPermitted, "\(user) without \(kind): \(error?.message ?? "it ran")")
        }
        await system.server.stop()
    }
}

private let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

/// Ends the periodic job that fires it.
private struct Once: Job {
    func perform(_ context: JobContext) async throws { throw JobOutcome.endPeriodic("once is enough") }
}

/// Does with its manager all that can be done.
private struct Versatile: Job {
    static var options: JobOptions { JobOptions(retries: 0) }

    func perform(_ context: JobContext) async throws {
        context.progress(0.5, "half")
        context.note("key", 1)
        try await Self.use(try context.manager)
        _ = try await context.history()
    }

    static func use(_ manager: Manager) async throws {
        let nap = Nap(sleep: 0)
        let lock = JobOptions(unique: .unique(for: .seconds(600), duplicate: .replace))
        let chain = try await manager.enqueue(nap.then(nap, in: .milliseconds(1)).then(nap).onFailure(nap))
        let batch = try await manager.batch("b", onComplete: nap, onSuccess: nap, onDeath: nap) { batch in
            try await batch.enqueue(contentsOf: [nap, nap])
            try await batch.batch(onComplete: nap) { try await $0.enqueue(nap, in: .milliseconds(1)) }
        }
        let both = try await manager.transaction { jobs in
            [try jobs.enqueue(nap), try jobs.enqueue(nap, in: .seconds(600))]
        }
        let unique = try await manager.enqueue(nap, in: .seconds(600), options: lock)
        #expect(try await manager.enqueue(nap, in: .seconds(900), options: lock).isDuplicate)
        _ = try await manager.enqueue(contentsOf: [nap, nap])
        #expect(try await manager.cancel(unique.id) == .cancelled)
        #expect(try await manager.dequeue(both[1].id))
        try await chain.last.value(within: .seconds(60))
        try await both[0].value(within: .seconds(60))
        #expect(try await batch.status() != nil)
        let late = try await manager.enqueue(nap.then(nap), in: .seconds(600))
        #expect(try await manager.cancel(late.steps[1]) == .cancelled)
        #expect(try await manager.dequeue(late.steps[0]))
    }
}

private struct Nap: Job {
    var sleep: Double?
    func perform(_ context: JobContext) async throws { try await Task.sleep(for: .seconds(sleep ?? 0)) }
}

extension JobRecord {
    /// What has completed may have been trimmed since.
    fileprivate var hasCompleted: Bool { state == .completed || state == .ended(how: "Completed") }
}

/// A server with the users of the documentation, and the programs as those users.
private struct System: Sendable {
    let server: RedisServer
    /// The rules of each user, as the documentation gives them.
    let users: [String: [String]]
    let viewer: Inspector
    /// The time of the start, as the protocol writes it.
    let time = "\(Int64(Date().timeIntervalSince1970 * 1000))"

    static func start() async throws -> System {
        let server = try await RedisServer.start(tcp: false)
        let users = try documentedUsers()
        for (name, rules) in users { _ = try await server.command(["ACL", "SETUSER", name, "reset"] + rules) }
        let viewer = try Inspector(redis: options(server, users, "bg-viewer"), logger: quiet)
        return System(server: server, users: users, viewer: viewer)
    }

    /// The lines of the block that is marked as `acl`.
    private static func documentedUsers() throws -> [String: [String]] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..")
        let text = try String(contentsOf: root.appending(path: "docs/operations.md"), encoding: .utf8)
        let block = try #require(
            text.components(separatedBy: "```acl\n").dropFirst().first?.components(separatedBy: "```").first
        )
        var users: [String: [String]] = [:]
        for line in block.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            #expect(words.count > 2 && words[0] == "user")
            users[words[1]] = Array(words.dropFirst(2))
        }
        #expect(
            users.keys.sorted() == ["bg-app", "bg-operator", "bg-producer", "bg-viewer", "bg-watcher", "bg-worker"]
        )
        return users
    }

    private static func options(_ server: RedisServer, _ users: [String: [String]], _ user: String) -> RedisOptions {
        let password = users[user]?.first { $0.hasPrefix(">") }?.dropFirst() ?? ""
        return RedisOptions(url: "unix://\(user):\(password)@\(server.socketPath)", connectTimeout: .seconds(30))
    }

    func redis(_ user: String) -> RedisOptions { Self.options(server, users, user) }

    func worker() throws -> Worker {
        var jobs = JobRegistry()
        jobs.register(Nap.self)
        jobs.register(Once.self)
        jobs.register(Versatile.self)
        jobs.periodic("often", .every(.milliseconds(100)), Once())
        let options = try WorkerOptions(queues: .strict(["default"]), fibers: 5, gracePeriod: .zero)
        return try Worker(options, redis: redis("bg-worker"), jobs: jobs, logger: quiet)
    }

    func watcher() throws -> Watcher {
        let keep = Retention(age: nil, count: 2)
        return try Watcher(
            WatcherOptions(
                interval: .milliseconds(50),
                grace: .milliseconds(200),
                secondLook: .milliseconds(100),
                keepCompleted: keep,
                keepFailed: Retention(age: .seconds(3600), count: 100)
            ),
            redis: redis("bg-watcher"),
            logger: quiet
        )
    }

    /// All that an operator does with `bg-cli`.
    func operate() async throws {
        let (jobs, attempts) = ("bg:jobs:", "bg:attempts:")
        for id in ["o1", "o2", "o3", "o4"] {
            _ = try await server.command("HSET", jobs + id, "que", "o", "cls", "Nap", "las", "a-\(id)", "end", "Dead")
            _ = try await server.command("HSET", attempts + "a-\(id)", "job", id, "que", "o", "fin", "1", "err", "E")
            _ = try await server.command("ZADD", "bg:dead:o", time, id)
            _ = try await server.command("ZADD", "bg:failed:o", time, "a-\(id)")
        }
        _ = try await server.command("HSET", jobs + "o5", "que", "o", "cls", "Nap", "las", "a-o5")
        _ = try await server.command(
            "HSET",
            attempts + "a-o5",
            "job",
            "o5",
            "que",
            "o",
            "nod",
            "n-1-00000000",
            "wrk",
            "1"
        )
        _ = try await server.command("SADD", "bg:processing:o", "a-o5")
        _ = try await server.command("RPUSH", "bg:ready:o", "o6")
        _ = try await server.command("HSET", jobs + "o6", "que", "o", "cls", "Nap")
        _ = try await server.command("SADD", "bg:queues", "o")

        try await withManager(redis: redis("bg-operator")) { manager in
            let lock = JobOptions(unique: .unique(for: .seconds(600), by: .key("k"), duplicate: .replace))
            try await manager.enqueue("Nap", queue: "o")
            try await manager.enqueue("Nap", queue: "o", id: "chosen-o")
            let first = try await manager.enqueue("Nap", in: .seconds(600), queue: "o", options: lock)
            let second = try await manager.enqueue("Nap", in: .seconds(900), queue: "o", options: lock)
            #expect(second.isDuplicate && second.id == first.id)
            _ = try await manager.batch(onComplete: Nap(sleep: 0)) { _ in }
            // Somebody awaits it.
            _ = try await server.command("SET", "bg:awaited", "1", "PX", "60000")
            _ = try await server.command("SADD", "bg:awaited:\(first.id)", "listener")
            _ = try await manager.dequeue(first.id)
            _ = try await server.command("DEL", "bg:notes:listener", "bg:awaited")
            // As `bg-cli enqueue --wait`.
            let awaited = try await manager.enqueue("Nap", in: .seconds(600), queue: "o")
            async let end = awaited.end(within: .seconds(10))
            try await eventually("it is awaited, or can't be") {
                let count = try await server.command("SCARD", "bg:awaited:\(awaited.id)").int
                let refused = try await server.command("ACL", "LOG").array ?? []
                return count == 1 || !refused.isEmpty
            }
            _ = try await manager.cancel(awaited.id)
            #expect(try await end.end == "Cancelled")
        }
        let inspector = try Inspector(redis: redis("bg-operator"), logger: quiet)
        do {
            try await operate(inspector)
        } catch {
            await inspector.close()
            throw error
        }
        await inspector.close()
        _ = try await server.command("SREM", "bg:processing:o", "a-o5")
        _ = try await server.command("SREM", "bg:queues", "o")
    }

    private func operate(_ inspector: Inspector) async throws {
        _ = try await (inspector.status(), inspector.workers(), inspector.job("o1"), inspector.attempt("a-o1"))
        for list in JobList.allCases { _ = try await inspector.jobs(in: list, queue: "o") }
        try await operatePeriodic(inspector)
        #expect(try await inspector.cancel("o5") == .told)
        #expect(try await inspector.cancel("o6") == .cancelled)
        #expect(try await inspector.retry(["o1", "o6"]) == [.queued, .queued])
        try await inspector.copy("o2", arguments: "{}")
        let filter = JobFilter(className: "N*", error: "E")
        #expect(try await inspector.delete(["a-o1", "o2"], from: .failed) == [.deleted, .missing])
        #expect(try await inspector.delete(["o2"], from: .dead) == [.deleted])
        #expect(try await inspector.retryAll(in: .failed, queue: "o", matching: filter).done == 2)
        #expect(try await inspector.deleteAll(queue: "o", matching: filter).done == 0)
        #expect(try await inspector.pause(["o"]) == ["o"])
        #expect(try await inspector.resume(["o"]) == ["o"])
        #expect(try await inspector.move(from: "o", to: "p", scheduled: true).done > 0)
        #expect(try await inspector.clear(queue: "p", scheduled: true).done > 0)
        _ = try await inspector.summary()
        #expect(try await inspector.prune(queue: "o", force: true).total > 0)
    }

    /// All that a manager offers.
    func useApp() async throws {
        let manager = try Manager(redis: redis("bg-app"), logger: quiet)
        let outcome: Result<Void, any Error>
        do {
            outcome = .success(try await use(manager))
        } catch {
            outcome = .failure(error)
        }
        await manager.close()
        try outcome.get()
    }

    private func use(_ manager: Manager) async throws {
        let unique = JobOptions(unique: .unique(for: .seconds(60), duplicate: .replace))
        for delay in [nil, Duration.seconds(60)] {
            _ = try await manager.enqueue("Nap", in: delay, id: "chosen")
            _ = try await manager.enqueue("Nap", in: delay, options: unique)
            _ = try await manager.enqueue("Nap", in: delay)
        }
        _ = try await manager.enqueue(Nap(sleep: 0).then(Nap(sleep: 1)))
        let batch = try await manager.batch(onComplete: Nap(sleep: 0)) { _ in }
        _ = try await batch.status()
        let waiting = try await manager.enqueue("Nap", queue: "other")
        // It has been tried before.
        _ = try await server.command("HSET", "bg:jobs:\(waiting.id)", "las", "former")
        _ = try await server.command("HSET", "bg:attempts:former", "que", "other", "err", "Boom")
        let server = server
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                let end = try await waiting.end(within: .seconds(20)).end
                #expect(end == "Cancelled")
            }
            group.addTask {
                try await TestSupport.eventually("it is awaited, and somebody listens") {
                    let awaits = try await server.command("EXISTS", "bg:awaited:\(waiting.id)").int == 1
                    let clients = try await server.command("CLIENT", "LIST").text ?? ""
                    return awaits && clients.contains(/name=bg-manager-wait.*cmd=blpop/)
                }
                _ = try await manager.cancel(waiting.id)
            }
            while try await group.next() != nil {}
        }
    }

    private func operatePeriodic(_ inspector: Inspector) async throws {
        for period in [3600, 1800] {
            let job = try PeriodicJob("p", .every(.seconds(period)), className: "Nap", queue: "p")
            try await inspector.declare(job)
        }
        _ = try await (inspector.periodicJobs(), inspector.periodicJob("p"))
        try await inspector.pausePeriodic("p")
        try await inspector.resumePeriodic("p")
        let ran = try await inspector.runPeriodic("p")
        try await inspector.removePeriodic("p")
        _ = try await server.command("DEL", "bg:ready:p", "bg:jobs:\(ran)")
        _ = try await server.command("SREM", "bg:queues", "p")
    }

    /// Why a program does not start as this user; nil if it does.
    func startError(_ user: String) async -> BackgroundError? {
        do {
            if user == "bg-worker" {
                let worker = try worker()
                try await run(worker.run, stop: worker.stop, prefix: "bg-worker:")
            } else {
                let watcher = try watcher()
                try await run(watcher.run, stop: watcher.stop, prefix: "bg-watcher:")
            }
            return nil
        } catch {
            return error as? BackgroundError ?? BackgroundError(.invalidArgument, "\(error)")
        }
    }

    /// Why a producer can't enqueue in all its ways, or a viewer can't look at everything; nil if they can.
    func useError(_ user: String) async -> (any Error)? {
        do {
            if user == "bg-producer" {
                try await withManager(redis: redis(user)) { manager in
                    try await manager.enqueue("Nap")
                    try await manager.enqueue("Nap", in: .seconds(600))
                    try await manager.enqueue("Nap", id: "chosen")
                }
            } else {
                let inspector = try Inspector(redis: redis(user), logger: quiet)
                do {
                    _ = try await (inspector.status(), inspector.workers(), inspector.job("j"))
                    for list in JobList.allCases { _ = try await inspector.jobs(in: list, queue: "q") }
                } catch {
                    await inspector.close()
                    throw error
                }
                await inspector.close()
            }
            return nil
        } catch {
            return error
        }
    }

    /// Runs a program until it is connected, then stops it.
    private func run(
        _ program: @escaping @Sendable () async throws -> Void,
        stop: @escaping @Sendable () -> Void,
        prefix: String
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await program() }
            group.addTask {
                // A program that ends by itself ends the wait.
                try? await eventually("\(prefix) is connected") {
                    try await server.command("CLIENT", "LIST").text?.contains(" name=\(prefix)") == true
                }
                stop()
            }
            try await group.next()
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    func eventually(_ what: String, _ condition: (JobRecord) -> Bool, job: () -> String) async throws {
        try await eventually(what) {
            guard let history = try await viewer.job(job()) else { return false }
            return condition(history.job)
        }
    }

    func eventually(_ what: String, _ condition: () async throws -> Bool) async throws {
        try await TestSupport.eventually(what, condition)
    }
}
