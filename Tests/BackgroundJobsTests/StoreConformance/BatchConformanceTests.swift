import BackgroundJobsTesting
import Testing

@testable import BackgroundJobs

@Suite("A batch", .timeLimit(.minutes(20)))
struct BatchConformance {
    private func job(_ id: String, waits: Bool = false) -> NewJob {
        NewJob(id: id, queue: waits ? "callbacks" : "q", className: "C", arguments: Array("{}".utf8), isWaiting: waits)
    }

    private func open(_ store: StoreUnderTest, _ id: String = "b", in parent: String? = nil) async throws {
        let batch = NewBatch(
            id: id,
            parent: parent,
            description: "some words",
            onComplete: job("\(id)-complete", waits: true),
            onSuccess: job("\(id)-success", waits: true),
            onDeath: job("\(id)-death", waits: true)
        )
        #expect(try await store.store.open(batch) == .done)
        #expect(try await store.store.open(batch) == .done, "once")
    }

    private func add(_ store: StoreUnderTest, _ ids: String..., to batch: String = "b") async throws -> BatchVerdict {
        try await store.store.add(ids.map { job($0) }, to: batch)
    }

    private func counts(_ store: StoreUnderTest, _ batch: String = "b") async throws -> [Int] {
        let counts = try await store.batch(batch)
        return [counts.total, counts.pending, counts.completed, counts.dead, counts.other]
    }

    private func called(_ store: StoreUnderTest) async throws -> [String] { try await store.list("ready:callbacks") }

    @Test("stands in a hash of its own, and tells which is around it", arguments: StoreKind.allCases)
    func record(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await open(store)
            try await open(store, "inner", in: "b")
            let batches = try await store.snapshot().batches
            for (id, parent, members) in [("b", nil, "1"), ("inner", "b", "0")] as [(String, String?, String)] {
                var record = try #require(batches[id])
                #expect(record.number("qat") != nil)
                record["qat"] = nil
                let fields: [String: String?] = [
                    "opn": "1", "tot": members, "pen": members, "suc": "0", "ded": "0", "oth": "0", "prn": parent,
                    "dsc": "some words", "cmp": "\(id)-complete", "scs": "\(id)-success", "dth": "\(id)-death",
                ]
                #expect(record == .init(fields.compactMapValues { $0.map { Array($0.utf8) } }))
            }
            for event in ["complete", "success", "death"] { #expect(try await store.job("b-\(event)")?["blk"] == "1") }
            #expect(try await store.snapshot().sets.isEmpty, "no queue is named where nothing waits yet")
        }
    }

    @Test("calls back once when all have succeeded", arguments: StoreKind.allCases)
    func success(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await open(store)
            #expect(try await add(store, "j1", "j2") == .done)
            #expect(try await add(store, "j2", "j3") == .done)
            #expect(try await counts(store) == [3, 3, 0, 0, 0])
            let jobs = try await store.claim(3).jobs
            #expect(jobs.allSatisfy { $0.fields["bat"] == "b" })
            for job in jobs { #expect(try await store.finish(job) == nil) }
            #expect(try await called(store).isEmpty, "it is open")
            #expect(try await store.store.close("b") == .done)
            #expect(try await store.store.close("b") == .done)
            #expect(try await called(store) == ["b-complete", "b-success"])
            let callback = try await store.claimOne("callbacks")
            #expect(
                callback.fields["bsm"] == #"{"id":"b","total":3,"pending":0,"completed":3,"dead":0,"other":0}"#
            )
            #expect(try await store.job("b-death")?["end"] == "Unneeded")
            #expect(try await add(store, "late") == .over)
            #expect(try await add(store, "j1", "j2") == .done, "a call that is repeated is told the same")
            #expect(try await store.job("late") == nil)
            #expect(try await add(store, "late", to: "nobody") == .missing)
            #expect(try await store.store.close("nobody") == .missing)
            #expect(try await store.snapshot().expiring.contains("batch:b"))
        }
    }

    @Test("a dead one calls back at once; retried by hand, it makes the batch succeed", arguments: StoreKind.allCases)
    func death(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await open(store)
            _ = try await add(store, "j1", "j2", "j3")
            _ = try await store.store.close("b")
            let jobs = try await store.claim(3).jobs
            try await store.finish(jobs[0], .dead(error: "E", message: ""))
            try await store.finish(jobs[1], .dead(error: "E", message: ""))
            #expect(try await called(store) == ["b-death"])
            #expect(try await counts(store) == [3, 1, 0, 2, 0])
            try await store.finish(jobs[2])
            #expect(try await called(store) == ["b-death", "b-complete"])
            #expect(try await store.timeToLive(ofJob: "b-success") != nil)
            #expect(try await store.store.retry(["j1", "j2"], onlyDead: false) == [.queued, .queued])
            #expect(try await counts(store) == [3, 2, 1, 0, 0])
            #expect(try await store.timeToLive(ofJob: "b-success") == nil)
            for job in try await store.claim(2).jobs { try await store.finish(job) }
            #expect(try await called(store) == ["b-death", "b-complete", "b-success"])
        }
    }

    @Test(
        "taken up again by hand, it keeps the callbacks that wait, but not the record of one that was called",
        arguments: StoreKind.allCases
    )
    func callbacksOfRetried(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await open(store)
            _ = try await add(store, "j1")
            _ = try await store.store.close("b")
            try await store.finish(store.claimOne(), .cancelled(message: ""))
            for id in ["b-success", "b-death"] { #expect(try await store.timeToLive(ofJob: id) != nil) }
            #expect(try await store.store.retry(["j1"], onlyDead: false) == [.queued])
            for id in ["b-success", "b-death"] { #expect(try await store.timeToLive(ofJob: id) == nil) }
            try await store.finish(store.claimOne(), .dead(error: "E", message: ""))
            for callback in try await store.claim(5, ["callbacks"]).jobs { try await store.finish(callback) }
            let keep = Retention(age: nil, count: 0)
            _ = try await store.store.trim(.completed, of: "callbacks", keep: keep, limit: 10, from: 0)
            #expect(try await store.timeToLive(ofJob: "b-death") != nil)
            #expect(try await store.store.retry(["j1"], onlyDead: true) == [.queued])
            #expect(try await store.timeToLive(ofJob: "b-death") != nil)
        }
    }

    @Test("whatever ends a member is counted once", arguments: StoreKind.allCases)
    func others(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await open(store)
            _ = try await add(store, "j1", "j2", "j3", "j4", "j5", "j6")
            _ = try await store.store.close("b")
            #expect(try await store.store.cancel("j5", recordedAs: "x1") == .cancelled)
            #expect(try await store.store.dequeue("j6") == .dequeued)
            let jobs = try await store.claim(4).jobs
            try await store.finish(jobs[0], .discarded(error: "E", message: ""))
            try await store.finish(jobs[1], .skipped(message: ""))
            try await store.finish(jobs[2], .retried(error: "E", message: "", after: 0, queue: nil))
            try await store.reap(jobs[3])
            #expect(try await counts(store) == [6, 2, 0, 0, 4])
            try await store.finish(jobs[3], .completed)
            #expect(try await counts(store) == [6, 2, 0, 0, 4], "its attempt was lost")
            _ = try await store.store.promote("q", limit: 5)
            for job in try await store.claim(2).jobs {
                try await store.finish(job)
                try await store.finish(job)
            }
            #expect(try await counts(store) == [6, 0, 2, 0, 4])
            #expect(try await called(store) == ["b-complete"])
        }
    }

    @Test("counts as one job of the batch around it", arguments: StoreKind.allCases)
    func nested(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await open(store)
            try await open(store, "inner", in: "b")
            #expect(try await counts(store) == [1, 1, 0, 0, 0])
            _ = try await add(store, "j1", to: "inner")
            _ = try await store.store.close("inner")
            _ = try await store.store.close("b")
            try await store.finish(store.claimOne(), .dead(error: "E", message: ""))
            #expect(try await called(store) == ["inner-death", "inner-complete", "b-death", "b-complete"])
            #expect(try await counts(store) == [1, 0, 0, 1, 0])
            _ = try await store.store.retry(["j1"], onlyDead: true)
            #expect(try await counts(store) == [1, 1, 0, 0, 0])
            try await store.finish(store.claimOne())
            #expect(try await called(store).suffix(2) == ["inner-success", "b-success"])
            let orphan = NewBatch(id: "x", parent: "nobody")
            #expect(try await store.store.open(orphan) == .missing)
            #expect(try await store.store.open(NewBatch(id: "y", parent: "b")) == .over)
            #expect(try await store.store.batch("y") == nil)
        }
    }

    @Test("there are at most 16 within each other, all of which are told", arguments: StoreKind.allCases)
    func deep(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            for level in 1...16 {
                let batch = NewBatch(
                    id: "b\(level)",
                    parent: level == 1 ? nil : "b\(level - 1)",
                    onComplete: job("done\(level)", waits: true)
                )
                #expect(try await store.store.open(batch) == .done)
            }
            #expect(try await store.store.open(NewBatch(id: "b17", parent: "b16")) == .deep)
            #expect(try await store.store.batch("b17") == nil)
            #expect(try await counts(store, "b16") == [0, 0, 0, 0, 0])
            _ = try await add(store, "j1", to: "b16")
            for level in 1...16 { _ = try await store.store.close("b\(level)") }
            try await store.finish(store.claimOne())
            #expect(try await called(store) == (1...16).reversed().map { "done\($0)" })
        }
    }

    @Test(
        "one whose producer died stays open, and is complete when it is closed by hand",
        arguments: StoreKind.allCases
    )
    func abandoned(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await open(store)
            _ = try await add(store, "j1")
            try await store.finish(store.claimOne())
            #expect(try await counts(store) == [1, 0, 1, 0, 0])
            #expect(try await called(store).isEmpty)
            #expect(try await store.snapshot().expiring.contains("batch:b") == false, "for as long as it takes")
            #expect(try await add(store, "j2") == .done)
            try await store.finish(store.claimOne())
            #expect(try await store.store.close("b") == .done)
            #expect(try await called(store) == ["b-complete", "b-success"])
        }
    }

    @Test("one without jobs is complete when it is closed", arguments: StoreKind.allCases)
    func empty(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await open(store)
            _ = try await store.store.close("b")
            #expect(try await called(store) == ["b-complete", "b-success"])
        }
    }
}
