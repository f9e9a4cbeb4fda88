import BackgroundJobsTesting
import BackgroundRedis
import TestSupport
import Testing

@testable import BackgroundJobs

/// What a producer may repeat, since it does not know what became of its call.
@Suite("Enqueued together again", .timeLimit(.minutes(20)))
struct RepeatedConformance {
    private func job(
        _ id: String,
        _ fields: [JobOptions.Field] = [],
        due: NewJob.Due? = nil,
        expiry: Int64? = nil,
        waits: Bool = false
    ) -> NewJob {
        NewJob(
            id: id,
            queue: "q",
            className: "C",
            arguments: Array("{}".utf8),
            due: due,
            fields: fields,
            expiry: expiry,
            isIDChosen: true,
            isWaiting: waits
        )
    }

    private var chain: [NewJob] {
        [
            job("a", [("nxt", "b"), ("onf", "f")]), job("b", [("aft", "a"), ("onf", "f")], waits: true),
            job("f", waits: true),
        ]
    }

    @Test("a time is the one that was said, to the millisecond", arguments: StoreKind.allCases)
    func times(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let time = try await store.now() + 60_000
            try await store.store.enqueueTogether([job("j", due: .at(milliseconds: time), expiry: 500), job("now")])
            _ = try await store.store.open(NewBatch(id: "g"))
            _ = try await store.store.add([job("m", due: .at(milliseconds: time))], to: "g")
            try await store.store.enqueueTogether([job("past", due: .at(milliseconds: time - 70_000))])
            #expect(try await store.snapshot().sortedSets["scheduled:q"] == ["j": time, "m": time])
            #expect(try await store.job("j")?.number("pat") == time)
            #expect(try await store.job("j")?.number("exp") == time + 500)
            #expect(try await store.list("ready:q") == ["now", "past"])
        }
    }

    @Test("and does not move while the call waits for Redis")
    func timesOfACallThatWaited() async throws {
        try await SharedRedis.withStore { redis in
            let store = StoreUnderTest(redis: redis)
            let now = try await store.now()
            // What was read before the wait.
            redis.clock.stand(at: now - 30_000)
            try await redis.enqueueTogether([job("j", due: .at(milliseconds: now + 60_000))])
            #expect(try await store.job("j")?.number("pat") == now + 60_000)
        }
    }

    @Test("a chain that is there is left alone, whatever of it is gone by then", arguments: StoreKind.allCases)
    func chains(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.store.enqueueTogether(chain)
            for _ in 0..<2 { try await store.finish(store.claimOne()) }
            // As five minutes later.
            try await store.edit { $0.jobs["f"] = nil }
            try await store.store.enqueueTogether(chain)
            #expect(try await store.job("f") == nil, "nobody would ever release it")
            #expect(try await store.list("ready:q").isEmpty)
        }
    }

    @Test("an ID that is there twice in one call counts once", arguments: StoreKind.allCases)
    func twice(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            _ = try await store.store.open(NewBatch(id: "g"))
            #expect(try await store.store.add([job("m"), job("m"), job("n")], to: "g") == .done)
            #expect(try await store.store.add([job("n"), job("m")], to: "g") == .done)
            #expect(try await store.batch("g").total == 2)
            #expect(try await store.list("ready:q") == ["m", "n"])
        }
    }

    @Test("a job that was dequeued from a long list is as good as gone", arguments: StoreKind.allCases)
    func dequeued(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.edit {
                $0.jobs["j"] = StoreSnapshot.Record(
                    ["que": "old", "cls": "C", "end": "Dequeued", "bat": "gone", "att": "3"].mapValues {
                        Array($0.utf8)
                    }
                )
            }
            try await store.store.enqueueTogether([job("j")])
            let job = try #require(try await store.job("j"))
            #expect(Set(job.fields.keys) == ["que", "cls", "arg", "qat"] && job["que"] == "q")
            #expect(try await store.list("ready:q") == ["j"])
        }
    }

    @Test("onFailure waits a week for a step that was cancelled by itself", arguments: StoreKind.allCases)
    func cancelledStep(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.store.enqueueTogether(chain)
            #expect(try await store.store.cancel("b", recordedAs: "x") == .cancelled)
            try await store.finish(store.claimOne())
            #expect(try await store.job("f")?["end"] == "Unneeded")
            #expect(try await store.timeToLive(ofJob: "f") ?? 0 >= 300_000)
            if kind == .redis { #expect(try await store.timeToLive(ofJob: "f") ?? 0 > 600_000_000) }
            // Six days later it is still there for a retry by hand.
            #expect(try await store.store.retry(["b"], onlyDead: false) == [.queued])
            #expect(try await store.job("f")?["blk"] == "1")
            try await store.finish(store.claimOne(), .dead(error: "E", message: "m"))
            #expect(try await store.list("ready:q") == ["f"])
        }
    }

    @Test("a time that was judged by another end is not fired", arguments: StoreKind.allCases)
    func declaredAnew(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let now = try await store.now()
            func declare(_ more: [String: String]) async throws {
                let fields = ["exp": "every:60000", "cls": "C", "que": "q"].merging(more) { $1 }
                let declaration = Declaration(name: "p", first: now - 5, fields: fields.mapValues { Array($0.utf8) })
                _ = try await store.store.declare([declaration], by: nil, areAll: false, revives: false)
            }
            func firing(missed: String, until: String) -> Firing {
                Firing(
                    name: "p",
                    due: now - 5,
                    time: now - 5,
                    next: .never("until"),
                    expression: "every:60000",
                    missed: missed,
                    until: until,
                    job: "j"
                )
            }
            try await declare(["unt": "\(now)"])
            let judged = firing(missed: "", until: "\(now)")
            try await declare(["unt": "\(now + 600_000)"])
            #expect(try await store.store.fire([judged]) == [.taken])
            try await declare(["unt": "\(now + 600_000)", "mis": "none"])
            #expect(try await store.store.fire([firing(missed: "", until: "\(now + 600_000)")]) == [.taken])
            #expect(try await store.snapshot().periodics["p"]?["end"] == nil)
            #expect(try await store.store.fire([firing(missed: "none", until: "\(now + 600_000)")]) == [.fired])
        }
    }
}
