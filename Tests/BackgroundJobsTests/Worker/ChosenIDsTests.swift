import BackgroundJobs
import TestSupport
import Testing

private struct Row: Job {
    static let name = "Row"
    var n: Int
    func perform(_ context: JobContext) async throws {}
}

@Suite("IDs of the caller's choice", .timeLimit(.minutes(20)))
struct ChosenIDsTests {
    private func ready(_ stage: OptionStage) async throws -> [String] {
        try await stage.records("LRANGE", "bg:ready:default", "0", "-1").texts
    }

    @Test("make transactions, chains and batches harmless to repeat")
    func again() async throws {
        try await OptionStage.withServer { stage in
            let manager = stage.manager
            for _ in 0..<2 {
                try await manager.transaction { jobs in
                    #expect(try jobs.enqueue(Row(n: 1), id: "t-1").id == "t-1")
                    try jobs.enqueue("Other", id: "t-2")
                }
                let chain = try await manager.enqueue(
                    JobChain(Row(n: 1), id: "c-1").then(Row(n: 2), id: "c-2").onFailure(Row(n: 3), id: "c-f")
                )
                #expect(chain.steps == ["c-1", "c-2"] && chain.onFailure == "c-f")
                let batch = try await manager.batch("rows", id: "b-1", onComplete: Row(n: 0)) { batch in
                    try await batch.enqueue(contentsOf: (1...3).map { Row(n: $0) }, id: { "m-\($0.n)" })
                    try await batch.enqueue(Row(n: 4), id: "m-4")
                    try await batch.batch("inner", id: "b-2") { inner in
                        try await inner.enqueue(Row(n: 5), id: "m-5")
                    }
                }
                #expect(batch.id == "b-1")
            }
            #expect(try await ready(stage) == ["t-1", "t-2", "c-1"] + (1...5).map { "m-\($0)" })
            let status = try #require(try await manager.batch(id: "b-1").status())
            #expect(status.counts.total == 5 && status.counts.pending == 5 && !status.isOpen)
            // The jobs, two of the chain that wait, and one callback.
            #expect(try await stage.records("KEYS", "bg:jobs:*").texts.count == 8 + 2 + 1)
        }
    }

    @Test("are each one job's, and what they have to be")
    func refused() async throws {
        try await OptionStage.withServer { stage in
            let manager = stage.manager
            for body in [
                { _ = try await manager.enqueue(JobChain(Row(n: 1), id: "x").then(Row(n: 2), id: "x")) },
                { try await manager.transaction { jobs in for _ in 0..<2 { try jobs.enqueue(Row(n: 1), id: "x") } } },
                { _ = try await manager.transaction { try $0.enqueue(Row(n: 1), id: "no ID") } },
                { _ = try await manager.batch(id: "no ID") { _ in } },
            ] as [() async throws -> Void] {
                let error = await #expect(throws: BackgroundError.self) { try await body() }
                #expect(error?.code == .invalidArgument)
            }
            let keys = try await stage.records("KEYS", "*").texts
            #expect(keys == [])
        }
    }

    @Test("a chain has up to a thousand steps, and onFailure beside them")
    func longest() async throws {
        try await OptionStage.withServer { stage in
            var chain = JobChain(Row(n: 0)).onFailure(Row(n: -1))
            for n in 1..<1000 { chain = chain.then(Row(n: n)) }
            let handle = try await stage.manager.enqueue(chain)
            #expect(handle.steps.count == 1000)
            let longer = chain.then(Row(n: 1000))
            let error = await #expect(throws: BackgroundError.self) { try await stage.manager.enqueue(longer) }
            #expect(error?.message.contains("1001 steps") == true)
        }
    }
}
