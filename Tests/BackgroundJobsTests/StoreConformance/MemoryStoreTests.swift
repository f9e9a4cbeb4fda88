import BackgroundJobs
import BackgroundJobsTesting
import Testing

@Suite("MemoryStore")
struct MemoryStoreTests {
    @Test("its clock stands where it is set, and tombstones and minutes go with the time")
    func clock() async throws {
        let memory = MemoryStore(now: 6_000_000)
        try await memory.enqueue([
            NewJob(id: "j", queue: "q", className: "C", arguments: [], due: .after(milliseconds: 5))
        ])
        #expect(try await memory.promote("q", limit: 1) == Promotion(moved: [], wait: 5))
        memory.advance(by: .milliseconds(5))
        #expect(memory.now == 6_000_005)
        #expect(try await memory.promote("q", limit: 1) == Promotion(moved: ["j"], wait: nil))
        let claim = Claim(wanted: 1, queues: ["q"], offered: ["a"])
        let voucher = Voucher(node: "n", client: 1)
        _ = try await memory.exchange([], claim, as: voucher)
        let finish = Finish(attempt: "a", queue: "q", job: "j", milliseconds: 3, ending: .completed)
        _ = try await memory.exchange([finish], .none, as: voucher)
        #expect(memory.snapshot.counters["stats:q:100"] == ["completed": 1, "run": 3])
        _ = try await memory.trim(.completed, of: "q", keep: Retention(age: .zero, count: nil), limit: 1, from: 0)
        memory.advance(by: .milliseconds(299_999))
        #expect(memory.snapshot.jobs["j"]?["end"] == "Completed")
        memory.advance(by: .milliseconds(1))
        #expect(memory.snapshot.jobs == [:])
        memory.advance(by: .seconds(90_000))
        #expect(Set(memory.snapshot.counters.keys) == ["stats:q"])
    }

    @Test("a clock that is not set runs")
    func running() {
        let memory = MemoryStore()
        let before = memory.now
        memory.advance(by: .seconds(60))
        #expect(memory.now - before >= 60_000)
    }

    @Test("the invariants find what is wrong")
    func violations() {
        var data = StoreSnapshot()
        data.jobs["lost"] = .init(["que": Array("q".utf8)])
        data.jobs["twice"] = .init(["que": Array("q".utf8)])
        data.jobs["dead"] = .init(["end": Array("Dead".utf8)])
        data.lists["ready:q"] = ["twice", "twice", "none"]
        data.attempts["nowhere"] = .init(["job": Array("x".utf8)])
        data.attempts["both"] = .init(["job": Array("x".utf8)])
        data.attempts["second"] = data.attempts["both"]
        data.sets["processing:q"] = ["both", "second"]
        data.sortedSets["failed:q"] = ["both": 1]
        let names = data.invariantViolations().map { $0.prefix(2) }
        #expect(names == ["I1", "I1", "I1", "I2", "I3", "I3", "I4", "I4", "I8"])
    }
}
