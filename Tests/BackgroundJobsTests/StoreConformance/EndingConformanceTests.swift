import BackgroundJobs
import BackgroundJobsTesting
import Testing

/// What the options of a job make of the ends of its attempts.
@Suite("Conformance: endings", .timeLimit(.minutes(20)))
struct EndingConformance {
    /// Enqueues one job with these fields.
    private func enqueue(
        _ store: StoreUnderTest,
        _ id: String = "j",
        queue: String = "q",
        className: String = "C",
        fields: [JobOptions.Field] = [],
        expiry: Int64? = nil,
        lock: NewJob.Lock? = nil
    ) async throws {
        var job = NewJob(id: id, queue: queue, className: className, arguments: Array("{}".utf8))
        job.fields = fields
        job.expiry = expiry
        job.lock = lock
        try await store.store.enqueue([job])
    }

    @Test("a retry waits in scheduled until its time, and is counted", arguments: StoreKind.allCases)
    func retried(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            let job = try await store.claimOne()
            let before = try await store.now()
            #expect(
                try await store.finish(job, .retried(error: "Boom", message: "it went", after: 3_600_000, queue: nil))
                    == nil
            )
            let record = try #require(try await store.job("j"))
            #expect(record["ers"] == "1" && record["end"] == nil && record["que"] == "q")
            let due = try #require(record.number("pat"))
            let after = try await store.now()
            #expect((before + 3_600_000...after + 3_600_000).contains(due))
            #expect(try await store.snapshot().sortedSets["scheduled:q"] == ["j": due])
            #expect(try await store.attempt(job.attempt)?["err"] == "Boom")
            #expect(try await store.ranked("failed:q") == [job.attempt])
            #expect(try await store.counters() == ["failed": 1])
        }
    }

    @Test("a retry on another queue belongs to that queue from then on", arguments: StoreKind.allCases)
    func retryQueue(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            let job = try await store.claimOne()
            try await store.finish(job, .retried(error: "Boom", message: "", after: 0, queue: "slow"))
            #expect(try await store.job("j")?["que"] == "slow")
            #expect(try await store.ranked("scheduled:slow") == ["j"])
            #expect(try await store.set("queues") == ["q", "slow"])
            #expect(try await store.store.promote("slow", limit: 10).moved == ["j"])
            #expect(try await store.claimOne("slow").fields["ers"] == "1")
        }
    }

    @Test("a snoozed attempt does not count", arguments: StoreKind.allCases)
    func snoozed(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            for _ in 0..<3 {
                let job = try await store.claimOne()
                #expect(job.number == 1)
                try await store.finish(job, .snoozed(after: 0))
                #expect(try await store.job("j")?["att"] == "0")
                #expect(try await store.attempt(job.attempt)?["err"] == "Snoozed")
                #expect(try await store.store.promote("q", limit: 10).moved == ["j"])
            }
            #expect(try await store.ranked("ended:q").count == 3)
            #expect(try await store.job("j")?["ers"] == nil)
            #expect(try await store.counters() == ["snoozed": 3])
        }
    }

    @Test("a job whose own process dies, again and again, is dead after four runs", arguments: StoreKind.allCases)
    func crashed(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            for run in 1...4 {
                let job = try await store.claimOne()
                #expect(job.isSuspect == (run > 2) && job.isLastTry == (run == 4))
                try await store.finish(job, .crashed(message: "signal 11"))
                let attempt = try #require(try await store.attempt(job.attempt))
                #expect(attempt["err"] == "Crashed" && attempt["fin"] != nil)
                let last = "signal 11; the job is dead: crash 4 within 72 h, and 3 are forgiven"
                #expect(attempt["msg"] == (run == 4 ? last : "signal 11"))
                #expect(try await store.list("ready:q") == (run < 4 ? ["j"] : []))
            }
            #expect(try await store.job("j")?["end"] == "Dead")
            #expect(try await store.counters() == ["crashed": 4, "dead": 1])
        }
    }

    @Test("a suspect that fails by itself waits among the suspects again", arguments: StoreKind.allCases)
    func suspectRetried(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            for _ in 0..<2 { try await store.reap(try await store.claimOne()) }
            try await store.finish(
                try await store.claimOne(),
                .retried(error: "Boom", message: "", after: 0, queue: nil)
            )
            #expect(try await store.store.promote("q", limit: 10).moved == ["j"])
            #expect(try await store.claim(1, mayTakeSuspect: false).jobs.isEmpty)
            #expect(try await store.list("suspects:q") == ["j"])
            #expect(try await store.claimOne().isSuspect)
        }
    }

    @Test("crashes outside the window are forgotten", arguments: StoreKind.allCases)
    func window(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store, fields: [("crw", "60000")])
            for _ in 0..<2 { try await store.reap(try await store.claimOne()) }
            try await store.edit { data in
                let first = data.jobs["j"]?.number("crt") ?? 0
                data.jobs["j"]?["crt"] = "\(first - 60_001)"
            }
            let job = try await store.claimOne()
            try await store.reap(job)
            #expect(try await store.job("j")?["crs"] == "1")
            #expect(try await store.attempt(job.attempt)?["crw"] == "60000")
            #expect(try await store.list("ready:q") == ["j"])
        }
    }

    @Test(
        "the rules in force stand in the attempt: the job's, else its class's, else the worker's",
        arguments: StoreKind.allCases
    )
    func rules(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store, "own", className: "Once", fields: [("dlv", "alo"), ("crm", "all"), ("crw", "0")])
            try await enqueue(store, "class", className: "Once")
            try await enqueue(store, "worker", className: "C")
            try await enqueue(store, "garbage", className: "C", fields: [("dlv", "?"), ("crm", "many"), ("crw", "-1")])
            let defaults = ClaimDefaults(
                delivery: .atMostOnce,
                classes: ["Once": .init(delivery: .atMostOnce, crashRetries: "0", crashWindow: 5000)]
            )
            let claim = Claim(wanted: 4, queues: ["q"], defaults: defaults, offered: store.offers(4))
            let exchange = try await store.store.exchange([], claim, as: StoreUnderTest.voucher)
            var rules: [String: [String?]] = [:]
            for job in exchange.jobs {
                let attempt = try await store.attempt(job.attempt)
                rules[job.id] = ["dlv", "crm", "crw"].map { attempt?[$0] }
            }
            #expect(rules["own"] == [nil, "all", "0"])
            #expect(rules["class"] == ["amo", "0", "5000"])
            #expect(rules["worker"] == ["amo", nil, nil])
            #expect(rules["garbage"] == ["amo", nil, nil])
            #expect(exchange.notices.count == 3, "of dlv, crm and crw of the last one: \(exchange.notices)")
        }
    }

    @Test(
        "an at-most-once job is not repeated when its worker vanishes or gives it back, unless it never began",
        arguments: StoreKind.allCases
    )
    func atMostOnce(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            for id in ["reaped", "given-back", "unbegun"] { try await enqueue(store, id, fields: [("dlv", "amo")]) }
            let jobs = try await store.claim(3).jobs
            #expect(try await store.reap(jobs[0]) == .dead)
            try await store.finish(jobs[1], .shutdown)
            try await store.finish(jobs[2], .unbegun)
            let sentence = "the job is dead, since it is to run at most once"
            for job in jobs[..<2] {
                #expect(try await store.job(job.id)?["end"] == "Dead")
                #expect(try await store.attempt(job.attempt)?["msg"] == sentence)
            }
            #expect(try await store.list("ready:q") == ["unbegun"])
            #expect(try await store.counters() == ["crashed": 1, "dead": 2, "shutdown": 2])
        }
    }

    @Test("a job that has not begun in time is dropped with a record", arguments: StoreKind.allCases)
    func expired(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let lock = NewJob.Lock(digest: "d", duration: 60_000)
            try await enqueue(store, "late", expiry: 3_600_000, lock: lock)
            try await enqueue(store, "begun", expiry: 3_600_000)
            try await enqueue(store, "garbage", fields: [("exp", "soon")])
            try await store.edit { data in
                data.jobs["begun"]?["las"] = "gone"
                for id in ["late", "begun"] { data.jobs[id]?["exp"] = "1000" }
            }
            let claimed = try await store.claim(5)
            #expect(Set(claimed.jobs.map(\.id)) == ["begun", "garbage"])
            let record = try #require(try await store.job("late"))
            #expect(record["end"] == "Expired" && record["att"] == nil)
            let attempt = try #require(try await store.attempt(record["las"] ?? ""))
            #expect(attempt["err"] == "Expired" && attempt["num"] == "0" && attempt["fin"] != nil)
            #expect(try await store.ranked("ended:q") == [record["las"]])
            #expect(try await store.snapshot().locks.isEmpty)
            #expect(try await store.counters() == ["expired": 1])
            #expect(claimed.notices.count == 2, "of the late one, and the one that is no number: \(claimed.notices)")
        }
    }

    @Test(
        "what was given back before it began may still expire, and be the first attempt",
        arguments: StoreKind.allCases
    )
    func unbegun(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store, expiry: 3_600_000)
            try await store.finish(try await store.claimOne(), .unbegun)
            let record = try #require(try await store.job("j"))
            #expect(record["las"] == nil && record["att"] == "0")
            let again = try await store.claimOne()
            #expect(again.number == 1)
            try await store.finish(again, .unbegun)
            try await store.edit { $0.jobs["j"]?["exp"] = "1000" }
            #expect(try await store.claim(1).jobs.isEmpty)
            #expect(try await store.job("j")?["end"] == "Expired")
        }
    }

    @Test("a time limit that was exceeded is counted", arguments: StoreKind.allCases)
    func timeout(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            try await store.finish(try await store.claimOne(), .dead(error: "Timeout", message: ""))
            #expect(try await store.counters() == ["failed": 1, "timeout": 1, "dead": 1])
        }
    }

    @Test("the worker is told the options that it needs, and no others", arguments: StoreKind.allCases)
    func told(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let fields = [
                ("ret", "3"), ("bck", "fixed:5"), ("rfr", "6"), ("rqu", "r"), ("tmo", "7"), ("crm", "2"), ("mine", "x"),
            ].map { (name: $0.0, value: $0.1) }
            try await enqueue(store, fields: fields)
            try await enqueue(store, "plain")
            let jobs = try await store.claim(2).jobs
            #expect(jobs[0].fields == ["ret": "3", "bck": "fixed:5", "rfr": "6", "rqu": "r", "tmo": "7"])
            #expect(jobs[1].fields.isEmpty)
        }
    }

    @Test("the worker is told what is tied to the job, and what it brings along", arguments: StoreKind.allCases)
    func toldOfTies(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            let told = ["ers", "unq", "nxt", "onf", "bat", "pat", "stp", "flr", "bsm", "hdr", "crn", "due"]
            try await store.edit { data in
                for field in told + ["aft", "ori", "plt"] { data.jobs["j"]?[field] = "7" }
            }
            let job = try await store.claimOne()
            #expect(job.fields == Dictionary(uniqueKeysWithValues: told.map { ($0, "7") }))
            #expect(try await store.claim(1, reoffered: [job.attempt], offered: []).jobs == [job])
        }
    }

    @Test("a job whose hash no longer names its queue is retried all the same", arguments: StoreKind.allCases)
    func withoutQueue(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a")
            let job = try await store.claimOne()
            try await store.edit { $0.jobs["a"]?["que"] = nil }
            let ending = Ending.retried(error: "E", message: "", after: 5, queue: nil)
            #expect(try await store.finish(job, ending) == nil)
            #expect(try await store.ranked("scheduled:q") == ["a"])
        }
    }
}
