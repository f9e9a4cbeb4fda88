import BackgroundJobs
import BackgroundJobsTesting
import BackgroundRedis
import TestSupport
import Testing

@Suite("A Redis that is out of memory", .timeLimit(.minutes(20)))
struct MaxMemoryTests {
    @Test("refuses jobs whole, and lets all else drain")
    func drains() async throws {
        let server = try await RedisServer.start(options: ["--maxmemory-policy noeviction"], tcp: false)
        try await withRedisStore(server) { redis in
            let store = StoreUnderTest(redis: redis)
            try await fill(store)
            let jobs = try await store.claim(6).jobs
            try await store.finish(jobs[5], .discarded(error: "E", message: ""))
            try await store.edit { data in
                data.lists["handoff:q"] = ["hand"]
                data.sortedSets["scheduled:q"] = ["later": 1]
                data.lists["suspects:q"] = ["suspect"]
            }
            // Scripts that Redis does not know yet have to be loaded while it is out of memory.
            try await redis.send("SCRIPT", "FLUSH")
            try await redis.send("CONFIG", "SET", "maxmemory", "1")
            try await refusesJobs(redis, store)
            try await drain(redis, store, jobs)
            try await redis.send("CONFIG", "SET", "maxmemory", "0")
            #expect(try await invariantViolations(redis) == [])
            try await store.enqueue("again")
        }
        await server.stop()
    }

    private func fill(_ store: StoreUnderTest) async throws {
        for index in 0..<300 { try await store.enqueue("j\(index)") }
        try await store.enqueue("hand", "suspect", "later", queue: "other")
        try await store.edit { data in
            data.lists["ready:other"] = nil
            for id in ["hand", "suspect", "later"] { data.jobs[id]?["que"] = "q" }
        }
    }

    private func refusesJobs(_ redis: RedisStore, _ store: StoreUnderTest) async throws {
        let size = try await redis.send("DBSIZE").int
        for index in 0..<1000 {
            await #expect {
                try await store.enqueue(
                    "refused\(index)",
                    "too\(index)",
                    due: index % 2 == 0 ? nil : .after(milliseconds: 9999)
                )
            } throws: { error in
                let error = error as? BackgroundError
                return error?.code == .refused && error?.message.contains("OOM") == true
            }
        }
        #expect(try await redis.send("DBSIZE").int == size)
    }

    private func drain(_ redis: RedisStore, _ store: StoreUnderTest, _ jobs: [ClaimedJob]) async throws {
        try await store.finish(jobs[0])
        try await store.finish(jobs[1], .dead(error: "E", message: "m"))
        try await store.finish(jobs[2], .shutdown)
        #expect(try await store.reap(jobs[3]) == .ready)
        let adoption = Adoption(queues: ["q"], attempts: [(jobs[4].attempt, "q")], offered: ["new"])
        let adopted = try await redis.adopt(adoption, as: Voucher(node: "node-1", client: 8))
        #expect(adopted.verdicts == [jobs[4].attempt: .yours, "new": .never])
        #expect(try await redis.promote("q", limit: 500).moved == ["later"])
        #expect(try await redis.recover(["hand"], in: "q") == ["hand"])
        #expect(try await redis.dequeue("j299") == .dequeued)
        #expect(try await redis.cancel("j298", recordedAs: "record") == .cancelled)
        #expect(try await redis.cancel(jobs[4].id, recordedAs: "another") == .told)
        let trimmed = try await redis.trim(
            .failed,
            of: "q",
            keep: Retention(age: .zero, count: nil),
            limit: 500,
            from: 0
        )
        #expect(trimmed.removed == 2)
        try await store.finish(jobs[4])
        var claimed = 0
        while true {
            let exchange = try await store.claim(100)
            for job in exchange.jobs { try await store.finish(job) }
            claimed += exchange.jobs.count
            if exchange.jobs.isEmpty { break }
        }
        // 300 less 6 claimed, 1 dequeued and 1 cancelled; 2 of the 6 came back; and the three put into place by hand.
        #expect(claimed == 300 - 6 - 1 - 1 + 2 + 3)
        #expect(try await store.snapshot().lists.keys.allSatisfy { $0 == "cancel:node-1" })
        #expect(try await store.set("processing:q") == [])
    }

    @Test("lets what waits be cleared, moved and paused, and what is dead be run again")
    func queues() async throws {
        let server = try await RedisServer.start(options: ["--maxmemory-policy noeviction"], tcp: false)
        try await withRedisStore(server) { redis in
            let store = StoreUnderTest(redis: redis)
            try await store.enqueue("dead", "a", "b")
            try await store.finish(store.claimOne(), .dead(error: "E", message: ""))
            try await redis.send("CONFIG", "SET", "maxmemory", "1")
            #expect(try await redis.clear(.ready, of: "q", limit: 1) == WaitingStep(taken: 1, done: 1))
            #expect(try await redis.move(.ready, from: "q", to: "r", limit: 9) == WaitingStep(taken: 1, done: 1))
            #expect(try await redis.setPaused(true, ["q"]) == ["q"])
            #expect(try await redis.retry(["dead"], onlyDead: true) == [.queued])
            #expect(try await store.list("ready:r") == ["b"])
        }
        await server.stop()
    }

    @Test("lets periodic jobs be paused, resumed and ended")
    func periodicJobs() async throws {
        let server = try await RedisServer.start(options: ["--maxmemory-policy noeviction"], tcp: false)
        try await withRedisStore(server) { redis in
            let fields = ["exp": "@daily", "cls": "C", "que": "q"].mapValues { Array($0.utf8) }
            let declaration = Declaration(name: "p", first: 1 << 50, fields: fields)
            _ = try await redis.declare([declaration], by: nil, areAll: false, revives: false)
            try await redis.send("CONFIG", "SET", "maxmemory", "1")
            #expect(try await redis.steer("p", .pause) == .done)
            #expect(try await redis.steer("p", .resume(next: 1 << 50, expression: "@daily", zone: "")) == .done)
            #expect(try await redis.steer("p", .end(reason: "enough")) == .done)
            #expect(try await redis.steer("p", .remove) == .done)
        }
        await server.stop()
    }
}
