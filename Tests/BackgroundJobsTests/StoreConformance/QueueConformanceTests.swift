import BackgroundJobs
import BackgroundJobsTesting
import Testing

@Suite("Conformance: pause, clear, move", .timeLimit(.minutes(20)))
struct QueueConformance {
    @Test("pause and resume name what they have changed", arguments: StoreKind.allCases)
    func pause(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let first = try await store.store.setPaused(true, ["q", "r", "q"])
            #expect(first == ["q", "r"])
            #expect(try await store.store.setPaused(true, ["r", "s"]) == ["s"])
            #expect(try await store.set("paused") == ["q", "r", "s"])
            #expect(try await store.store.setPaused(false, ["s", "none", "q"]) == ["s", "q"])
            #expect(try await store.set("paused") == ["r"])
            #expect(try await store.store.setPaused(false, []) == [])
        }
    }

    @Test("what a wait took from a paused queue goes back, in its order", arguments: StoreKind.allCases)
    func handoffOfPaused(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b", "c")
            try await store.edit { data in
                data.lists["handoff:q"] = ["a", "b"]
                data.lists["ready:q"] = ["c"]
                data.sets["paused"] = ["q"]
            }
            #expect(try await store.claim(5) == Exchange(paused: ["q"]))
            #expect(try await store.list("ready:q") == ["a", "b", "c"])
            #expect(try await store.list("handoff:q") == [])
        }
    }

    @Test("clear deletes what waits at the head, with its lock, so many at most", arguments: StoreKind.allCases)
    func clear(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let lock = NewJob.Lock(digest: "d", duration: 60_000)
            try await store.store.enqueue([NewJob(id: "a", queue: "q", className: "C", arguments: [], lock: lock)])
            try await store.enqueue("b", "c", "d")
            try await store.enqueue("later", due: .after(milliseconds: 60_000))
            #expect(try await store.store.clear(.ready, of: "q", limit: 3) == WaitingStep(taken: 3, done: 3))
            #expect(try await store.list("ready:q") == ["d"])
            #expect(try await store.store.clear(.ready, of: "q", limit: 3) == WaitingStep(taken: 1, done: 1))
            #expect(try await store.store.clear(.ready, of: "q", limit: 3) == WaitingStep(taken: 0, done: 0))
            #expect(try await store.snapshot().jobs.keys.sorted() == ["later"])
            #expect(try await store.snapshot().locks.isEmpty)
            #expect(try await store.store.clear(.scheduled, of: "q", limit: 3) == WaitingStep(taken: 1, done: 1))
            let left = try await store.snapshot()
            #expect(left.jobs.isEmpty && left.sortedSets.isEmpty && left.lists.isEmpty)
        }
    }

    @Test("what waits for a job that is cleared is cancelled with it, and counted", arguments: StoreKind.allCases)
    func clearChain(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let fields: [[JobOptions.Field]] = [[("nxt", "b")], [("aft", "a")]]
            try await store.store.enqueueTogether(
                zip(["a", "b"], fields).map { id, fields in
                    NewJob(
                        id: id,
                        queue: "q",
                        className: "C",
                        arguments: [],
                        fields: fields,
                        isWaiting: id == "b"
                    )
                }
            )
            #expect(try await store.store.clear(.ready, of: "q", limit: 3) == WaitingStep(taken: 1, done: 1))
            #expect(try await store.job("b")?["end"] == "Cancelled")
            #expect(try await store.counters() == ["cancelled": 1])
        }
    }

    @Test("whoever awaits what is cleared is told that it is not there any more", arguments: StoreKind.allCases)
    func clearAwaited(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a")
            let listener = Listener(token: "l", time: .seconds(60))
            #expect(try await store.store.ends(of: ["a"], for: listener) == [nil])
            _ = try await store.store.clear(.ready, of: "q", limit: 3)
            let note = try #require(try await store.list("notes:l").first)
            #expect(note.contains(#""end":"Missing""#))
        }
    }

    @Test("clear leaves what runs or has ended, and drops its ID", arguments: StoreKind.allCases)
    func clearSecondCopies(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind, damaged: ["I"]) { store in
            try await store.enqueue("runs", "done", "dequeued", "odd", "waits")
            let running = try await store.claim(1).jobs
            let done = try await store.claimOne()
            try await store.finish(done)
            try await store.edit { data in
                data.lists["ready:q"] = ["runs", "done", "dequeued", "gone", "odd", "waits", "waits"]
                data.jobs["dequeued"]?["end"] = "Dequeued"
                data.jobs["odd"]?["que"] = nil
            }
            let step = try await store.store.clear(.ready, of: "q", limit: 500)
            #expect(step.taken == 7 && step.done == 1 && step.problems.count == 1)
            #expect(try await store.snapshot().jobs.keys.sorted() == ["done", "odd", "runs"])
            #expect(try await store.set("processing:q") == [running[0].attempt])
            #expect(try await store.list("ready:q") == [])
        }
    }

    @Test("move takes jobs to the end of another queue, in their order", arguments: StoreKind.allCases)
    func move(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("x", queue: "r")
            try await store.enqueue("h", "a", "b", "c", "s")
            try await store.enqueue("later", due: .at(milliseconds: 1 << 50))
            try await store.edit { data in
                data.lists["handoff:q"] = ["h"]
                data.lists["ready:q"] = ["a", "b", "c"]
                data.lists["suspects:q"] = ["s"]
                data.sets["queues"] = ["q"]
            }
            let verbs = store.store
            #expect(try await verbs.move(.handoff, from: "q", to: "r", limit: 9) == WaitingStep(taken: 1, done: 1))
            #expect(try await verbs.move(.ready, from: "q", to: "r", limit: 2) == WaitingStep(taken: 2, done: 2))
            #expect(try await store.list("ready:q") == ["c"])
            #expect(try await verbs.move(.ready, from: "q", to: "r", limit: 2) == WaitingStep(taken: 1, done: 1))
            #expect(try await verbs.move(.suspects, from: "q", to: "r", limit: 2) == WaitingStep(taken: 1, done: 1))
            #expect(try await verbs.move(.scheduled, from: "q", to: "r", limit: 2) == WaitingStep(taken: 1, done: 1))
            #expect(try await verbs.move(.scheduled, from: "q", to: "r", limit: 2) == WaitingStep(taken: 0, done: 0))
            let snapshot = try await store.snapshot()
            #expect(snapshot.lists == ["ready:r": ["x", "h", "a", "b", "c"], "suspects:r": ["s"]])
            #expect(snapshot.sortedSets == ["scheduled:r": ["later": 1 << 50]])
            #expect(snapshot.sets["queues"] == ["q", "r"])
            #expect(snapshot.jobs.values.allSatisfy { $0["que"] == "r" })
        }
    }

    @Test("what was set aside is moved too, and its place is listed no more", arguments: StoreKind.allCases)
    func movePlaced(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b")
            try await store.edit { data in
                data.lists["ready:q"] = nil
                data.lists["placed:q:on:web1"] = ["a", "b"]
                data.sets["places"] = ["q:on:web1"]
                for id in ["a", "b"] { data.jobs[id]?["pla"] = "on:web1" }
            }
            let verbs = store.store
            #expect(try await verbs.move(.placed, from: "q:on:web1", to: "r", limit: 1).done == 1)
            #expect(try await store.set("places") == ["q:on:web1"])
            #expect(try await verbs.move(.placed, from: "q:on:web1", to: "r", limit: 1).done == 1)
            #expect(try await store.set("places") == [])
            #expect(try await store.list("ready:r") == ["a", "b"])
        }
    }

    @Test("those for some nodes only go too, and are put aside anew elsewhere", arguments: StoreKind.allCases)
    func placed(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            for id in ["a", "b", "c"] {
                let job = NewJob(
                    id: id,
                    queue: "q",
                    className: "C",
                    arguments: Array("{}".utf8),
                    fields: [("on", "elsewhere")]
                )
                try await store.store.enqueue([job])
            }
            _ = try await store.claim(3)
            #expect(try await store.list("placed:q:on:elsewhere") == ["a", "b", "c"])
            let moved = try await store.store.move(.placed, from: "q:on:elsewhere", to: "r", limit: 2)
            #expect(moved == WaitingStep(taken: 2, done: 2))
            #expect(try await store.list("ready:r") == ["a", "b"])
            let first = try await store.job("a")
            #expect(first?["pla"] == nil && first?["que"] == "r")
            let cleared = try await store.store.clear(.placed, of: "q:on:elsewhere", limit: 2)
            #expect(cleared == WaitingStep(taken: 1, done: 1))
            #expect(try await store.job("c") == nil)
            #expect(try await store.set("places").isEmpty)
        }
    }

    @Test(
        "move drops what a claim would drop, and takes along what a claim would record",
        arguments: StoreKind.allCases
    )
    func moveDamaged(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind, damaged: ["I"]) { store in
            try await store.enqueue("runs", "dequeued", "odd", "waits")
            let running = try await store.claimOne()
            try await store.edit { data in
                data.lists["ready:q"] = ["runs", "dequeued", "gone", "odd", "waits", "waits"]
                data.jobs["dequeued"]?["end"] = "Dequeued"
                data.jobs["odd"]?["que"] = nil
            }
            let step = try await store.store.move(.ready, from: "q", to: "r", limit: 500)
            #expect(step.taken == 6 && step.done == 3 && step.problems.count == 1)
            #expect(try await store.list("ready:r") == ["gone", "odd", "waits"])
            #expect(try await store.list("ready:q") == [])
            #expect(try await store.job("dequeued") == nil)
            #expect(try await store.job("runs")?["que"] == "q")
            #expect(try await store.job("gone") == nil, "a hash of it would look like a job")
            #expect(try await store.finish(running) == nil)
            #expect(try await store.claim(3, ["r"]).jobs.map(\.id) == ["odd", "waits"])
        }
    }
}
