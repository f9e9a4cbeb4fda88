import BackgroundJobs
import BackgroundJobsTesting
import Testing

/// A chain of `a` and `b`, and `d` if one of them fails.
@Suite("What waits for a job", .timeLimit(.minutes(20)))
struct TiesConformance {
    private func enqueue(_ store: StoreUnderTest, queue: String = "q", due: NewJob.Due? = nil) async throws {
        func job(_ id: String, _ queue: String, _ fields: [JobOptions.Field], due: NewJob.Due? = nil) -> NewJob {
            NewJob(
                id: id,
                queue: queue,
                className: "C",
                arguments: Array("{}".utf8),
                due: due,
                fields: fields,
                isWaiting: id != "a"
            )
        }
        try await store.store.enqueueTogether([
            job("a", "q", [("nxt", "b"), ("onf", "d")]), job("b", queue, [("aft", "a"), ("onf", "d")], due: due),
            job("d", "q", []),
        ])
    }

    @Test("is scheduled, however short it is to wait longer than for that", arguments: StoreKind.allCases)
    func shortDelay(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store, due: .after(milliseconds: 1))
            try await store.finish(store.claimOne())
            #expect(try await store.ranked("scheduled:q") == ["b"])
            let job = try #require(try await store.job("b"))
            #expect(job.number("pat") == job.number("qat").map { $0 + 1 })
            #expect(try await store.list("ready:q").isEmpty)
        }
    }

    @Test("is released into a queue that watchers know by then", arguments: StoreKind.allCases)
    func queueIsNamed(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store, queue: "r")
            #expect(try await store.set("queues") == ["q"])
            try await store.finish(store.claimOne())
            #expect(try await store.list("ready:r") == ["b"])
            #expect(try await store.set("queues") == ["q", "r"])
        }
    }

    @Test("and was to be told of its failure goes with the record of a dead one", arguments: StoreKind.allCases)
    func callbackOfTheDead(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            // As after an end that somebody else has written, who knows nothing of ties.
            try await store.edit { data in
                data.lists["ready:q"] = nil
                data.jobs["a"]?["end"] = "Dead"
                data.sortedSets["dead:q"] = ["a": 1]
            }
            let keep = Retention(age: nil, count: 0)
            #expect(try await store.store.trim(.dead, of: "q", keep: keep, limit: 10, from: 0).removed == 1)
            #expect(try await store.job("b")?["end"] == "Cancelled")
            #expect(try await store.job("d")?["end"] == "Unneeded")
            #expect(try await store.timeToLive(ofJob: "d") != nil)
        }
    }

    @Test("and is not needed: whoever awaits it is told so", arguments: StoreKind.allCases)
    func unneeded(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store)
            let listener = Listener(token: "l", time: .seconds(60))
            #expect(try await store.store.ends(of: ["d"], for: listener) == [nil])
            for _ in 0..<2 { try await store.finish(store.claimOne()) }
            let told = JobEnd(job: "d", end: "Unneeded")
            #expect(try await store.list("notes:l").map { JobEnd(note: $0) } == [told])
            #expect(try await store.store.ends(of: ["d"], for: listener) == [told])
        }
    }
}
