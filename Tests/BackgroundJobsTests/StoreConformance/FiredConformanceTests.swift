import BackgroundJobs
import BackgroundJobsTesting
import Testing

@Suite("Conformance: the jobs of a periodic job", .timeLimit(.minutes(20)))
struct FiredConformance {
    /// What tells how a periodic job stands, or a job, and what is tied to it.
    private static let standing = [
        "own", "mis", "ovl", "unt", "cnt", "tz", "las", "lat", "fis", "ski", "pau", "qat", "pat", "att", "ers", "crs",
        "crt", "cnl", "ori", "unq", "unu", "crn", "due", "nxt", "onf", "bat", "blk", "stp", "flr", "bsm", "aft", "dly",
        "exr", "pla", "plt",
    ]

    private func declare(_ store: StoreUnderTest, first: Int64, _ fields: [String: String] = [:]) async throws {
        let fields = ["exp": "every:60000", "cls": "C", "que": "q", "arg": "{}"].merging(fields) { $1 }
        let declaration = Declaration(name: "p", first: first, fields: fields.mapValues { Array($0.utf8) })
        #expect(
            try await store.store.declare([declaration], by: nil, areAll: false, revives: false).verdicts == [.added]
        )
    }

    @Test("get its options and all that is not its own, and begin anew", arguments: StoreKind.allCases)
    func fields(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let now = try await store.now()
            try await declare(store, first: now - 5, ["ret": "3", "mine": "x", "ttl": "600000"])
            try await store.edit { data in
                for field in Self.standing { data.periodics["p"]?[field] = "7" }
                data.periodics["p"]?["end"] = ""
            }
            let firing = Firing(
                name: "p",
                due: now - 5,
                time: now - 5,
                next: .never("7"),
                expression: "every:60000",
                zone: "7",
                missed: "7",
                until: "7",
                job: "fired"
            )
            #expect(try await store.store.steer("p", .run(job: "ran")) == .done)
            #expect(try await store.store.fire([firing]) == [.fired])
            let ran = try #require(try await store.job("ran"))
            #expect(Set(ran.fields.keys) == ["que", "cls", "arg", "qat", "exp", "crn", "ret", "mine"])
            let fired = try #require(try await store.job("fired"))
            #expect(Set(fired.fields.keys) == Set(ran.fields.keys).union(["due"]))
            #expect(fired["crn"] == "p" && fired["due"] == "\(now - 5)")
            #expect(fired.number("exp") == fired.number("qat").map { $0 + 600_000 })
        }
    }

    @Test("leave a time out for good where that is wanted and one of them waits", arguments: StoreKind.allCases)
    func leftOut(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let now = try await store.now()
            try await declare(store, first: now - 5, ["ovl": "skip"])
            #expect(try await store.store.steer("p", .run(job: "a")) == .done)
            let firing = Firing(
                name: "p",
                due: now - 5,
                time: now - 5,
                next: .at(now + 60_000),
                expression: "every:60000",
                job: "b"
            )
            #expect(try await store.store.fire([firing]) == [.skipped])
            #expect(try await store.snapshot().sortedSets["crons"] == ["p": now + 60_000])
            #expect(try await store.store.fire([firing]) == [.taken])
            #expect(try await store.list("ready:q") == ["a"])
        }
    }

    @Test("can be run by hand when it has ended, or is paused", arguments: StoreKind.allCases)
    func ended(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await declare(store, first: 1 << 50)
            #expect(try await store.store.steer("p", .pause) == .done)
            #expect(try await store.store.steer("p", .run(job: "a")) == .done)
            #expect(try await store.store.steer("p", .end(reason: "enough")) == .done)
            #expect(try await store.store.steer("p", .run(job: "b")) == .done)
            #expect(try await store.list("ready:q") == ["a", "b"])
            #expect(try await store.snapshot().sortedSets["crons"] == ["p": StoreSnapshot.never])
        }
    }

    @Test("are none where it lacks what it takes, by hand either", arguments: StoreKind.allCases)
    func byHand(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await declare(store, first: 1 << 50)
            let damage: [(String, String?)] = [("cls", nil), ("cls", ""), ("que", nil), ("que", "a b")]
            for (field, value) in damage {
                try await store.edit { data in
                    data.periodics["p"]?["cls"] = "C"
                    data.periodics["p"]?["que"] = "q"
                    data.periodics["p"]?[field] = value
                }
                await #expect(throws: BackgroundError.self) { try await store.store.steer("p", .run(job: "j")) }
            }
            let snapshot = try await store.snapshot()
            #expect(snapshot.jobs.isEmpty && snapshot.lists.isEmpty && snapshot.periodics["p"]?["las"] == nil)
        }
    }
}
