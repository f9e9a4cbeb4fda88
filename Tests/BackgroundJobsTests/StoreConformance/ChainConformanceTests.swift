import BackgroundJobsTesting
import BackgroundRedis
import TestSupport
import Testing

@testable import BackgroundJobs

/// Jobs that wait for the one before them.
@Suite("A chain", .timeLimit(.minutes(20)))
struct ChainConformance {
    /// `a` → `b` → `c`, and `d` if one fails.
    private func enqueue(_ store: StoreUnderTest, due: NewJob.Due? = nil, expiry: Int64? = nil) async throws {
        func job(_ id: String, _ fields: [JobOptions.Field]) -> NewJob {
            NewJob(
                id: id,
                queue: "q",
                className: "Class/\(id)",
                arguments: Array("{}".utf8),
                due: id == "b" ? due : nil,
                fields: fields,
                expiry: id == "b" ? expiry : nil,
                isWaiting: id != "a"
            )
        }
        try await store.store.enqueueTogether([
            job("a", [("nxt", "b"), ("onf", "d")]), job("b", [("aft", "a"), ("nxt", "c"), ("onf", "d")]),
            job("c", [("aft", "b"), ("onf", "d")]), job("d", []),
        ])
    }

    private func ends(_ store: StoreUnderTest, _ jobs: String...) async throws -> [String?] {
        var ends: [String?] = []
        for job in jobs { ends.append(try await store.job(job)?["end"]) }
        return ends
    }

    @Test("each step is pushed by the end of the one before it, with all results", arguments: StoreKind.allCases)
    func steps(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            #expect(try await store.list("ready:q") == ["a"])
            try await store.finish(store.claimOne(), with: ["out": "{\"n\":1}", "add": "{\"k\":\"x/y\"}"])
            #expect(try await store.list("ready:q") == ["b"])
            let b = try await store.claimOne()
            #expect(b.fields["stp"] == #"[{"job":"a","cls":"Class\/a","out":{"n":1},"add":{"k":"x/y"}}]"#)
            #expect(try await store.finish(b, with: ["out": "2"]) == nil)
            #expect(try await store.finish(b, with: ["out": "2"]) == .done, "counted once")
            let c = try await store.claimOne()
            #expect(c.id == "c")
            #expect(
                c.fields["stp"]
                    == #"[{"job":"a","cls":"Class\/a","out":{"n":1},"add":{"k":"x/y"}},"#
                    + #"{"job":"b","cls":"Class\/b","out":2}]"#
            )
            try await store.finish(c)
            #expect(try await ends(store, "a", "b", "c", "d") == [nil, nil, nil, "Unneeded"])
            #expect(try await store.list("ready:q").isEmpty)
            #expect(try await store.timeToLive(ofJob: "d") != nil)
        }
    }

    @Test("a step's delay and expiry count from the end of the one before it", arguments: StoreKind.allCases)
    func delays(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store, due: .after(milliseconds: 50_000), expiry: 1000)
            let before = try await store.now()
            try await store.finish(store.claimOne())
            let after = try await store.now()
            let due = try #require(try await store.job("b")?.number("pat"))
            #expect((before + 50_000...after + 50_000).contains(due))
            #expect(try await store.job("b")?.number("exp") == due + 1000)
            #expect(try await store.ranked("scheduled:q") == ["b"])
        }
    }

    @Test(
        "a dead step calls onFailure once, and a retry by hand takes the chain up again",
        arguments: StoreKind.allCases
    )
    func dead(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            try await store.finish(store.claimOne(), .dead(error: "Boom", message: "say \"no\""))
            #expect(try await store.list("ready:q") == ["d"])
            let d = try await store.claimOne()
            #expect(d.fields["flr"] == #"{"job":"a","cls":"Class\/a","err":"Boom","msg":"say \"no\""}"#)
            try await store.finish(d)
            #expect(try await ends(store, "a", "b", "c") == ["Dead", nil, nil])
            #expect(try await store.store.retry(["a"], onlyDead: true) == [.queued])
            try await store.finish(store.claimOne())
            let b = try await store.claimOne()
            #expect(b.id == "b")
            try await store.finish(b, .dead(error: "Boom", message: ""))
            #expect(try await store.list("ready:q").isEmpty, "it has run")
        }
    }

    @Test(
        "one that can't succeed any more ends those behind it",
        arguments: [
            (Ending.discarded(error: "E", message: ""), "Discarded", true),
            (.cancelled(message: ""), "Cancelled", false),
            (.skipped(message: "x"), "Skipped", false),
        ],
        StoreKind.allCases
    )
    func forgone(_ ending: (Ending, String, Bool), _ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            try await store.finish(store.claimOne(), ending.0)
            #expect(try await ends(store, "a", "b", "c") == [ending.1, "Cancelled", "Cancelled"])
            #expect(try await store.ranked("ended:q").contains("b-0"))
            #expect(try await store.attempt("c-0")?["err"] == "Cancelled")
            #expect(try await store.list("ready:q") == (ending.2 ? ["d"] : []))
            #expect(try await store.job("d")?["end"] == (ending.2 ? nil : "Unneeded"))
        }
    }

    @Test("a step that waits can be cancelled or dequeued, and ends those behind it", arguments: StoreKind.allCases)
    func takenOut(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            #expect(try await store.store.cancel("b", recordedAs: "x1") == .cancelled)
            #expect(try await ends(store, "b", "c", "d") == ["Cancelled", "Cancelled", nil])
            try await store.finish(store.claimOne())
            #expect(try await store.list("ready:q").isEmpty)
            #expect(try await ends(store, "d") == ["Unneeded"], "nobody is left who could call it")
        }
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            #expect(try await store.store.dequeue("b") == .dequeued)
            #expect(try await store.job("b") == nil)
            #expect(try await ends(store, "c", "d") == ["Cancelled", nil], "the step before it may fail")
            #expect(try await store.store.dequeue("a") == .dequeued)
            #expect(try await ends(store, "a", "d") == [nil, "Unneeded"])
        }
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            #expect(try await store.store.dequeue("b") == .dequeued)
            try await store.finish(store.claimOne(), .dead(error: "Boom", message: ""))
            #expect(try await store.list("ready:q") == ["d"])
        }
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            #expect(try await store.store.dequeue("b") == .dequeued)
            try await store.finish(store.claimOne())
            #expect(try await ends(store, "d") == ["Unneeded"])
        }
    }

    @Test(
        "its first step dequeued by hand, the others are cancelled and none is left behind",
        arguments: StoreKind.allCases
    )
    func dequeued(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            #expect(try await store.store.dequeue("a") == .dequeued)
            #expect(try await ends(store, "a", "b", "c", "d") == [nil, "Cancelled", "Cancelled", "Unneeded"])
            #expect(try await store.attempt("b-0")?["msg"] == "the job before it ended as Dequeued")
        }
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            let step = try await store.store.clear(.ready, of: "q", limit: 10)
            #expect(step.done == 1)
            #expect(try await ends(store, "a", "b", "c", "d") == [nil, "Cancelled", "Cancelled", "Unneeded"])
        }
    }

    @Test(
        "a retry by hand of a step makes those wait for it again that were cancelled with it",
        arguments: [true, false],
        StoreKind.allCases
    )
    func recalled(_ isDiscarded: Bool, _ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            try await store.finish(store.claimOne())
            let b = try await store.claimOne()
            try await store.finish(b, isDiscarded ? .discarded(error: "E", message: "") : .cancelled(message: ""))
            if isDiscarded { try await store.finish(store.claimOne()) }
            #expect(try await store.attempt("c-0")?["err"] == "Cancelled")
            #expect(try await store.store.retry(["b"], onlyDead: false) == [.queued])
            #expect(try await ends(store, "b", "c") == [nil, nil])
            #expect(try await store.attempt("c-0") == nil)
            #expect(try await store.ranked("ended:q").contains("c-0") == false)
            #expect(try await store.job("d")?["blk"] == (isDiscarded ? nil : "1"), "it has run, or may run")
            #expect(try await store.timeToLive(ofJob: "d") == nil)
            try await store.finish(store.claimOne(), with: ["out": "2"])
            let c = try await store.claimOne()
            #expect(c.id == "c" && c.fields["stp"]?.contains(#""out":2"#) == true)
            try await store.finish(c)
            #expect(try await ends(store, "c") == [nil])
        }
    }

    @Test(
        "one that somebody cancelled by itself stays so when the step before it is retried",
        arguments: StoreKind.allCases
    )
    func cancelledByHand(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            #expect(try await store.store.cancel("b", recordedAs: "x1") == .cancelled)
            #expect(try await store.store.cancel("a", recordedAs: "x2") == .cancelled)
            #expect(try await store.store.retry(["a"], onlyDead: false) == [.queued])
            #expect(try await ends(store, "a", "b", "c", "d") == [nil, "Cancelled", "Cancelled", nil])
            try await store.finish(store.claimOne())
            #expect(try await ends(store, "d") == ["Unneeded"])
        }
    }

    @Test("a crash runs the step again; too many of them make it dead", arguments: StoreKind.allCases)
    func crashes(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            for _ in 0..<3 {
                try await store.reap(store.claimOne())
                #expect(try await store.job("d")?["blk"] == "1")
            }
            #expect(try await store.reap(store.claimOne()) == .dead)
            let d = try await store.claimOne()
            #expect(d.id == "d")
            #expect(d.fields["flr"]?.contains("Worker Timeout") == true)
            #expect(try await store.job("b")?["blk"] == "1")
        }
    }

    @Test("with a dead step's record go those that wait for it", arguments: StoreKind.allCases)
    func trimmed(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            try await store.finish(store.claimOne(), .dead(error: "Boom", message: ""))
            let keep = Retention(age: nil, count: 0)
            #expect(try await store.store.trim(.dead, of: "q", keep: keep, limit: 10, from: 0).removed == 1)
            #expect(try await ends(store, "b", "c") == ["Cancelled", "Cancelled"])
        }
    }

    @Test("jobs that are there already are left as they are", arguments: StoreKind.allCases)
    func repeated(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            try await store.finish(store.claimOne())
            try await enqueue(store)
            #expect(try await store.list("ready:q") == ["b"])
        }
    }

    @Test("where a key is of a wrong type nothing is written, and an end that can't be carried out is kept")
    func damaged() async throws {
        try await SharedRedis.withStore { redis in
            let store = StoreUnderTest(redis: redis)
            try await redis.send("SET", redis.keys.ready("r"), "text")
            let jobs = [("a", "q"), ("b", "r")].map {
                NewJob(id: $0.0, queue: $0.1, className: "C", arguments: Array("{}".utf8))
            }
            await #expect(throws: BackgroundError.self) { try await redis.enqueueTogether(jobs) }
            #expect(try await store.job("a") == nil)
            try await enqueue(store)
            let a = try await store.claimOne()
            try await redis.send("HSET", redis.keys.job("b"), "que", "r")
            guard case .damaged(let sentence)? = try await store.finish(a) else {
                Issue.record("the next job was lost")
                return
            }
            #expect(sentence.contains("ready:r holds a string"))
            try await redis.send("DEL", redis.keys.ready("r"))
            #expect(try await store.finish(a) == nil)
            #expect(try await store.list("ready:r") == ["b"])
        }
    }

    @Test("one that has expired ends later, where its end could not call what waits for it")
    func damagedAtTheClaim() async throws {
        try await SharedRedis.withStore { redis in
            let store = StoreUnderTest(redis: redis)
            let callback = NewJob(
                id: "done",
                queue: "r",
                className: "C",
                arguments: Array("{}".utf8),
                isWaiting: true
            )
            _ = try await redis.open(NewBatch(id: "g", onComplete: callback))
            let member = NewJob(id: "m", queue: "q", className: "C", arguments: Array("{}".utf8), expiry: 0)
            _ = try await redis.add([member], to: "g")
            _ = try await redis.close("g")
            let expiry = try await store.job("m")?.number("exp") ?? .max
            try await eventually("it has expired") { try await store.now() > expiry }
            try await redis.send("SET", redis.keys.ready("r"), "text")
            let exchange = try await store.claim()
            #expect(exchange.jobs.isEmpty)
            #expect(
                exchange.notices.contains { "\($0)".contains("is put off for 10 s") && "\($0)".contains("ready:r") }
            )
            #expect(try await store.ranked("scheduled:q") == ["m"])
            #expect(try await store.batch("g").pending == 1)
            try await redis.send("DEL", redis.keys.ready("r"))
            try await redis.send("ZADD", redis.keys.scheduled("q"), "1", "m")
            _ = try await redis.promote("q", limit: 1)
            #expect(try await store.claim().jobs.isEmpty)
            #expect(try await store.job("m")?["end"] == "Expired")
            #expect(try await store.list("ready:r") == ["done"])
        }
    }
}
