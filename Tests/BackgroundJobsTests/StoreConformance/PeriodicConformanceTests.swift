import BackgroundJobs
import BackgroundJobsTesting
import Testing

/// Periodic jobs: declare, due, fire, steer.
@Suite("Conformance: periodic jobs", .timeLimit(.minutes(20)))
struct PeriodicConformance {
    private static func declaration(
        _ name: String,
        first: Int64,
        _ more: [String: String] = [:]
    ) -> Declaration {
        let fields = ["exp": "every:60000", "cls": "C", "que": "q", "arg": #"{"n":1}"#].merging(more) { $1 }
        return Declaration(name: name, first: first, fields: fields.mapValues { Array($0.utf8) })
    }

    private static func firing(
        _ name: String,
        due: Int64,
        as job: String,
        next: Int64? = nil,
        passesOver: Bool = false
    ) -> Firing {
        Firing(
            name: name,
            due: due,
            time: passesOver ? nil : due,
            next: .at(next ?? due + 60_000),
            expression: "every:60000",
            job: job
        )
    }

    private static func declare(
        _ declarations: [Declaration],
        by owner: String? = nil,
        areAll: Bool = false,
        revives: Bool = false,
        _ store: StoreUnderTest
    ) async throws -> [Declared.Verdict] {
        try await store.store.declare(declarations, by: owner, areAll: areAll, revives: revives).verdicts
    }

    private static func score(_ name: String, _ store: StoreUnderTest) async throws -> Int64? {
        try await store.snapshot().sortedSets["crons"]?[name]
    }

    @Test("a job is fired when its time has come, once, and the next time is set", arguments: StoreKind.allCases)
    func fires(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let now = try await store.now()
            let options = ["ret": "3", "tmo": "500", "ttl": "600000", "own": "p", "mis": "none"]
            #expect(
                try await Self.declare([Self.declaration("p", first: now - 5, options)], by: "p", store) == [.added]
            )
            let due = try await store.store.due(limit: 10, offset: 0)
            #expect(due.wait == nil && due.now >= now)
            #expect(
                due.entries == [
                    .init(
                        name: "p",
                        due: now - 5,
                        fields: .read(["exp": "every:60000", "que": "q", "cls": "C", "mis": "none"])
                    )
                ]
            )
            var firing = Self.firing("p", due: now - 5, as: "j")
            firing.missed = "none"
            #expect(try await store.store.fire([firing, Self.firing("p", due: now - 5, as: "k")]) == [.fired, .taken])
            #expect(try await store.store.fire([firing]) == [.taken])
            #expect(try await store.list("ready:q") == ["j"])
            #expect(try await store.set("queues") == ["q"])
            #expect(try await store.job("k") == nil)
            let job = try #require(try await store.job("j"))
            let queued = try #require(job.number("qat"))
            #expect(job["cls"] == "C" && job["arg"] == #"{"n":1}"# && job["crn"] == "p" && job["due"] == "\(now - 5)")
            #expect(job["ret"] == "3" && job["tmo"] == "500" && job["exp"] == "\(queued + 600_000)")
            #expect(Set(job.fields.keys) == ["qat", "crn", "due", "exp", "que", "cls", "arg", "ret", "tmo"])
            let periodic = try #require(try await store.snapshot().periodics["p"])
            #expect(periodic["las"] == "j" && periodic["lat"] == "\(now - 5)" && periodic["fis"] == "1")
            #expect(try await Self.score("p", store) == now - 5 + 60_000)
            let after = try await store.store.due(limit: 10, offset: 0)
            #expect(after.entries.isEmpty && after.wait.map { (1...60_000).contains($0) } == true)
            let claimed = try await store.claimOne()
            #expect(claimed.fields["crn"] == "p" && claimed.fields["due"] == "\(now - 5)")
        }
    }

    @Test("nothing is fired that is not due as judged", arguments: StoreKind.allCases)
    func conditions(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let now = try await store.now()
            _ = try await Self.declare(
                [
                    Self.declaration("early", first: now + 100_000),
                    Self.declaration("other", first: now, ["exp": "@daily"]),
                    Self.declaration("zone", first: now, ["tz": "Europe/Berlin"]),
                    Self.declaration("paused", first: now),
                    Self.declaration("over", first: now), Self.declaration("passed", first: now),
                ],
                store
            )
            try await store.edit { data in
                data.periodics["paused"]?["pau"] = "1"
                data.periodics["over"]?["end"] = "enough"
            }
            let verdicts = try await store.store.fire([
                Self.firing("early", due: now + 100_000, as: "a"), Self.firing("other", due: now, as: "b"),
                Self.firing("zone", due: now, as: "c"), Self.firing("paused", due: now, as: "d"),
                Self.firing("over", due: now, as: "e"), Self.firing("nobody", due: now, as: "f"),
                Self.firing("passed", due: now - 1, as: "g"),
                Self.firing("passed", due: now, as: "h", passesOver: true),
            ])
            #expect(verdicts == [.early, .taken, .taken, .rested, .rested, .taken, .taken, .passed])
            #expect(try await store.list("ready:q") == [])
            #expect(try await Self.score("paused", store) == StoreSnapshot.never)
            #expect(try await Self.score("over", store) == StoreSnapshot.never)
            #expect(try await Self.score("passed", store) == now + 60_000)
            #expect(try await store.snapshot().periodics["passed"]?["fis"] == nil)
            #expect(try await store.store.due(limit: 10, offset: 0).entries.map(\.name).sorted() == ["other", "zone"])
            #expect(try await store.store.due(limit: 10, offset: 1).entries.count == 1)
            #expect(try await store.store.due(limit: 1, offset: 0).entries.count == 1)
        }
    }

    @Test("a count and an end are the end, and what was fired stays", arguments: StoreKind.allCases)
    func ends(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let now = try await store.now()
            _ = try await Self.declare(
                [Self.declaration("count", first: now, ["cnt": "2"]), Self.declaration("until", first: now)],
                store
            )
            var last = Self.firing("until", due: now, as: "u")
            last.next = .never("until")
            let verdicts = try await store.store.fire([
                Self.firing("count", due: now, as: "a", next: now), Self.firing("count", due: now, as: "b"), last,
            ])
            #expect(verdicts == [.fired, .fired, .fired])
            let periodics = try await store.snapshot().periodics
            #expect(periodics["count"]?["end"] == "count" && periodics["until"]?["end"] == "until")
            #expect(try await store.list("ready:q") == ["a", "b", "u"])
            let scores = try await store.snapshot().sortedSets["crons"]
            #expect(scores == ["count": StoreSnapshot.never, "until": StoreSnapshot.never])
            let due = try await store.store.due(limit: 10, offset: 0)
            #expect(due.entries.isEmpty && due.wait == nil)
        }
    }

    @Test("while the job before waits or runs a time is left out, where that is wanted", arguments: StoreKind.allCases)
    func overlap(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let now = try await store.now()
            _ = try await Self.declare([Self.declaration("p", first: now, ["ovl": "skip"])], store)
            func fire(_ job: String) async throws -> Fired? {
                try await store.store.fire([Self.firing("p", due: now, as: job, next: now)]).first
            }
            #expect(try await fire("a") == .fired)
            #expect(try await fire("b") == .skipped, "it waits")
            let running = try await store.claimOne()
            #expect(try await fire("b") == .skipped, "it runs")
            try await store.finish(running, .retried(error: "E", message: "", after: 100_000, queue: nil))
            #expect(try await fire("b") == .skipped, "it is to be retried")
            try await store.edit { data in
                data.sortedSets["scheduled:q"] = nil
                data.lists["ready:q"] = ["a"]
            }
            try await store.finish(try await store.claimOne())
            #expect(try await fire("b") == .fired)
            let periodic = try #require(try await store.snapshot().periodics["p"])
            #expect(periodic["ski"] == "3" && periodic["fis"] == "2" && periodic["las"] == "b")
            // One that was deleted is no hindrance.
            #expect(try await store.store.dequeue("b") == .dequeued)
            #expect(try await fire("c") == .fired)
        }
    }

    @Test("what is declared again as it was goes on as it stands", arguments: StoreKind.allCases)
    func unchanged(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let now = try await store.now()
            let first = Self.declaration("p", first: now, ["own": "a"])
            #expect(try await Self.declare([first], by: "a", areAll: true, store) == [.added])
            _ = try await store.store.fire([Self.firing("p", due: now, as: "j")])
            let before = try await store.snapshot()
            let again = Self.declaration("p", first: now + 7, ["own": "a"])
            #expect(try await Self.declare([again], by: "a", areAll: true, store) == [.unchanged])
            #expect(try await store.snapshot().periodics == before.periodics)
            #expect(try await Self.score("p", store) == now + 60_000)

            let changed = Self.declaration("p", first: now + 9, ["own": "a", "ret": "1"])
            #expect(try await Self.declare([changed], by: "a", areAll: true, store) == [.changed])
            #expect(try await Self.score("p", store) == now + 9)
            let periodic = try #require(try await store.snapshot().periodics["p"])
            #expect(periodic["ret"] == "1" && periodic["fis"] == nil && periodic["las"] == "j")
            #expect(try await Self.declare([again], by: "a", areAll: true, store) == [.changed])
            #expect(try await store.snapshot().periodics["p"]?["ret"] == nil)

            // The set alone was lost.
            try await store.edit { $0.sortedSets["crons"] = nil }
            #expect(try await Self.declare([again], by: "a", store) == [.unchanged])
            #expect(try await Self.score("p", store) == now + 7)
        }
    }

    @Test("an owner's others are removed, those of others are left alone", arguments: StoreKind.allCases)
    func owners(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let now = try await store.now()
            func own(_ name: String, _ owner: String) -> Declaration {
                Self.declaration(name, first: now, ["own": owner])
            }
            _ = try await Self.declare([own("a1", "a"), own("a2", "a"), own("z1", "a")], by: "a", areAll: true, store)
            _ = try await Self.declare([own("b1", "b")], by: "b", areAll: true, store)
            _ = try await Self.declare([Self.declaration("hand", first: now)], store)
            let declared = try await store.store.declare(
                [own("a2", "a"), own("a3", "a"), own("b1", "a"), own("hand", "a")],
                by: "a",
                areAll: true,
                revives: false
            )
            #expect(declared.verdicts == [.unchanged, .added, .foreign("b"), .foreign("")])
            #expect(declared.removed == ["a1", "z1"])
            #expect(try await store.snapshot().periodics.keys.sorted() == ["a2", "a3", "b1", "hand"])
            #expect(try await store.ranked("crons") == ["a2", "a3", "b1", "hand"])
            #expect(try await Self.declare([Self.declaration("b1", first: now)], store) == [.foreign("b")])
            let none = try await store.store.declare([], by: "a", areAll: true, revives: false)
            #expect(none.removed.sorted() == ["a2", "a3"])
        }
    }

    @Test("by hand: pause, resume, end, run, remove", arguments: StoreKind.allCases)
    func steering(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let now = try await store.now()
            let p = Self.declaration("p", first: now)
            _ = try await Self.declare([p], store)
            func steer(_ action: PeriodicAction) async throws -> PeriodicVerdict {
                try await store.store.steer("p", action)
            }
            let resume = PeriodicAction.resume(next: now + 50, expression: "every:60000", zone: "")
            #expect(try await steer(resume) == .idle)
            #expect(try await steer(.pause) == .done)
            #expect(try await steer(.pause) == .done)
            #expect(try await Self.score("p", store) == StoreSnapshot.never)
            #expect(try await Self.declare([Self.declaration("p", first: now, ["ret": "2"])], store) == [.changed])
            #expect(try await Self.score("p", store) == StoreSnapshot.never, "it stays paused")
            #expect(try await steer(.resume(next: 5, expression: "@daily", zone: "")) == .changed)
            #expect(try await steer(.resume(next: 5, expression: "every:60000", zone: "Europe/Berlin")) == .changed)
            #expect(try await steer(.run(job: "r")) == .done)
            #expect(try await steer(.run(job: "r")) == .done)
            #expect(try await store.list("ready:q") == ["r"])
            let job = try #require(try await store.job("r"))
            #expect(job["crn"] == "p" && job["due"] == nil && job["ret"] == "2")
            #expect(try await steer(resume) == .done)
            #expect(try await Self.score("p", store) == now + 50)
            #expect(try await steer(.end(reason: "enough")) == .done)
            #expect(try await steer(.end(reason: "more")) == .ended)
            #expect(try await steer(.pause) == .ended)
            #expect(try await steer(resume) == .ended)
            let ended = try #require(try await store.snapshot().periodics["p"])
            #expect(ended["end"] == "enough" && ended["las"] == "r" && ended["fis"] == nil)
            let same = Self.declaration("p", first: now + 1, ["ret": "2"])
            #expect(try await Self.declare([same], store) == [.unchanged])
            #expect(try await Self.score("p", store) == StoreSnapshot.never)
            #expect(try await Self.declare([same], revives: true, store) == [.changed])
            #expect(try await Self.score("p", store) == now + 1)
            #expect(try await steer(.remove) == .done)
            #expect(try await steer(.remove) == .missing)
            for action in [PeriodicAction.pause, resume, .end(reason: "x"), .run(job: "s")] {
                #expect(try await steer(action) == .missing)
            }
            #expect(try await store.snapshot().periodics.isEmpty)
        }
    }

    @Test(
        "one that lacks what it takes, or whose count is none, is not fired and holds up nobody",
        arguments: StoreKind.allCases
    )
    func damage(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let now = try await store.now()
            let names = ["class", "queue", "count", "sound"]
            _ = try await Self.declare(names.map { Self.declaration($0, first: now) }, store)
            try await store.edit { data in
                data.periodics["class"]?["cls"] = nil
                data.periodics["queue"]?["que"] = nil
                data.periodics["count"]?["cnt"] = "many"
            }
            let verdicts = try await store.store.fire(names.map { Self.firing($0, due: now, as: "j-\($0)") })
            #expect(
                verdicts.map { if case .damaged = $0 { "damaged" } else { "\($0)" } }
                    == ["damaged", "damaged", "damaged", "fired"]
            )
            #expect(try await store.list("ready:q") == ["j-sound"])
            #expect(try await store.store.due(limit: 9, offset: 0).entries.map(\.name) == ["class", "count", "queue"])
        }
    }
}
