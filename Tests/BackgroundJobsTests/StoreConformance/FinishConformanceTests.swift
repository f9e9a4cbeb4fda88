import BackgroundJobs
import BackgroundJobsTesting
import Testing

@Suite("Conformance: finish", .timeLimit(.minutes(20)))
struct FinishConformance {
    @Test("completed: out of processing, with its end and time and no error", arguments: StoreKind.allCases)
    func completed(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("j")
            let job = try await store.claimOne()
            #expect(try await store.finish(job, after: 12.5) == nil)
            let attempt = try #require(try await store.attempt(job.attempt))
            #expect(Set(attempt.fields.keys) == ["sta", "job", "wrk", "que", "nod", "num", "fin", "time"])
            #expect(attempt["time"] == "12.5")
            let score = try #require(try await store.snapshot().sortedSets["completed:q"]?[job.attempt])
            #expect(attempt.number("fin") == score)
            #expect(try await store.set("processing:q") == [])
            #expect(try await store.job("j")?["end"] == nil)
            #expect(try await store.counters() == ["completed": 1])
        }
    }

    /// An ending, and what the table of endings says of it.
    struct Row: Sendable, CustomTestStringConvertible {
        var ending: Ending
        var set: String
        var error: String
        var message: String?
        var end: String?
        var counters: [String: Int64]
        var testDescription: String { "\(ending)" }
    }

    static let table = [
        Row(
            ending: .dead(error: "Boom", message: "it went"),
            set: "failed:q",
            error: "Boom",
            message: "it went",
            end: "Dead",
            counters: ["failed": 1, "dead": 1]
        ),
        Row(
            ending: .discarded(error: "Boom", message: ""),
            set: "failed:q",
            error: "Boom",
            end: "Discarded",
            counters: ["failed": 1, "discarded": 1]
        ),
        Row(ending: .shutdown, set: "ended:q", error: "Shutdown", counters: ["shutdown": 1]),
        Row(
            ending: .cancelled(message: ""),
            set: "ended:q",
            error: "Cancelled",
            end: "Cancelled",
            counters: ["cancelled": 1]
        ),
    ]

    @Test("the other endings, as the table says", arguments: StoreKind.allCases, table)
    func endings(_ kind: StoreKind, _ row: Row) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("j", "next")
            let job = try await store.claimOne()
            #expect(try await store.finish(job, row.ending) == nil)
            let attempt = try #require(try await store.attempt(job.attempt))
            #expect(attempt["err"] == row.error && attempt["msg"] == row.message && attempt["time"] == "1.5")
            #expect(try await store.ranked(row.set) == [job.attempt])
            #expect(try await store.snapshot().sortedSets[row.set]?[job.attempt] == attempt.number("fin"))
            let record = try #require(try await store.job("j"))
            #expect(record["end"] == row.end)
            #expect(record["ers"] == (row.set == "failed:q" ? "1" : nil))
            #expect(try await store.list("ready:q") == (row.ending == .shutdown ? ["j", "next"] : ["next"]))
            #expect(try await store.ranked("dead:q") == (row.end == "Dead" ? ["j"] : []))
            #expect(try await store.counters() == row.counters)
        }
    }

    @Test(
        "a second finish changes nothing and is answered done",
        arguments: StoreKind.allCases,
        table.map(\.ending) + [.completed]
    )
    func twice(_ kind: StoreKind, _ ending: Ending) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("j")
            let job = try await store.claimOne()
            #expect(try await store.finish(job, ending) == nil)
            let before = try await store.snapshot()
            #expect(try await store.finish(job, ending) == .done)
            #expect(try await store.finish(job, .completed) == .done)
            #expect(try await store.finish(job, .shutdown) == .done)
            #expect(try await store.snapshot() == before)
        }
    }

    @Test(
        "a finish of what a watcher ended is answered lost",
        arguments: StoreKind.allCases,
        table.map(\.ending) + [.completed]
    )
    func lost(_ kind: StoreKind, _ ending: Ending) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("j")
            let job = try await store.claimOne()
            try await store.reap(job)
            let before = try await store.snapshot()
            #expect(try await store.finish(job, ending) == .lost)
            var unknown = job
            unknown.attempt = "never"
            #expect(try await store.finish(unknown, ending) == .lost)
            #expect(try await store.snapshot() == before)
        }
    }

    @Test("each finish of a batch has its own verdict, and a claim rides along", arguments: StoreKind.allCases)
    func batch(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b", "c", "d", "e")
            let jobs = try await store.claim(4).jobs
            try await store.finish(jobs[1])
            try await store.reap(jobs[2])
            let endings: [Ending] = [
                .completed, .completed, .dead(error: "E", message: ""), .cancelled(message: ""), .completed,
            ]
            let finishes = zip(jobs + [jobs[0]], endings).map {
                Finish(attempt: $0.attempt, queue: "q", job: $0.id, milliseconds: 1, ending: $1)
            }
            let claim = Claim(wanted: 3, queues: ["q"], offered: store.offers(3))
            let exchange = try await store.store.exchange(finishes, claim, as: StoreUnderTest.voucher)
            #expect(exchange.exceptions == [1: .done, 2: .lost, 4: .done])
            #expect(exchange.jobs.map(\.id) == ["c", "e"])
            #expect(try await store.counters() == ["completed": 2, "crashed": 1, "cancelled": 1])
        }
    }

    @Test(
        "whatever ends an attempt that is to be cancelled, but success, ends it as cancelled",
        arguments: StoreKind.allCases
    )
    func cancelFlag(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("failed", "released", "reaped", "completed")
            let jobs = try await store.claim(4).jobs
            try await store.edit { data in
                for job in jobs { data.jobs[job.id]?["cnl"] = "1" }
            }
            try await store.finish(jobs[0], .dead(error: "E", message: "m"))
            try await store.finish(jobs[1], .shutdown)
            #expect(try await store.reap(jobs[2]) == .cancelled)
            try await store.finish(jobs[3])
            let snapshot = try await store.snapshot()
            for job in jobs[0...2] {
                #expect(snapshot.attempts[job.attempt]?["err"] == "Cancelled")
                #expect(snapshot.jobs[job.id]?["end"] == "Cancelled")
            }
            #expect(snapshot.attempts[jobs[0].attempt]?["msg"] == "E: m")
            #expect(snapshot.attempts[jobs[2].attempt]?["fin"] == nil)
            #expect(snapshot.jobs["completed"]?["end"] == nil)
            #expect(Set(snapshot.ranked("ended:q")) == Set(jobs[0...2].map(\.attempt)))
            #expect(snapshot.lists == [:] && snapshot.sortedSets["dead:q"] == nil)
            #expect(try await store.counters() == ["cancelled": 3, "completed": 1])
        }
    }

    @Test(
        "release goes to the head, so that several keep their order when released from the last",
        arguments: StoreKind.allCases
    )
    func release(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b", "c")
            for job in try await store.claim(2).jobs.reversed() { try await store.finish(job, .shutdown) }
            #expect(try await store.list("ready:q") == ["a", "b", "c"])
        }
    }

    @Test("an at-most-once job that has begun is dead when it is given back", arguments: StoreKind.allCases)
    func atMostOnce(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("j")
            try await store.edit { $0.jobs["j"]?["dlv"] = "amo" }
            let job = try await store.claimOne()
            #expect(try await store.attempt(job.attempt)?["dlv"] == "amo")
            try await store.finish(job, .shutdown)
            #expect(try await store.ranked("dead:q") == ["j"])
            #expect(try await store.list("ready:q") == [])
        }
    }

    @Test(
        "an attempt whose job is gone, has ended, or runs elsewhere ends alone, and that is told of",
        arguments: StoreKind.allCases
    )
    func jobGone(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind, damaged: ["I1", "I2"]) { store in
            try await store.enqueue("gone", "over", "twice")
            let jobs = try await store.claim(3).jobs
            try await store.edit { data in
                data.jobs["gone"] = nil
                data.jobs["over"]?["end"] = "Discarded"
                data.attempts["other"] = data.attempts[jobs[2].attempt]
                data.sets["processing:q"]?.insert("other")
                data.jobs["twice"]?["las"] = "other"
            }
            let finishes = jobs.map {
                Finish(attempt: $0.attempt, queue: "q", job: $0.id, milliseconds: 1, ending: .shutdown)
            }
            let exchange = try await store.store.exchange(finishes, .none, as: StoreUnderTest.voucher)
            #expect(exchange.exceptions == [:])
            #expect(exchange.notices.count == 3)
            #expect(try await store.list("ready:q") == [])
            #expect(try await store.job("gone") == nil)
            #expect(try await store.ranked("ended:q").count == 3)
            #expect(try await store.set("processing:q") == ["other"])
        }
    }

    @Test("a count of errors that is no number is told of and starts again", arguments: StoreKind.allCases)
    func garbageErrors(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("j", "k")
            let jobs = try await store.claim(2).jobs
            try await store.edit { data in
                data.jobs["j"]?["ers"] = "many"
                data.jobs["k"]?["ers"] = "4"
            }
            let finishes = jobs.map {
                Finish(
                    attempt: $0.attempt,
                    queue: "q",
                    job: $0.id,
                    milliseconds: 1,
                    ending: .dead(error: "E", message: "")
                )
            }
            let exchange = try await store.store.exchange(finishes, .none, as: StoreUnderTest.voucher)
            #expect(exchange.notices.count == 1)
            #expect(try await store.job("j")?["ers"] == "1")
            #expect(try await store.job("k")?["ers"] == "5")
        }
    }
}
