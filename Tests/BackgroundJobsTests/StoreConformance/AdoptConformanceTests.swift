import BackgroundJobs
import BackgroundJobsTesting
import Testing

@Suite("Conformance: adopt", .timeLimit(.minutes(20)))
struct AdoptConformance {
    private static let reconnected = Voucher(node: "node-1", client: 8)

    @Test("running attempts are taken over and counted, ended ones are done or lost", arguments: StoreKind.allCases)
    func running(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b", "c")
            let jobs = try await store.claim(3).jobs
            try await store.finish(jobs[1])
            try await store.reap(jobs[2])
            let adoption = Adoption(
                queues: ["q"],
                attempts: jobs.map { ($0.attempt, $0.queue) } + [("never", "q")],
                offered: []
            )
            let adopted = try await store.store.adopt(adoption, as: Self.reconnected)
            let expected: [String: Verdict] = [
                jobs[0].attempt: .yours, jobs[1].attempt: .done, jobs[2].attempt: .lost, "never": .lost,
            ]
            #expect(adopted == Adopted(verdicts: expected, granted: []))
            var attempt = try await store.attempt(jobs[0].attempt)
            #expect(attempt?["wrk"] == "8" && attempt?["ado"] == "1")
            _ = try await store.store.adopt(adoption, as: Voucher(node: "node-1", client: 9))
            attempt = try await store.attempt(jobs[0].attempt)
            #expect(attempt?["wrk"] == "9" && attempt?["ado"] == "2")
        }
    }

    @Test(
        "offered IDs that were begun are granted with their jobs; the others were never begun",
        arguments: StoreKind.allCases
    )
    func offered(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", arguments: "[1]")
            try await store.enqueue("b", "c", queue: "p")
            let jobs = try await store.claim(3, ["q", "p"], offered: ["x", "y", "z"]).jobs
            try await store.finish(jobs[1])
            let adoption = Adoption(queues: ["p", "q"], attempts: [], offered: ["x", "y", "z", "new"])
            let adopted = try await store.store.adopt(adoption, as: Self.reconnected)
            #expect(adopted.verdicts == ["x": .yours, "y": .done, "z": .yours, "new": .never])
            #expect(adopted.granted == [jobs[0], jobs[2]])
            #expect(try await store.attempt("new") == nil)
        }
    }

    @Test(
        "an attempt of another node, or whose hash is gone, is lost and stays as it is",
        arguments: StoreKind.allCases
    )
    func notOurs(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind, damaged: ["I1", "I3"]) { store in
            try await store.enqueue("a", "b", "c")
            let jobs = try await store.claim(3, offered: ["x", "y", "z"]).jobs
            try await store.edit { data in
                data.attempts["x"]?["nod"] = "node-2"
                data.attempts["y"] = nil
                data.attempts["z"]?["job"] = nil
            }
            let before = try await store.snapshot()
            let adoption = Adoption(queues: ["q"], attempts: jobs[0...1].map { ($0.attempt, "q") }, offered: ["z"])
            let adopted = try await store.store.adopt(adoption, as: Self.reconnected)
            #expect(adopted == Adopted(verdicts: ["x": .lost, "y": .lost, "z": .lost], granted: []))
            #expect(try await store.snapshot() == before)
        }
    }

    @Test(
        "an attempt is granted although its job's hash is gone, and those behind it too",
        arguments: StoreKind.allCases
    )
    func jobGone(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b")
            try await store.claim(2, offered: ["x", "y"])
            try await store.edit { $0.jobs["a"] = nil }
            let adoption = Adoption(queues: ["q"], attempts: [], offered: ["x", "y"])
            let granted = try await store.store.adopt(adoption, as: Self.reconnected).granted
            #expect(granted.map(\.id) == ["a", "b"])
            #expect(granted.map(\.className) == [nil, "C"])
            let claimed = try await store.claim(2, reoffered: ["x", "y"], offered: [], as: Self.reconnected)
            #expect(claimed.jobs == granted)
        }
    }

    @Test("a suspect that is granted again is one still", arguments: StoreKind.allCases)
    func suspect(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b")
            for _ in 0..<2 {
                for job in try await store.claim(2).jobs { try await store.reap(job) }
                for job in try await store.claim(2, mayTakeSuspect: false).jobs { try await store.reap(job) }
            }
            #expect(try await store.list("suspects:q").count + store.list("ready:q").count == 2)
            #expect(try await store.claim(1, offered: ["x"]).jobs.map(\.isSuspect) == [true])
            let again = try await store.claim(2, reoffered: ["x"], offered: ["y", "z"])
            #expect(again.jobs.map(\.isSuspect) == [true])
            let adoption = Adoption(queues: ["q"], attempts: [], offered: ["x"])
            #expect(try await store.store.adopt(adoption, as: Self.reconnected).granted.map(\.isSuspect) == [true])
        }
    }

    @Test(
        "a suspect that may crash as often as it likes has no last try when it is granted again",
        arguments: StoreKind.allCases
    )
    func boundless(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a")
            let now = try await store.now()
            try await store.edit { data in
                for (field, value) in [("crs", "3"), ("crt", "\(now)"), ("crm", "all")] {
                    data.jobs["a"]?[field] = value
                }
            }
            let claimed = try await store.claim(1, offered: ["x"]).jobs
            #expect(claimed.map(\.isSuspect) == [true] && claimed.map(\.isLastTry) == [false])
            let adoption = Adoption(queues: ["q"], attempts: [], offered: ["x"])
            let granted = try await store.store.adopt(adoption, as: Self.reconnected).granted
            #expect(granted.map(\.isSuspect) == [true] && granted.map(\.isLastTry) == [false])
        }
    }

    @Test("garbage in the fields of a count is a first adoption", arguments: StoreKind.allCases)
    func garbage(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a")
            try await store.claim(1, offered: ["x"])
            try await store.edit { data in
                data.attempts["x"]?["ado"] = "often"
                data.attempts["x"]?["num"] = "first"
            }
            let adoption = Adoption(queues: ["q"], attempts: [], offered: ["x"])
            #expect(try await store.store.adopt(adoption, as: Self.reconnected).granted.map(\.number) == [0])
            #expect(try await store.attempt("x")?["ado"] == "1")
        }
    }
}
