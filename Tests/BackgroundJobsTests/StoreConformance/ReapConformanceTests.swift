import BackgroundJobs
import BackgroundJobsTesting
import Testing

@Suite("Conformance: reap", .timeLimit(.minutes(20)))
struct ReapConformance {
    private static let hour: Int64 = 3_600_000

    @Test(
        "a vanished worker's attempt fails without an end, and its job goes to the head of ready",
        arguments: StoreKind.allCases
    )
    func firstCrash(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("j", "next")
            let job = try await store.claimOne()
            #expect(try await store.reap(job) == .ready)
            let attempt = try #require(try await store.attempt(job.attempt))
            #expect(attempt["err"] == "Worker Timeout" && attempt["fin"] == nil && attempt["time"] == nil)
            #expect(try await store.ranked("failed:q") == [job.attempt])
            #expect(try await store.list("ready:q") == ["j", "next"])
            let record = try #require(try await store.job("j"))
            #expect(record["crs"] == "1" && record["ers"] == nil)
            #expect(record.number("crt") == (try await store.snapshot().sortedSets["failed:q"]?[job.attempt]))
            #expect(try await store.counters() == ["crashed": 1])
            let before = try await store.snapshot()
            #expect(try await store.reap(job) == .spared)
            #expect(try await store.snapshot() == before)
        }
    }

    @Test("four runs: ready, suspects, suspects, dead", arguments: StoreKind.allCases)
    func budget(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("j")
            var outcomes: [Reaped.Outcome?] = []
            for run in 1...4 {
                let job = try await store.claimOne()
                #expect(job.number == run)
                #expect(job.isSuspect == (run > 2))
                outcomes.append(try await store.reap(job))
            }
            #expect(outcomes == [.ready, .suspects, .suspects, .dead])
            #expect(try await store.claim(1).jobs == [])
            let job = try #require(try await store.job("j"))
            #expect(job["end"] == "Dead" && job["crs"] == "4" && job["att"] == "4")
            #expect(try await store.ranked("dead:q") == ["j"])
            #expect(try await store.counters() == ["crashed": 4, "dead": 1])
        }
    }

    @Test(
        "the budget that is in force stands in the attempt",
        arguments: StoreKind.allCases,
        [("0", 1), ("1", 2), ("all", 9), ("abc", 4), ("-1", 4), ("", 4)]
    )
    func otherBudgets(_ kind: StoreKind, _ budget: (retries: String, runs: Int)) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("j")
            for run in 1...9 {
                guard let job = try await store.claim(1).jobs.first else {
                    #expect(run == budget.runs + 1)
                    break
                }
                try await store.edit { $0.attempts[job.attempt]?["crm"] = budget.retries }
                let outcome = try await store.reap(job)
                #expect((outcome == .dead) == (run == budget.runs && budget.runs < 9))
                let isSound = ["0", "1", "all"].contains(budget.retries)
                let message = try await store.attempt(job.attempt)?["msg"]
                #expect((message?.contains("crm was no number") ?? false) == !isSound)
                #expect((message?.contains("the job is dead: crash") ?? false) == (outcome == .dead))
            }
            #expect(try await store.job("j")?["att"] == "\(budget.runs)")
        }
    }

    @Test("an at-most-once job is dead at the first crash", arguments: StoreKind.allCases)
    func atMostOnce(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("j")
            let job = try await store.claimOne()
            try await store.edit { $0.attempts[job.attempt]?["dlv"] = "amo" }
            #expect(try await store.reap(job) == .dead)
            #expect(try await store.ranked("dead:q") == ["j"])
        }
    }

    @Test(
        "crashes beyond the window are forgotten",
        arguments: StoreKind.allCases,
        [(nil, 71, .dead), (nil, 73, .ready), ("3600000", 2, .ready), ("0", 999_999, .dead)]
            as [(String?, Int64, Reaped.Outcome)]
    )
    func window(_ kind: StoreKind, _ row: (window: String?, hoursAgo: Int64, outcome: Reaped.Outcome)) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("j")
            let job = try await store.claimOne()
            let first = try await store.now() - row.hoursAgo * Self.hour
            try await store.edit { data in
                data.jobs["j"]?["crs"] = "3"
                data.jobs["j"]?["crt"] = "\(max(first, 0))"
                data.attempts[job.attempt]?["crw"] = row.window
            }
            #expect(try await store.reap(job) == row.outcome)
            #expect(try await store.job("j")?["crs"] == (row.outcome == .dead ? "4" : "1"))
            guard row.outcome == .dead else { return }
            let within = row.window == nil ? " within 72 h" : ""
            let message = "the job is dead: crash 4\(within), and 3 are forgiven"
            #expect(try await store.attempt(job.attempt)?["msg"] == message)
        }
    }

    @Test("a window that is no number counts as absent, and is told of", arguments: StoreKind.allCases)
    func damagedWindow(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("j")
            let job = try await store.claimOne()
            try await store.edit { $0.attempts[job.attempt]?["crw"] = "abc" }
            #expect(try await store.reap(job) == .ready)
            #expect(try await store.attempt(job.attempt)?["msg"] == "crw was no number: abc")
        }
    }

    @Test(
        "whoever awaits a job is told that it is dead of an attempt without a readable hash",
        arguments: StoreKind.allCases
    )
    func unreadableAndAwaited(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("j")
            let job = try await store.claimOne()
            try await store.edit { data in
                data.attempts[job.attempt]?["wrk"] = nil
                data.attempts[job.attempt]?["dlv"] = "amo"
            }
            #expect(try await store.store.ends(of: ["j"], for: Listener(token: "l", time: .seconds(60))) == [nil])
            let condemned = Condemned(queue: "q", attempt: job.attempt, judgement: .unreadable)
            #expect(try await store.store.reap([condemned]).map(\.outcome) == [.unreadable])
            #expect(try await store.list("notes:l").first?.contains(#""err":"Bad Attempt""#) == true)
        }
    }

    @Test("a window that is no whole hours is told in seconds", arguments: StoreKind.allCases)
    func windowInSeconds(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("j")
            let job = try await store.claimOne()
            let now = try await store.now()
            try await store.edit { data in
                data.jobs["j"]?["crs"] = "3"
                data.jobs["j"]?["crt"] = "\(now)"
                data.attempts[job.attempt]?["crw"] = "5400000"
            }
            #expect(try await store.reap(job) == .dead)
            let message = "the job is dead: crash 4 within 5400 s, and 3 are forgiven"
            #expect(try await store.attempt(job.attempt)?["msg"] == message)
        }
    }

    @Test("one suspect at a time, and only where it is asked for", arguments: StoreKind.allCases)
    func suspects(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b", "good")
            try await store.edit { data in
                data.lists["ready:q"] = ["good"]
                data.lists["suspects:q"] = ["a", "b"]
            }
            let none = try await store.claim(5, mayTakeSuspect: false)
            #expect(none.jobs.map(\.id) == ["good"])
            let one = try await store.claim(5)
            #expect(one.jobs.map(\.id) == ["a"] && one.jobs.map(\.isSuspect) == [true])
            #expect(try await store.list("suspects:q") == ["b"])
        }
    }

    @Test("a job that was to be cancelled is, and its attempt says why", arguments: StoreKind.allCases)
    func cancelled(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("j")
            let job = try await store.claimOne()
            #expect(try await store.store.cancel("j", recordedAs: "x") == .told)
            #expect(try await store.store.ends(of: ["j"], for: Listener(token: "l", time: .seconds(60))) == [nil])
            #expect(try await store.reap(job) == .cancelled)
            #expect(try await store.list("notes:l").first?.contains(#""msg":"Worker Timeout""#) == true)
            let attempt = try #require(try await store.attempt(job.attempt))
            #expect(attempt["err"] == "Cancelled" && attempt["msg"] == "Worker Timeout")
            #expect(try await store.job("j")?["end"] == "Cancelled")
        }
    }

    @Test("an attempt that is no longer what was judged is spared", arguments: StoreKind.allCases)
    func spared(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("j")
            let job = try await store.claimOne()
            let before = try await store.snapshot()
            let judged = [("8", "node-1", ""), ("7", "node-2", ""), ("7", "node-1", "1")]
            let condemned = judged.map {
                Condemned(
                    queue: "q",
                    attempt: job.attempt,
                    judgement: .gone(client: $0.0, node: $0.1, adoptions: $0.2)
                )
            }
            let unreadable = Condemned(queue: "q", attempt: job.attempt, judgement: .unreadable)
            let reaped = try await store.store.reap(condemned + [unreadable])
            #expect(reaped.map(\.outcome) == [.spared, .spared, .spared, .spared])
            #expect(try await store.snapshot() == before)
            let adoption = Adoption(queues: ["q"], attempts: [(job.attempt, "q")], offered: [])
            _ = try await store.store.adopt(adoption, as: StoreUnderTest.voucher)
            #expect(try await store.reap(job) == .spared)
            #expect(try await store.reap(job, adoptions: "1") == .ready)
        }
    }

    @Test("the attempt ends alone where the job is gone or has ended", arguments: StoreKind.allCases)
    func jobGone(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind, damaged: ["I1"]) { store in
            try await store.enqueue("gone", "over")
            let jobs = try await store.claim(2).jobs
            try await store.edit { data in
                data.jobs["gone"] = nil
                data.jobs["over"]?["end"] = "Discarded"
            }
            #expect(try await store.reap(jobs[0]) == .gone)
            #expect(try await store.reap(jobs[1]) == .over)
            #expect(try await store.list("ready:q") == [])
            #expect(try await store.job("gone") == nil)
            #expect(try await store.ranked("failed:q").count == 2)
        }
    }

    @Test(
        "an attempt without a readable hash ends as a bad one; its job goes back where it can be told",
        arguments: StoreKind.allCases,
        ["wrk", "nod", "job", "que", "all", "1e3", "abc", "1180591620717411303424"]
    )
    func unreadable(_ kind: StoreKind, _ damage: String) async throws {
        try await StoreUnderTest.with(kind, damaged: ["I1"]) { store in
            try await store.enqueue("j", "next")
            let job = try await store.claimOne()
            try await store.edit { data in
                switch damage {
                case "all": data.attempts[job.attempt] = nil
                case "wrk", "nod", "job", "que": data.attempts[job.attempt]?[damage] = nil
                default: data.attempts[job.attempt]?["wrk"] = damage
                }
            }
            let condemned = Condemned(queue: "q", attempt: job.attempt, judgement: .unreadable)
            #expect(try await store.store.reap([condemned]).map(\.outcome) == [.unreadable])
            #expect(try await store.store.reap([condemned]).map(\.outcome) == [.spared])
            let isTold = damage != "all" && damage != "job"
            #expect(try await store.list("ready:q") == (isTold ? ["j", "next"] : ["next"]))
            let attempt = try #require(try await store.attempt(job.attempt))
            #expect(attempt["err"] == "Bad Attempt" && attempt["que"] == "q" && attempt["msg"] != nil)
            #expect(try await store.ranked("failed:q") == [job.attempt])
            #expect(try await store.counters() == ["bad": 1])
            if isTold { #expect(try await store.claim(1).jobs.map(\.id) == ["j"]) }
        }
    }

    @Test("what is named in processing and unknown ends as a bad attempt", arguments: StoreKind.allCases)
    func garbageMember(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.edit { $0.sets["processing:q"] = ["garbage"] }
            let condemned = Condemned(queue: "q", attempt: "garbage", judgement: .unreadable)
            #expect(try await store.store.reap([condemned]) == [Reaped(outcome: .unreadable, job: nil)])
            #expect(try await store.set("processing:q") == [])
        }
    }
}
