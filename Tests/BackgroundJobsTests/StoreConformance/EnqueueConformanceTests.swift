import BackgroundJobs
import BackgroundJobsTesting
import Testing

@Suite("Conformance: enqueue and dequeue", .timeLimit(.minutes(20)))
struct EnqueueConformance {
    @Test("a job is written with all its fields and goes to the tail of ready", arguments: StoreKind.allCases)
    func fields(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let before = try await store.now()
            try await store.enqueue("j1", "j2", arguments: #"{"n":1}"#)
            let after = try await store.now()
            let job = try #require(try await store.job("j1"))
            #expect(Set(job.fields.keys) == ["que", "cls", "arg", "qat"])
            #expect(job["que"] == "q" && job["cls"] == "C" && job["arg"] == #"{"n":1}"#)
            // The producer's reading of the server's clock is a whole millisecond off at most, on either side.
            #expect((before - 1...after + 1).contains(try #require(job.number("qat"))))
            #expect(try await store.list("ready:q") == ["j1", "j2"])
            #expect(try await store.set("queues") == ["q"])
        }
    }

    @Test("a job that is due later goes to scheduled, one that is due goes to ready", arguments: StoreKind.allCases)
    func scheduled(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let now = try await store.now()
            try await store.enqueue("later", due: .after(milliseconds: 3_600_000))
            try await store.enqueue("far", due: .at(milliseconds: 1 << 53))
            try await store.enqueue("past", due: .at(milliseconds: now - 1000))
            #expect(try await store.ranked("scheduled:q") == ["later", "far"])
            #expect(try await store.list("ready:q") == ["past"])
            let later = try #require(try await store.job("later")?.number("pat"))
            let after = try await store.now()
            #expect((now - 1 + 3_600_000...after + 1 + 3_600_000).contains(later))
            #expect(try await store.snapshot().sortedSets["scheduled:q"] == ["later": later, "far": 1 << 53])
            #expect(try await store.job("past")?["pat"] == nil)
        }
    }

    @Test("a batch of several queues keeps each queue's order", arguments: StoreKind.allCases)
    func batch(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let jobs = (0..<1000).map {
                NewJob(id: "j\($0)", queue: "q\($0 % 3)", className: "C", arguments: Array("[]".utf8))
            }
            try await store.store.enqueue(jobs)
            try await store.store.enqueue([])
            for queue in 0..<3 {
                let expected = jobs.filter { $0.queue == "q\(queue)" }.map(\.id)
                #expect(try await store.list("ready:q\(queue)") == expected)
            }
        }
    }

    @Test("a chosen ID that is there is not queued again, nor twice in one call", arguments: StoreKind.allCases)
    func chosen(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let job = NewJob(id: "mine", queue: "q", className: "C", arguments: Array("{}".utf8), isIDChosen: true)
            let other = NewJob(id: "mine", queue: "other", className: "D", arguments: Array("1".utf8), isIDChosen: true)
            try await store.store.enqueue([job, other])
            try await store.store.enqueue([other])
            #expect(try await store.snapshot().lists == ["ready:q": ["mine"]])
            #expect(try await store.job("mine")?["cls"] == "C")
            let claimed = try await store.claimOne()
            try await store.finish(claimed)
            try await store.store.enqueue([other])
            #expect(try await store.snapshot().lists == [:])
        }
    }

    @Test(
        "dequeue takes a job out of wherever it waits",
        arguments: StoreKind.allCases,
        ["ready", "scheduled", "handoff", "suspects"]
    )
    func dequeue(_ kind: StoreKind, _ place: String) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b", "c")
            try await store.edit { data in
                data.lists["ready:q"] = place == "ready" ? ["a", "b", "c"] : nil
                if place == "scheduled" {
                    data.sortedSets["scheduled:q"] = ["a": 1, "b": 2, "c": 3]
                } else {
                    data.lists["\(place):q"] = ["a", "b", "c"]
                }
            }
            #expect(try await store.store.dequeue("b") == .dequeued)
            #expect(try await store.store.dequeue("b") == .missing)
            #expect(try await store.job("b") == nil)
            let rest = try await store.list("\(place):q") + store.ranked("\(place):q")
            #expect(rest == ["a", "c"])
        }
    }

    @Test("dequeue says no to a job that is running or has ended", arguments: StoreKind.allCases)
    func dequeueTooLate(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("ok", "bad", "back")
            let jobs = try await store.claim(3).jobs
            let before = try await store.snapshot()
            #expect(try await store.store.dequeue("ok") == .running)
            #expect(try await store.store.dequeue("none") == .missing)
            #expect(try await store.snapshot() == before)
            try await store.finish(jobs[0])
            try await store.finish(jobs[1], .dead(error: "E", message: "m"))
            try await store.finish(jobs[2], .shutdown)
            #expect(try await store.store.dequeue("ok") == .ended)
            #expect(try await store.store.dequeue("bad") == .ended)
            #expect(try await store.store.dequeue("back") == .dequeued)
            #expect(try await store.list("ready:q") == [])
        }
    }

    @Test("a job runs as long as its attempt does, though that names no queue", arguments: StoreKind.allCases)
    func dequeueRunning(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind, damaged: ["I3"]) { store in
            try await store.enqueue("a")
            let job = try await store.claimOne()
            try await store.edit { $0.attempts[job.attempt]?["que"] = nil }
            #expect(try await store.store.dequeue("a") == .running)
            #expect(try await store.set("processing:q") == [job.attempt])
        }
    }

    @Test(
        "in a list beyond 10,000 a job is marked, and the claim that meets it drops both",
        arguments: StoreKind.allCases
    )
    func dequeueFromLongList(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            for start in stride(from: 0, to: 10_001, by: 1000) {
                let ids = start..<min(start + 1000, 10_001)
                try await store.store.enqueue(
                    ids.map { NewJob(id: "j\($0)", queue: "q", className: "C", arguments: []) }
                )
            }
            #expect(try await store.store.dequeue("j0") == .dequeued)
            #expect(try await store.job("j0")?["end"] == "Dequeued")
            #expect(try await store.store.dequeue("j0") == .missing)
            let claimed = try await store.claim(2)
            #expect(claimed.jobs.map(\.id) == ["j1"])
            #expect(claimed.notices == [])
            #expect(!claimed.isShort)
            #expect(try await store.job("j0") == nil)
            #expect(try await store.list("ready:q").count == 9999)
            try await store.enqueue("last")
            #expect(try await store.store.dequeue("j2") == .dequeued)
            #expect(try await store.job("j2") == nil)
            #expect(try await store.list("ready:q").count == 9999)
        }
    }
}
