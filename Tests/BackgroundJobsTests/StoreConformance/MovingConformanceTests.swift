import BackgroundJobs
import BackgroundJobsTesting
import Testing

@Suite("Conformance: promote, recover, give back", .timeLimit(.minutes(20)))
struct MovingConformance {
    @Test(
        "what is due goes to the tail of ready in the order of its times, so many at most",
        arguments: StoreKind.allCases
    )
    func promote(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("ready", "c", "b", "a", "later")
            let now = try await store.now()
            try await store.edit { data in
                data.lists["ready:q"] = ["ready"]
                data.sortedSets["scheduled:q"] = ["c": 5, "b": 4, "a": 4, "later": now + 3_600_000]
            }
            #expect(try await store.store.promote("q", limit: 2) == Promotion(moved: ["a", "b"], wait: 0))
            #expect(try await store.list("ready:q") == ["ready", "a", "b"])
            let second = try await store.store.promote("q", limit: 2)
            #expect(second.moved == ["c"])
            #expect((3_590_000...3_600_000).contains(try #require(second.wait)))
            #expect(try await store.list("ready:q") == ["ready", "a", "b", "c"])
            #expect(try await store.store.promote("q", limit: 2).moved.isEmpty)
            #expect(try await store.store.promote("none", limit: 2) == Promotion(moved: [], wait: nil))
        }
    }

    @Test("a time in the far future does not overflow", arguments: StoreKind.allCases)
    func farFuture(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("far", due: .at(milliseconds: 1 << 53))
            let promotion = try await store.store.promote("q", limit: 500)
            #expect(promotion.moved.isEmpty)
            #expect(try #require(promotion.wait) > 1 << 52)
        }
    }

    @Test("a burst at one time is moved in steps, each job once", arguments: StoreKind.allCases)
    func burst(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let ids = (0..<1200).map { String("j\(10_000 + $0)") }
            try await store.store.enqueue(
                ids.map { NewJob(id: $0, queue: "q", className: "C", arguments: [], due: .after(milliseconds: 60_000)) }
            )
            try await store.edit { data in
                data.sortedSets["scheduled:q"] = data.sortedSets["scheduled:q"]?.mapValues { _ in 7 }
            }
            var moves: [Int] = []
            repeat { moves.append(try await store.store.promote("q", limit: 500).moved.count) } while moves.last != 0
            #expect(moves == [500, 500, 200, 0])
            #expect(try await store.list("ready:q") == ids)
        }
    }

    @Test("recover keeps the order, and moves only what it took out of handoff", arguments: StoreKind.allCases)
    func recover(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b", "c", "d", "e")
            try await store.edit { data in
                data.lists["handoff:q"] = ["a", "b", "c"]
                data.lists["ready:q"] = ["d", "e"]
            }
            #expect(try await store.store.recover(["x", "a", "c"], in: "q") == ["c", "a"])
            #expect(try await store.list("ready:q") == ["a", "c", "d", "e"])
            #expect(try await store.list("handoff:q") == ["b"])
            #expect(try await store.store.recover(["a", "c"], in: "q") == [])
            #expect(try await store.store.recover([], in: "q") == [])
            #expect(try await store.list("ready:q") == ["a", "c", "d", "e"])
        }
    }

    @Test("an ID that is handed over twice is given back as often as is asked for", arguments: StoreKind.allCases)
    func recoverTwice(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind, damaged: ["I1"]) { store in
            try await store.enqueue("a")
            try await store.edit { data in
                data.lists["handoff:q"] = ["a", "a", "a"]
                data.lists["ready:q"] = nil
            }
            #expect(try await store.store.recover(["a"], in: "q") == ["a"])
            #expect(try await store.list("handoff:q") == ["a", "a"])
            #expect(try await store.store.recover(["a", "a", "a"], in: "q") == ["a", "a"])
            #expect(try await store.list("ready:q") == ["a", "a", "a"])
            #expect(try await store.list("handoff:q") == [])
        }
    }

    @Test(
        "totals and this minute's figures count alike; waiting and running stand in the minute alone",
        arguments: StoreKind.allCases
    )
    func statistics(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b", "c")
            let now = try await store.now()
            try await store.edit { data in
                data.jobs["a"]?["qat"] = "\(now - 60_000)"
                data.jobs["b"]?["qat"] = "\(now - 999_000)"
                data.jobs["b"]?["pat"] = "\(now - 1000)"
            }
            let jobs = try await store.claim(3).jobs
            try await store.finish(jobs[0], after: 30)
            try await store.finish(jobs[1], .dead(error: "E", message: ""), after: 12)
            try await store.finish(jobs[2], .shutdown, after: 5000)
            let snapshot = try await store.snapshot()
            #expect(snapshot.counters["stats:q"] == ["completed": 1, "failed": 1, "dead": 1, "shutdown": 1])
            let minutes = snapshot.counters.filter { $0.key.hasPrefix("stats:q:") }
            #expect(minutes.keys.allSatisfy { snapshot.expiring.contains($0) })
            #expect(!snapshot.expiring.contains("stats:q"))
            var sums: [String: Int64] = [:]
            for minute in minutes.values { sums.merge(minute, uniquingKeysWith: +) }
            let waited = sums.removeValue(forKey: "wait") ?? 0
            #expect((61_000...181_000).contains(waited))
            #expect(sums == ["completed": 1, "failed": 1, "dead": 1, "shutdown": 1, "run": 42])
        }
    }

    @Test("a count that is no number starts again", arguments: StoreKind.allCases)
    func statisticsAfterGarbage(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b")
            let jobs = try await store.claim(2).jobs
            try await store.finish(jobs[0])
            try await store.edit { $0.counters["stats:q"] = ["completed": 41, "mine": 3] }
            try await store.finish(jobs[1])
            #expect(try await store.counters() == ["completed": 42, "mine": 3])
        }
    }
}
