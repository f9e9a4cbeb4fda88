import BackgroundJobs
import BackgroundJobsTesting
import Testing

@Suite("Conformance: trim", .timeLimit(.minutes(20)))
struct TrimConformance {
    private static let all = Retention(age: .zero, count: nil)
    private static let ending: [TrimmedSet: Ending] = [
        .completed: .completed, .failed: .discarded(error: "E", message: ""), .ended: .cancelled(message: ""),
        .dead: .dead(error: "E", message: ""),
    ]

    /// Five jobs that ended so that they stand in the set, the first one first.
    private func fill(_ store: StoreUnderTest, _ set: TrimmedSet) async throws -> [ClaimedJob] {
        try await store.enqueue("j1", "j2", "j3", "j4", "j5")
        let jobs = try await store.claim(5).jobs
        for job in jobs { try await store.finish(job, try #require(Self.ending[set])) }
        let now = try await store.now()
        try await store.edit { data in
            for (index, job) in jobs.enumerated() {
                let member = set == .dead ? job.id : job.attempt
                data.sortedSets["\(set.rawValue):q"]?[member] = now - Int64(5 - index) * 60_000
            }
        }
        return jobs
    }

    @Test(
        "the oldest beyond the number go, with their jobs, which stay as tombstones",
        arguments: StoreKind.allCases,
        TrimmedSet.allCases
    )
    func byCount(_ kind: StoreKind, _ set: TrimmedSet) async throws {
        try await StoreUnderTest.with(kind) { store in
            let jobs = try await fill(store, set)
            let keep = Retention(age: nil, count: 3)
            #expect(
                try await store.store.trim(set, of: "q", keep: keep, limit: 1, from: 0)
                    == Trimmed(removed: 1, kept: 0, hasMore: true)
            )
            #expect(
                try await store.store.trim(set, of: "q", keep: keep, limit: 500, from: 0)
                    == Trimmed(removed: 1, kept: 0, hasMore: false)
            )
            #expect(
                try await store.store.trim(set, of: "q", keep: keep, limit: 500, from: 0)
                    == Trimmed(removed: 0, kept: 0, hasMore: false)
            )
            let snapshot = try await store.snapshot()
            #expect(snapshot.ranked("\(set.rawValue):q") == jobs[2...].map { set == .dead ? $0.id : $0.attempt })
            #expect(Set(snapshot.attempts.keys) == Set(jobs[2...].map(\.attempt)))
            let ends: [TrimmedSet: String] = [
                .completed: "Completed", .failed: "Discarded", .ended: "Cancelled", .dead: "Dead",
            ]
            for job in jobs[..<2] {
                #expect(snapshot.jobs[job.id]?["end"] == ends[set])
                #expect((290_000...300_000).contains(try #require(try await store.timeToLive(ofJob: job.id))))
            }
            for job in jobs[2...] { #expect(try await store.timeToLive(ofJob: job.id) == nil) }
        }
    }

    @Test("those older than the age go", arguments: StoreKind.allCases, TrimmedSet.allCases)
    func byAge(_ kind: StoreKind, _ set: TrimmedSet) async throws {
        try await StoreUnderTest.with(kind) { store in
            let jobs = try await fill(store, set)
            let keep = Retention(age: .seconds(150), count: 4)
            #expect(try await store.store.trim(set, of: "q", keep: keep, limit: 500, from: 0).removed == 3)
            #expect(try await store.ranked("\(set.rawValue):q") == jobs[3...].map { set == .dead ? $0.id : $0.attempt })
            let nothing = try await store.store.trim(
                set,
                of: "q",
                keep: Retention(age: nil, count: nil),
                limit: 500,
                from: 0
            )
            #expect(nothing == Trimmed(removed: 0, kept: 0, hasMore: false))
            #expect(try await store.store.trim(set, of: "q", keep: Self.all, limit: 500, from: 0).removed == 2)
            #expect(try await store.snapshot().attempts == [:])
        }
    }

    @Test("a tombstone runs nothing and takes no duplicate", arguments: StoreKind.allCases)
    func tombstone(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            _ = try await fill(store, .completed)
            _ = try await store.store.trim(.completed, of: "q", keep: Self.all, limit: 500, from: 0)
            let late = NewJob(id: "j1", queue: "q", className: "C", arguments: [], isIDChosen: true)
            try await store.store.enqueue([late])
            try await store.edit { $0.lists["ready:q"] = ["j2"] }
            #expect(try await store.claim(2).jobs == [])
            #expect(try await store.store.dequeue("j3") == .ended)
        }
    }

    @Test("an attempt that is not its job's last, or whose job goes on, goes alone", arguments: StoreKind.allCases)
    func alone(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("running", "waiting")
            for job in try await store.claim(2).jobs { try await store.finish(job, .shutdown) }
            let running = try await store.claimOne()
            let trimmed = try await store.store.trim(.ended, of: "q", keep: Self.all, limit: 500, from: 0)
            #expect(trimmed == Trimmed(removed: 2, kept: 0, hasMore: false))
            let snapshot = try await store.snapshot()
            #expect(Set(snapshot.attempts.keys) == [running.attempt])
            #expect(snapshot.jobs.values.allSatisfy { $0["end"] == nil })
            #expect(snapshot.expiring.filter { $0.hasPrefix("jobs:") } == [])
            #expect(try await store.claim(1).jobs.map(\.number) == [2])
        }
    }

    @Test(
        "a dead job's last attempt stays until its place in dead goes, and then the whole chain goes",
        arguments: StoreKind.allCases
    )
    func deadChain(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("dead", "other")
            for _ in 0..<2 { try await store.finish(try await store.claimOne(), .shutdown) }
            try await store.reap(try await store.claimOne())
            let last = try await store.claimOne()
            try await store.finish(last, .dead(error: "E", message: ""))
            let other = try await store.claimOne()
            try await store.finish(other, .discarded(error: "E", message: ""))
            let now = try await store.now()
            try await store.edit { data in
                data.sortedSets["failed:q"]?[last.attempt] = 1
                data.sortedSets["failed:q"]?[other.attempt] = now + 60_000
            }
            let kept = try await store.store.trim(
                .failed,
                of: "q",
                keep: Retention(age: nil, count: 0),
                limit: 1,
                from: 0
            )
            #expect(kept == Trimmed(removed: 0, kept: 1, hasMore: true))
            #expect(try await store.attempt(last.attempt) != nil)
            #expect(try await store.store.trim(.dead, of: "q", keep: Self.all, limit: 500, from: 0).removed == 1)
            let snapshot = try await store.snapshot()
            #expect(Set(snapshot.attempts.keys) == [other.attempt])
            #expect(snapshot.sortedSets == ["failed:q": [other.attempt: now + 60_000]])
            #expect(snapshot.jobs["dead"]?["end"] == "Dead")
            #expect(try await store.timeToLive(ofJob: "dead") != nil)
        }
    }

    @Test("a chain ends where something else stands in its place", arguments: StoreKind.allCases)
    func foreignChain(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("running", "dead")
            let running = try await store.claimOne()
            let dead = try await store.claimOne()
            try await store.edit { $0.attempts[dead.attempt]?["prv"] = running.attempt }
            try await store.finish(dead, .dead(error: "E", message: ""))
            #expect(try await store.store.trim(.dead, of: "q", keep: Self.all, limit: 500, from: 0).removed == 1)
            #expect(Set(try await store.snapshot().attempts.keys) == [running.attempt])
        }
    }

    @Test("a chain that damage has made a ring ends too", arguments: StoreKind.allCases)
    func ring(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("dead")
            let job = try await store.claimOne()
            try await store.finish(job, .dead(error: "E", message: ""))
            try await store.edit { $0.attempts[job.attempt]?["prv"] = job.attempt }
            #expect(try await store.store.trim(.dead, of: "q", keep: Self.all, limit: 500, from: 0).removed == 1)
            #expect(try await store.snapshot().attempts.isEmpty)
        }
    }

    @Test("members without hashes go", arguments: StoreKind.allCases, TrimmedSet.allCases)
    func garbage(_ kind: StoreKind, _ set: TrimmedSet) async throws {
        try await StoreUnderTest.with(kind, damaged: ["I8"]) { store in
            try await store.edit { $0.sortedSets["\(set.rawValue):q"] = ["garbage": 1] }
            let trimmed = try await store.store.trim(set, of: "q", keep: Self.all, limit: 500, from: 0)
            #expect(trimmed == Trimmed(removed: 1, kept: 0, hasMore: false))
            #expect(try await store.snapshot().sortedSets == [:])
        }
    }
}
