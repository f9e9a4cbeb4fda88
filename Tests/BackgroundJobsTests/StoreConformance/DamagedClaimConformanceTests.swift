import BackgroundJobs
import BackgroundJobsTesting
import Testing

@Suite("Conformance: claiming what is damaged", .timeLimit(.minutes(20)))
struct DamagedClaimConformance {
    @Test(
        "an ID without a hash is recorded as an attempt that never began, and the next one is taken",
        arguments: StoreKind.allCases
    )
    func missingHash(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("good")
            try await store.edit { $0.lists["ready:q"] = ["none", "none", "good"] }
            let claimed = try await store.claim(3, offered: ["x", "y", "z"])
            #expect(claimed.jobs.map(\.attempt) == ["y"])
            #expect(claimed.notices.count == 2)
            let attempt = try #require(try await store.attempt("x"))
            #expect(
                Set(attempt.fields.keys) == ["sta", "job", "wrk", "que", "nod", "num", "fin", "time", "err", "msg"]
            )
            #expect(attempt["err"] == "Job Not Found" && attempt["num"] == "0" && attempt["job"] == "none")
            #expect(try await store.ranked("failed:q") == ["x"])
            #expect(try await store.set("processing:q") == ["y"])
            #expect(try await store.counters() == ["missing": 1])
            #expect(try await store.job("none") == nil)
        }
    }

    @Test("a hash without a class ends as a bad job", arguments: StoreKind.allCases, [nil, ""] as [String?])
    func noClass(_ kind: StoreKind, _ className: String?) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("bad")
            try await store.edit { data in
                data.jobs["bad"]?["cls"] = className
                data.jobs["bad"]?["las"] = "before"
            }
            let claimed = try await store.claim(1, offered: ["x"])
            #expect(claimed.jobs == [])
            let job = try #require(try await store.job("bad"))
            #expect(job["end"] == "Bad Job" && job["las"] == "x" && job["att"] == nil)
            let attempt = try #require(try await store.attempt("x"))
            #expect(attempt["err"] == "Bad Job" && attempt["num"] == "0" && attempt["prv"] == "before")
            #expect(try await store.counters() == ["bad": 1])
        }
    }

    @Test(
        "a job that has ended is dropped",
        arguments: StoreKind.allCases,
        ["Dead", "Cancelled", "Discarded", "Completed"]
    )
    func ended(_ kind: StoreKind, _ end: String) async throws {
        try await StoreUnderTest.with(kind, damaged: ["I1", "I9"]) { store in
            try await store.enqueue("over", "good")
            try await store.edit { $0.jobs["over"]?["end"] = end }
            let claimed = try await store.claim(2)
            #expect(claimed.jobs.map(\.id) == ["good"])
            #expect(claimed.notices.count == (end == "Cancelled" ? 0 : 1))
            #expect(try await store.job("over")?["end"] == end)
            #expect(try await store.list("ready:q") == [])
        }
    }

    @Test(
        "numbers that are none count as absent, and are told of where they matter",
        arguments: StoreKind.allCases,
        ["abc", "", "1e400", "-1", "1180591620717411303424", "nan"]
    )
    func noNumbers(_ kind: StoreKind, _ garbage: String) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("j")
            try await store.edit { data in
                for field in ["qat", "att", "pat"] { data.jobs["j"]?[field] = garbage }
            }
            let claimed = try await store.claim(1)
            #expect(claimed.jobs.map(\.number) == [1])
            #expect(claimed.notices.count == 3)
            #expect(try await store.job("j")?["att"] == "1")
            #expect(try await store.snapshot().counters.values.allSatisfy { $0["wait"] == nil })
        }
    }

    @Test("without offers left the claim says that there is more", arguments: StoreKind.allCases)
    func noOffers(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b")
            let claimed = try await store.claim(2, offered: ["x"])
            #expect(claimed.jobs.map(\.id) == ["a"])
            #expect(!claimed.isShort)
            #expect(try await store.list("ready:q") == ["b"])
        }
    }

    @Test("what was dropped from the head of a list does not hide what is behind it", arguments: StoreKind.allCases)
    func behindDropped(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind, damaged: ["I1", "I9"]) { store in
            try await store.enqueue("over", "good")
            try await store.edit { $0.jobs["over"]?["end"] = "Discarded" }
            let first = try await store.claim(1)
            #expect(first.jobs == [] && !first.isShort)
            #expect(try await store.claim(1).jobs.map(\.id) == ["good"])
        }
    }

    private static let huge = [UInt8](repeating: 0x20, count: 16 << 20 | 1)

    @Test("arguments beyond the limit end a job as a bad one and hold up nothing", arguments: StoreKind.allCases)
    func tooLarge(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("huge", "good")
            try await store.edit { data in
                data.jobs["huge"]?.fields["arg"] = Self.huge
                data.jobs["good"]?.fields["arg"] = Array(Self.huge.dropLast())
            }
            let claimed = try await store.claim(2, offered: ["x", "y"])
            #expect(claimed.jobs.map(\.id) == ["good"], "just as much as may be")
            #expect(try await store.job("huge")?["end"] == "Bad Job")
            let message = "the arguments have 16777217 bytes, and the limit is 16777216"
            #expect(try await store.attempt("x")?["msg"] == message)
            #expect(try await store.ranked("failed:q") == ["x"])
        }
    }

    @Test("an attempt is not handed out again with arguments beyond the limit", arguments: StoreKind.allCases)
    func tooLargeAgain(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b")
            _ = try await store.claim(2, offered: ["x", "y"])
            let listener = Listener(token: "l", time: .seconds(60))
            #expect(try await store.store.ends(of: ["a", "b"], for: listener) == [nil, nil])
            try await store.edit { data in
                for id in ["a", "b"] { data.jobs[id]?.fields["arg"] = Self.huge }
            }
            let again = try await store.claim(1, reoffered: ["x"], offered: [])
            #expect(again.jobs == [] && again.spent == ["x"] && again.notices.count == 1)
            let adoption = Adoption(queues: ["q"], attempts: [], offered: ["y"])
            let adopted = try await store.store.adopt(adoption, as: StoreUnderTest.voucher)
            #expect(adopted == Adopted(verdicts: ["y": .lost], granted: []))
            #expect(Set(try await store.ranked("failed:q")) == ["x", "y"])
            #expect(try await store.set("processing:q") == [])
            for id in ["a", "b"] { #expect(try await store.job(id)?["end"] == "Bad Job") }
            #expect(try await store.counters() == ["bad": 2])
            let told = try await store.list("notes:l").compactMap { JobEnd(note: $0) }
            #expect(told.map(\.job) == ["a", "b"] && told.allSatisfy { $0.error == "Bad Job" })
        }
    }
}
