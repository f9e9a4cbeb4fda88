import BackgroundJobsTesting
import BackgroundRedis
import TestSupport
import Testing

@testable import BackgroundJobs

@Suite("Who awaits a job", .timeLimit(.minutes(20)))
struct AwaitConformance {
    private static let listener = Listener(token: "l1", time: .seconds(60))

    private func notes(_ store: StoreUnderTest, _ listener: String = "l1") async throws -> [JobEnd] {
        try await store.list("notes:\(listener)").map { try #require(JobEnd(note: $0)) }
    }

    private func await_(_ store: StoreUnderTest, _ jobs: String..., by token: String = "l1") async throws -> [JobEnd?] {
        try await store.store.ends(of: jobs, for: Listener(token: token, time: .seconds(60)))
    }

    @Test("is told how it ended, once", arguments: StoreKind.allCases)
    func told(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b", "c")
            #expect(try await await_(store, "a", "b", "nobody") == [nil, nil, JobEnd(job: "nobody", end: "Missing")])
            #expect(try await await_(store, "a", by: "l2") == [nil])
            #expect(try await store.set("awaited:a") == ["l1", "l2"])
            #expect(try await store.snapshot().expiring.isSuperset(of: ["awaited", "awaited:a", "awaited:b"]))
            let jobs = try await store.claim(3).jobs
            try await store.finish(jobs[0], with: ["out": "{\"n\":\"a/b\"}"])
            let end = JobEnd(job: "a", end: "Completed", attempt: jobs[0].attempt, output: "{\"n\":\"a/b\"}")
            #expect(try await notes(store) == [end])
            #expect(try await notes(store, "l2") == [end])
            #expect(try await store.set("awaited:a").isEmpty)
            #expect(try await await_(store, "a") == [end], "asked later it says the same")
            // A plain end, of which the script is not told the job.
            try await store.finish(jobs[1])
            #expect(try await notes(store).last == JobEnd(job: "b", end: "Completed", attempt: jobs[1].attempt))
            try await store.finish(jobs[2])
            #expect(try await notes(store).count == 2, "nobody awaits it")
            #expect(try await store.snapshot().expiring.contains("notes:l1"))
        }
    }

    @Test("is told of each end that is for good, and of no other", arguments: StoreKind.allCases)
    func ends(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            for (ending, end) in [
                (Ending.dead(error: "E", message: "m"), "Dead"), (.discarded(error: "E", message: "m"), "Discarded"),
                (.cancelled(message: "m"), "Cancelled"), (.skipped(message: "m"), "Skipped"),
            ] {
                let id = "job-\(end)"
                try await store.enqueue(id)
                _ = try await await_(store, id)
                for transient in [
                    Ending.retried(error: "E", message: "", after: 0, queue: nil), .snoozed(after: 0), .shutdown,
                    .crashed(message: ""),
                ] {
                    try await store.finish(store.claimOne(), transient)
                    _ = try await store.store.promote("q", limit: 1)
                    #expect(try await notes(store).allSatisfy { $0.job != id })
                }
                let job = try await store.claimOne()
                try await store.finish(job, ending)
                let told = try #require(try await notes(store).last)
                #expect(told.job == id && told.end == end && told.attempt == job.attempt && told.message == "m")
                #expect(try await await_(store, id) == [told])
            }
            try await store.enqueue("waiting", "gone")
            _ = try await await_(store, "waiting", "gone")
            _ = try await store.store.cancel("waiting", recordedAs: "x1")
            _ = try await store.store.dequeue("gone")
            #expect(try await notes(store).suffix(2).map(\.end) == ["Cancelled", "Missing"])
            // As one that was taken out of a long list, where its ID still is.
            try await store.enqueue("marked")
            try await store.edit { $0.jobs["marked"]?["end"] = "Dequeued" }
            #expect(try await await_(store, "marked") == [JobEnd(job: "marked", end: "Missing")])
        }
    }

    @Test("is not to wait behind a step that is dead", arguments: StoreKind.allCases)
    func chains(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            func job(_ id: String, _ fields: [JobOptions.Field]) -> NewJob {
                NewJob(
                    id: id,
                    queue: "q",
                    className: "C",
                    arguments: Array("{}".utf8),
                    fields: fields,
                    isWaiting: id != "a"
                )
            }
            try await store.store.enqueueTogether([
                job("a", [("nxt", "b")]), job("b", [("aft", "a"), ("nxt", "c")]), job("c", [("aft", "b")]),
            ])
            #expect(try await await_(store, "c") == [nil])
            let a = try await store.claimOne()
            try await store.finish(a, .dead(error: "E", message: "m"))
            let told = JobEnd(job: "c", end: "Dead", attempt: a.attempt, error: "E", message: "m")
            #expect(try await notes(store) == [told])
            #expect(try await await_(store, "c", by: "l2") == [told])
        }
    }

    @Test("is not to wait behind a step that is not there any more", arguments: StoreKind.allCases)
    func lostStep(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind, damaged: ["I8", "I11"]) { store in
            func job(_ id: String, _ fields: [JobOptions.Field]) -> NewJob {
                NewJob(
                    id: id,
                    queue: "q",
                    className: "C",
                    arguments: Array("{}".utf8),
                    fields: fields,
                    isWaiting: id != "a"
                )
            }
            try await store.store.enqueueTogether([
                job("a", [("nxt", "b")]), job("b", [("aft", "a"), ("nxt", "c")]), job("c", [("aft", "b")]),
            ])
            // As somebody who prunes the queue of the first step.
            try await store.edit { $0.jobs["a"] = nil }
            let message = "the job before it, a, is not there any more"
            #expect(
                try await await_(store, "b", "c")
                    == ["b", "c"].map { JobEnd(job: $0, end: "Missing", message: message) }
            )
        }
    }

    @Test("may await a job with half a hash, and one behind it", arguments: StoreKind.allCases)
    func halfAHash(_ kind: StoreKind) async throws {
        for field in ["cls", "que"] {
            try await StoreUnderTest.with(kind) { store in
                try await store.store.enqueueTogether(
                    ["a", "b"].map { id in
                        NewJob(
                            id: id,
                            queue: "q",
                            className: "C",
                            arguments: Array("{}".utf8),
                            fields: [id == "a" ? ("nxt", "b") : ("aft", "a")],
                            isWaiting: id == "b"
                        )
                    }
                )
                let whole = try await store.job("a")
                try await store.edit { $0.jobs["a"]?[field] = nil }
                #expect(try await await_(store, "a", "b") == [nil, nil], "without \(field)")
                try await store.edit { $0.jobs["a"] = whole }
            }
        }
    }

    @Test(
        "may await a step that was called, though the one before it is not there any more",
        arguments: StoreKind.allCases
    )
    func formerStep(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("b")
            try await store.edit { $0.jobs["b"]?["aft"] = "a" }
            #expect(try await await_(store, "b") == [nil])
            let job = try await store.claimOne()
            #expect(try await await_(store, "b") == [nil])
            try await store.finish(job)
            #expect(try await notes(store) == [JobEnd(job: "b", end: "Completed", attempt: job.attempt)])
        }
    }

    @Test("a job that is damaged keeps no other from its answer")
    func damaged() async throws {
        try await SharedRedis.withStore { redis in
            let store = StoreUnderTest(redis: redis)
            try await store.enqueue("a")
            try await redis.send("SET", redis.keys.job("b"), "text")
            try await store.enqueue("c")
            try await redis.send("SET", redis.keys.namespace + ":awaited:c", "text")
            let reply = try await redis.run(redis.scripts.await, arguments: 5) {
                RedisStore.append(["c", "b", "a"], Self.listener, to: &$0)
            }
            let answers = try RedisStore.answers(reply, of: ["c", "b", "a"])
            #expect(try answers[2].get() == nil)
            for (answer, key) in zip(answers, ["awaited:c", "jobs:b"]) {
                let error = #expect(throws: BackgroundError.self) { try answer.get() }
                #expect(error?.code == .damaged && error?.message.contains(key) == true)
            }
        }
    }

    @Test("may await, and a job say of itself, although Redis is out of memory")
    func noMemory() async throws {
        let server = try await RedisServer.start(tcp: false)
        try await withRedisStore(server) { redis in
            let store = StoreUnderTest(redis: redis)
            try await store.enqueue("a", "b")
            let job = try await store.claimOne()
            try await redis.send("CONFIG", "SET", "maxmemory", "1")
            #expect(try await await_(store, "a") == [nil])
            let note = AttemptNote(attempt: job.attempt, queue: "q", fields: ["prg": "0.5"])
            #expect(try await redis.note([note]) == 1)
            try await store.finish(job)
            #expect(try await store.list("notes:l1").count == 1)
        }
        await server.stop()
    }

    @Test("keeps no end waiting for a look as long as there is nobody")
    func nobody() async throws {
        let server = try await RedisServer.start(tcp: false)
        try await withRedisStore(server) { redis in
            let store = StoreUnderTest(redis: redis)
            func looks() async throws -> Bool {
                try await redis.send("INFO", "commandstats").text?.contains("cmdstat_smembers") == true
            }
            try await store.enqueue("a", "b")
            try await store.finish(store.claimOne(), .dead(error: "E", message: ""))
            #expect(try await looks() == false)
            #expect(try await await_(store, "nobody") == [JobEnd(job: "nobody", end: "Missing")])
            try await store.finish(store.claimOne(), .dead(error: "E", message: ""))
            #expect(try await looks())
        }
        await server.stop()
    }

    @Test("what several say of themselves at once is kept of each", arguments: StoreKind.allCases)
    func severalNotes(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b", "c")
            let jobs = try await store.claim(3).jobs
            try await store.finish(jobs[1])
            let told = [["prg": "0.1", "prm": "x", "nte": "{}"], ["prg": "0.2"], ["prg": "0.3", "prm": "z"]]
            let notes = zip(jobs, told).map { AttemptNote(attempt: $0.attempt, queue: "q", fields: $1) }
            #expect(try await store.store.note(notes) == 2)
            for (job, fields) in zip([jobs[0], jobs[2]], [told[0], told[2]]) {
                let record = try #require(try await store.attempt(job.attempt))
                #expect(["prg", "prm", "nte"].allSatisfy { record[$0] == fields[$0] })
            }
            #expect(try await store.attempt(jobs[1].attempt)?["prg"] == nil)
        }
    }

    @Test("what a job says of itself is kept while it runs", arguments: StoreKind.allCases)
    func notes(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a")
            let job = try await store.claimOne()
            let note = AttemptNote(attempt: job.attempt, queue: "q", fields: ["prg": "0.4", "prm": "half way"])
            #expect(try await store.store.note([note]) == 1)
            #expect(try await store.attempt(job.attempt)?["prm"] == "half way")
            try await store.finish(job, with: ["prg": "1.0"])
            #expect(try await store.store.note([note]) == 0)
            #expect(try await store.attempt(job.attempt)?["prg"] == "1.0")
            #expect(try await store.store.note([AttemptNote(attempt: "none", queue: "q", fields: ["prg": "1"])]) == 0)
            #expect(try await store.attempt("none") == nil)
            #expect(try await store.store.attempts(of: "a", limit: 5).map(\.progress) == [1])
        }
    }
}
