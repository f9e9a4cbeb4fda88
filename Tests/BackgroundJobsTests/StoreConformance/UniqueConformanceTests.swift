import BackgroundJobs
import BackgroundJobsTesting
import Testing

@Suite("Conformance: uniqueness locks", .timeLimit(.minutes(20)))
struct UniqueConformance {
    /// Enqueues a job under the lock `d`; returns the job that holds it, if that is another.
    @discardableResult
    private func enqueue(
        _ store: StoreUnderTest,
        _ id: String,
        arguments: String = "{}",
        due: NewJob.Due? = nil,
        digest: String = "d",
        duration: Int64 = 60_000,
        until: Uniqueness.End = .finished,
        duplicate: Uniqueness.Duplicate = .skip
    ) async throws -> String? {
        let lock = NewJob.Lock(digest: digest, duration: duration, until: until, duplicate: duplicate)
        var job = NewJob(id: id, queue: "q", className: "C", arguments: Array(arguments.utf8), due: due)
        job.lock = lock
        return try await store.store.enqueue([job])[id]?.id
    }

    private func finish(_ store: StoreUnderTest, _ job: ClaimedJob, _ ending: Ending) async throws {
        let finish = Finish(
            attempt: job.attempt,
            queue: job.queue,
            job: job.id,
            milliseconds: 1,
            ending: ending,
            hasTies: job.hasTies
        )
        #expect(try await store.store.exchange([finish], .none, as: StoreUnderTest.voucher).exceptions.isEmpty)
    }

    private func holder(_ store: StoreUnderTest) async throws -> String? {
        try await store.snapshot().locks["unique:d"]
    }

    @Test("a second job is not queued while the first one waits or runs", arguments: StoreKind.allCases)
    func duplicates(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            #expect(try await enqueue(store, "a") == nil)
            #expect(try await enqueue(store, "b") == "a")
            #expect(try await store.job("b") == nil)
            #expect(try await enqueue(store, "other", digest: "e") == nil)
            #expect(try await enqueue(store, "a") == nil, "it knows itself again")
            #expect(try await store.list("ready:q") == ["a", "other"])
            let job = try await store.claimOne()
            #expect(try await enqueue(store, "b") == "a")
            try await finish(store, job, .completed)
            #expect(try await holder(store) == nil)
            #expect(try await enqueue(store, "b") == nil)
            #expect(try await store.snapshot().expiring.contains("unique:d"))
        }
    }

    @Test("an ID that was taken out of a long list is used again as new", arguments: StoreKind.allCases)
    func usedAgain(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", queue: "other")
            try await store.edit { data in
                data.lists["ready:other"] = nil
                data.jobs["a"]?["end"] = "Dequeued"
                for field in ["att", "ers", "crs", "crt", "cnl", "plt"] { data.jobs["a"]?[field] = "2" }
                data.jobs["a"]?["pla"] = "on:web1"
            }
            #expect(try await enqueue(store, "a") == nil)
            #expect(try await store.list("ready:q") == ["a"])
            #expect(Set(try #require(try await store.job("a")).fields.keys) == ["que", "cls", "arg", "qat", "unq"])
        }
    }

    @Test(
        "every outcome releases the lock, and a retry does not",
        arguments: [
            Ending.completed, .dead(error: "E", message: ""), .discarded(error: "E", message: ""),
            .cancelled(message: ""),
        ],
        StoreKind.allCases
    )
    func outcomes(_ ending: Ending, _ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store, "a")
            for transient in [
                Ending.retried(error: "E", message: "", after: 0, queue: "q"), .snoozed(after: 0), .shutdown, .unbegun,
                .crashed(message: ""),
            ] {
                try await finish(store, try await store.claimOne(), transient)
                #expect(try await holder(store) == "a")
                _ = try await store.store.promote("q", limit: 5)
            }
            try await store.reap(try await store.claimOne())
            #expect(try await holder(store) == "a")
            try await finish(store, try await store.claimOne(), ending)
            #expect(try await holder(store) == nil)
        }
    }

    @Test("being taken out, by whomever, releases the lock", arguments: StoreKind.allCases)
    func takenOut(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store, "a")
            #expect(try await store.store.dequeue("a") == .dequeued)
            #expect(try await holder(store) == nil)
            try await enqueue(store, "b")
            #expect(try await store.store.cancel("b", recordedAs: "x") == .cancelled)
            #expect(try await holder(store) == nil)
            try await enqueue(store, "c")
            for _ in 0..<4 { try await store.reap(try await store.claimOne()) }
            #expect(try await store.job("c")?["end"] == "Dead")
            #expect(try await holder(store) == nil)
        }
    }

    @Test("a success releases the lock, though the job had ended before", arguments: StoreKind.allCases)
    func lateSuccess(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind, damaged: ["I1"]) { store in
            try await enqueue(store, "a")
            let job = try await store.claimOne()
            try await store.edit { $0.jobs["a"]?["end"] = "Discarded" }
            try await finish(store, job, .completed)
            #expect(try await holder(store) == nil)
        }
    }

    @Test("a lock until the start is released by the first attempt", arguments: StoreKind.allCases)
    func untilStarted(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store, "a", until: .started)
            let job = try await store.claimOne()
            #expect(try await holder(store) == nil)
            #expect(try await enqueue(store, "b", until: .started) == nil)
            try await finish(store, job, .completed)
            #expect(try await holder(store) == "b", "nobody frees another's lock")
        }
    }

    @Test("a lock whose holder is gone or has ended holds nothing", arguments: StoreKind.allCases)
    func stale(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.edit { $0.locks["unique:d"] = "nobody" }
            #expect(try await enqueue(store, "a") == nil)
            let job = try await store.claimOne()
            // By a worker that knows nothing of locks.
            try await store.finish(job, hasTies: false)
            #expect(try await holder(store) == "a")
            #expect(try await enqueue(store, "b") == nil)
            #expect(try await holder(store) == "b")
        }
    }

    @Test(
        "a duplicate may replace the arguments of the job that waits, its time, or both",
        arguments: StoreKind.allCases
    )
    func replacing(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store, "a", arguments: "1")
            #expect(try await enqueue(store, "b", arguments: "2", duplicate: .replaceArguments) == "a")
            #expect(try await store.job("a")?["arg"] == "2")
            #expect(try await store.list("ready:q") == ["a"])
            let later = NewJob.Due.after(milliseconds: 60_000)
            #expect(try await enqueue(store, "b", arguments: "3", due: later, duplicate: .replaceTime) == "a")
            #expect(try await store.job("a")?["arg"] == "2")
            #expect(try await store.ranked("scheduled:q") == ["a"])
            #expect(try await store.list("ready:q").isEmpty)
            #expect(try await enqueue(store, "b", arguments: "4", duplicate: .replace) == "a")
            #expect(try await store.job("a")?["arg"] == "4")
            #expect(try await store.list("ready:q") == ["a"])
            try await store.edit { data in
                let due = data.jobs["a"]?.number("pat") ?? 0
                data.jobs["a"]?["exp"] = "\(due + 600_000)"
            }
            #expect(try await enqueue(store, "b", due: .after(milliseconds: 0), duplicate: .replaceTime) == "a")
            let moved = try #require(try await store.job("a"))
            #expect(
                moved.number("exp") == moved.number("pat").map { $0 + 600_000 },
                "it expires as long after its new time"
            )
            _ = try await store.claimOne()
            #expect(try await enqueue(store, "b", arguments: "5", due: later, duplicate: .replace) == "a")
            #expect(try await store.job("a")?["arg"] == "4", "what runs is not changed")
            #expect(try await store.ranked("scheduled:q").isEmpty)
        }
    }

    @Test(
        "a list of more than 10,000 is not searched for the job whose time is to be replaced",
        arguments: StoreKind.allCases
    )
    func longList(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store, "a")
            let others = (1...10_000).map { "o\($0)" }
            try await store.edit { $0.lists["ready:q"] = others + ["a"] }
            let later = NewJob.Due.after(milliseconds: 60_000)
            #expect(try await enqueue(store, "b", due: later, duplicate: .replaceTime) == "a")
            #expect(try await store.list("ready:q") == others + ["a"])
            #expect(try await store.ranked("scheduled:q").isEmpty)
            #expect(try await store.job("a")?["pat"] == nil)
            try await store.edit { $0.lists["ready:q"]?.removeFirst() }
            #expect(try await enqueue(store, "b", due: later, duplicate: .replaceTime) == "a")
            #expect(try await store.list("ready:q") == Array(others.dropFirst()))
            #expect(try await store.ranked("scheduled:q") == ["a"])
            // They are names alone.
            try await store.edit { $0.lists["ready:q"] = nil }
        }
    }
}
