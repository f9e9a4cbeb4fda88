import BackgroundJobs
import BackgroundJobsTesting
import Testing

@Suite("Conformance: claim", .timeLimit(.minutes(20)))
struct ClaimConformance {
    @Test(
        "a claim writes the attempt with all its fields and the job's count and last attempt",
        arguments: StoreKind.allCases
    )
    func fields(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("j", arguments: #"{"n":[1]}"#)
            let claimed = try await store.claim(1, offered: ["x"])
            let queuedAt = try #require(try await store.job("j")?.number("qat"))
            let expected = ClaimedJob(
                attempt: "x",
                id: "j",
                queue: "q",
                number: 1,
                className: "C",
                arguments: Array(#"{"n":[1]}"#.utf8),
                queuedAt: queuedAt,
                isSuspect: false
            )
            #expect(claimed.jobs == [expected])
            let attempt = try #require(try await store.attempt("x"))
            #expect(Set(attempt.fields.keys) == ["sta", "job", "wrk", "que", "nod", "num"])
            #expect(
                [attempt["job"], attempt["wrk"], attempt["que"], attempt["nod"], attempt["num"]] == [
                    "j", "7", "q", "node-1", "1",
                ]
            )
            #expect(try #require(attempt.number("sta")) >= queuedAt)
            let job = try #require(try await store.job("j"))
            #expect(job["att"] == "1" && job["las"] == "x")
            #expect(try await store.set("processing:q") == ["x"])
            #expect(try await store.list("ready:q") == [])
        }
    }

    @Test("a second attempt has the next number and the first as its predecessor", arguments: StoreKind.allCases)
    func chain(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("j")
            let first = try await store.claimOne()
            try await store.finish(first, .shutdown)
            let second = try await store.claimOne()
            #expect(second.number == 2)
            #expect(try await store.attempt(second.attempt)?["prv"] == first.attempt)
            #expect(try await store.attempt(first.attempt)?["prv"] == nil)
        }
    }

    @Test("handoff comes before ready, each from its head; queues in the order given", arguments: StoreKind.allCases)
    func order(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b", "c", "d")
            try await store.enqueue("e", "f", queue: "high")
            try await store.edit { data in
                data.lists["handoff:q"] = ["c", "d"]
                data.lists["ready:q"] = ["a", "b"]
            }
            let first = try await store.claim(5, ["high", "q"])
            #expect(first.jobs.map(\.id) == ["e", "f", "c", "d", "a"])
            #expect(!first.isShort)
            let second = try await store.claim(5, ["high", "q"])
            #expect(second.jobs.map(\.id) == ["b"])
            #expect(second.isShort)
            #expect(try await store.claim(5, ["none"]).isShort)
        }
    }

    @Test("takes at most 128 a call, and no more bytes than wanted, but one job always", arguments: StoreKind.allCases)
    func limits(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            for index in 0..<130 { try await store.enqueue("j\(index)", arguments: "12345") }
            let large = try await store.claim(1, bytes: 2)
            #expect(large.jobs.count == 1)
            let two = try await store.claim(10, bytes: 14)
            #expect(two.jobs.map(\.id) == ["j1", "j2"])
            #expect(!two.isShort)
            try await store.enqueue("k0", "k1", "k2")
            let most = try await store.claim(200)
            #expect(most.jobs.count == 128)
            #expect(!most.isShort)
        }
    }

    @Test("paused queues are left alone and named, also when nothing more is wanted", arguments: StoreKind.allCases)
    func paused(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a")
            try await store.enqueue("b", queue: "p")
            try await store.edit { $0.sets["paused"] = ["p", "elsewhere"] }
            let claimed = try await store.claim(1, ["q", "p"])
            #expect(claimed.jobs.map(\.id) == ["a"])
            #expect(claimed.paused == ["p"])
            #expect(try await store.claim(5, ["p"]) == Exchange(paused: ["p"]))
            try await store.edit { $0.sets["paused"] = nil }
            #expect(try await store.claim(5, ["p"]).jobs.map(\.id) == ["b"])
        }
    }

    @Test("IDs offered again are handed out again, in place of new ones", arguments: StoreKind.allCases)
    func reoffered(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b", "c", "d")
            let lost = try await store.claim(2, offered: ["x", "y"])
            let again = try await store.claim(
                2,
                reoffered: ["x", "y"],
                offered: [],
                as: Voucher(node: "node-1", client: 8)
            )
            #expect(again.jobs == lost.jobs)
            #expect(again.spent == [])
            #expect(try await store.attempt("x")?["wrk"] == "8")
            #expect(try await store.list("ready:q") == ["c", "d"])
            let more = try await store.claim(3, reoffered: ["x", "y"], offered: ["z1", "z2", "z3"])
            #expect(more.jobs.map(\.attempt) == ["x", "y", "z1"])
            #expect(try await store.list("ready:q") == ["d"])
        }
    }

    @Test(
        "an ID of another node, or whose attempt has ended, is not used again and is told of",
        arguments: StoreKind.allCases
    )
    func spent(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b")
            let jobs = try await store.claim(2, offered: ["x", "y"]).jobs
            try await store.finish(jobs[0])
            let before = try await store.snapshot()
            let other = try await store.claim(
                2,
                reoffered: ["x", "y"],
                offered: [],
                as: Voucher(node: "node-2", client: 9)
            )
            #expect(other.jobs == [])
            #expect(Set(other.spent) == ["x", "y"])
            #expect(try await store.snapshot() == before)
        }
    }

    @Test(
        "a fresh ID that has an attempt already, behind one that has none, is passed over",
        arguments: StoreKind.allCases
    )
    func passedOver(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b", "c", "d")
            _ = try await store.claim(2, offered: ["x", "y"])
            let before = try await store.attempt("y")
            let claimed = try await store.claim(4, offered: ["u", "x", "y", "v"])
            #expect(claimed.jobs.map(\.attempt) == ["u", "v"] && claimed.jobs.map(\.id) == ["c", "d"])
            #expect(
                claimed.notices.map(\.sentence) == [
                    "attempt x passed over: its ID has been used before",
                    "attempt y passed over: its ID has been used before",
                ]
            )
            #expect(try await store.attempt("y") == before)
            try await store.enqueue("e")
            #expect(try await store.claim(2, offered: ["w", "x"]).jobs.map(\.attempt) == ["w"])
            try await store.enqueue("f")
            let none = try await store.claim(1, offered: ["y"], as: Voucher(node: "node-2", client: 9))
            #expect(none.jobs == [] && none.spent == ["y"])
        }
    }

    @Test("an ID spent on a damaged job is told of, so that it is not offered for ever", arguments: StoreKind.allCases)
    func spentOnDamaged(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("good")
            try await store.edit { $0.lists["ready:q"] = ["none", "good"] }
            let claimed = try await store.claim(1, reoffered: ["x"], offered: [])
            #expect(claimed.jobs == [])
            #expect(claimed.spent == ["x"])
            #expect(!claimed.isShort)
            #expect(try await store.claim(1).jobs.map(\.id) == ["good"])
        }
    }

    @Test(
        "copies of an ID are dropped, within a claim, while it runs, and after it succeeded",
        arguments: StoreKind.allCases
    )
    func duplicates(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("j", "k")
            try await store.edit { $0.lists["ready:q"] = ["j", "j", "j", "k"] }
            let claimed = try await store.claim(4)
            #expect(claimed.jobs.map(\.id) == ["j", "k"])
            #expect(claimed.notices.count == 2)
            #expect(try await store.list("ready:q") == [])
            try await store.edit { $0.lists["handoff:q"] = ["j"] }
            let running = try await store.claim(1)
            #expect(running.jobs == [] && running.notices.count == 1)
            try await store.finish(claimed.jobs[0])
            try await store.edit { $0.lists["ready:q"] = ["j"] }
            let done = try await store.claim(1)
            #expect(done.jobs == [] && done.notices.count == 1)
            #expect(try await store.job("j")?["att"] == "1")
        }
    }

    @Test("a last attempt that is missing drops nothing", arguments: StoreKind.allCases)
    func missingLastAttempt(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("j")
            try await store.edit { $0.jobs["j"]?["las"] = "trimmed" }
            let job = try await store.claimOne()
            #expect(try await store.attempt(job.attempt)?["prv"] == "trimmed")
        }
    }

    @Test("the same claim sent twice gives the same jobs and takes nothing new", arguments: StoreKind.allCases)
    func sentTwice(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b", "c", "d")
            let first = try await store.claim(2, offered: ["x", "y"])
            let before = try await store.snapshot()
            let second = try await store.claim(2, offered: ["x", "y"])
            #expect(second.jobs == first.jobs && second.jobs.count == 2)
            #expect(try await store.snapshot() == before)
        }
    }

    @Test("a fresh ID whose attempt has ended is given to no other job", arguments: StoreKind.allCases)
    func freshButUsed(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b")
            try await store.finish(try #require(try await store.claim(1, offered: ["x"]).jobs.first))
            let before = try await store.attempt("x")
            let claimed = try await store.claim(1, offered: ["x", "y"])
            #expect(claimed.jobs.map(\.attempt) == ["y"] && claimed.jobs.map(\.id) == ["b"])
            #expect(claimed.spent == ["x"] && claimed.notices.count == 1)
            #expect(try await store.attempt("x") == before)
        }
    }

    @Test("a suspect comes before what waits, and goes back to the head of the queue", arguments: StoreKind.allCases)
    func suspectFirst(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b", "c", "s", "t")
            try await store.edit { data in
                for id in ["s", "t"] {
                    let queued = data.jobs[id]?["qat"]
                    data.jobs[id]?["crs"] = "2"
                    data.jobs[id]?["crt"] = queued
                }
                data.lists["ready:q"] = ["b", "c"]
                data.lists["handoff:q"] = ["a"]
                data.lists["suspects:q"] = ["s", "t"]
            }
            let claimed = try await store.claim(2)
            #expect(claimed.jobs.map(\.id) == ["s", "a"] && claimed.jobs.map(\.isSuspect) == [true, false])
            try await store.finish(claimed.jobs[0], .shutdown)
            #expect(try await store.list("suspects:q") == ["t"])
            #expect(try await store.list("ready:q") == ["s", "b", "c"])
        }
    }

    @Test(
        "a suspect that waits in the queue is taken from there, one at a time, or put aside",
        arguments: StoreKind.allCases
    )
    func suspectsInReady(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("s", "t", "a")
            try await store.edit { data in
                for id in ["s", "t"] {
                    let queued = data.jobs[id]?["qat"]
                    data.jobs[id]?["crs"] = "2"
                    data.jobs[id]?["crt"] = queued
                }
            }
            let busy = try await store.claim(1, mayTakeSuspect: false)
            #expect(busy.jobs.isEmpty && !busy.isShort, "it has seen no more than it had room for")
            #expect(try await store.list("suspects:q") == ["s"])
            let idle = try await store.claim(5)
            #expect(idle.jobs.map(\.id) == ["s", "a"] && idle.isShort)
            #expect(try await store.list("suspects:q") == ["t"])
            #expect(try await store.list("ready:q") == [])
            // Whoever runs one is told that there is nothing for it.
            #expect(try await store.claim(5, mayTakeSuspect: false).isShort)
        }
    }
}
