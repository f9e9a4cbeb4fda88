import BackgroundJobs
import TestSupport
import Testing

private struct Fetch: Job {
    var url: String
    func perform(_ context: JobContext) async throws -> [String: Int] {
        try context.share("etag", "abc")
        return ["bytes": url.count]
    }
}

private struct Resize: Job {
    var width = 100
    func perform(_ context: JobContext) async throws -> Int {
        guard let fetched = try context.result(of: Fetch.self) else { throw Broken(description: "nothing fetched") }
        if width < 0 { throw JobOutcome.dead("negative") }
        return (fetched["bytes"] ?? 0) * width
    }
}

private struct Publish: Job {
    func perform(_ context: JobContext) async throws -> String {
        let etag: String? = try context.shared("etag")
        return "\(etag ?? "-") \(try context.result(of: Resize.self) ?? 0) \(context.steps.map(\.className))"
    }
}

private struct Tell: Job {
    var note = "x"
    static let told = Told()
    func perform(_ context: JobContext) async throws {
        Self.told.tell("\(note) \(context.cause.map { "\($0.className): \($0.error), \($0.message)" } ?? "-")")
    }
}

private struct Member: Job {
    var n: Int
    func perform(_ context: JobContext) async throws {
        if n < 0 { throw JobOutcome.dead("negative") }
        if n == 7 { try await context.batch?.enqueue(contentsOf: [Member(n: 100), Member(n: 101)]) }
    }
}

private struct Counted: Job {
    var name: String
    static let told = Told()
    func perform(_ context: JobContext) async throws {
        let counts = context.batchCounts
        Self.told.tell("\(name) \(counts?.completed ?? -1) of \(counts?.total ?? -1)")
    }
}

@Suite("Jobs that belong together", .timeLimit(.minutes(20)))
struct Chains {
    private static func jobs() -> JobRegistry {
        var jobs = JobRegistry()
        jobs.register(Fetch.self)
        jobs.register(Resize.self)
        jobs.register(Publish.self)
        jobs.register(Tell.self)
        jobs.register(Member.self)
        jobs.register(Counted.self)
        return jobs
    }

    @Test("a step sees what the earlier ones returned and shared")
    func chain() async throws {
        try await OptionStage.with(Self.jobs()) { stage in
            let chain = Fetch(url: "http://a").then(Resize(width: 3), in: .milliseconds(20)).then(Publish())
                .onFailure(Tell(note: "never"))
            let handle = try await stage.manager.enqueue(chain)
            #expect(handle.steps.count == 3 && handle.steps.last == handle.last.id)
            #expect(try await handle.last.value == #"abc 24 ["Fetch", "Resize"]"#)
            try await stage.ended(try #require(handle.onFailure), as: "Unneeded")
        }
        #expect(Tell.told.all.allSatisfy { !$0.hasPrefix("never") })
    }

    @Test("who awaits a chain is told at once that a step is dead, and onFailure why")
    func failure() async throws {
        try await OptionStage.with(Self.jobs()) { stage in
            let handle = try await stage.manager.enqueue(
                Fetch(url: "u").then(Resize(width: -1)).then(Publish()).onFailure(Tell(note: "once"))
            )
            let failed = await #expect(throws: JobFailed.self) { _ = try await handle.last.value }
            #expect(failed?.end.end == "Dead" && failed?.end.message == "negative")
            try await stage.completed(try #require(handle.onFailure))
        }
        #expect(Tell.told.all.filter { $0.hasPrefix("once") } == ["once Resize: Dead, negative"])
    }

    @Test("has a limit to what its steps hand on, beyond which a step is dead")
    func limit() async throws {
        try await OptionStage.withServer { stage in
            let handle = try await stage.manager.enqueue(Fetch(url: "u").then(Resize()))
            let large = String(repeating: "x", count: 4 << 20)
            try await stage.records(
                "HSET",
                "bg:jobs:\(handle.steps[0])",
                "stp",
                #"[{"job":"j","cls":"C","out":"\#(large)"}]"#
            )
            try await stage.working(Self.jobs()) {
                let failed = await #expect(throws: JobFailed.self) { _ = try await handle.last.value }
                #expect(failed?.end.end == "Dead" && failed?.end.error == "Bad Result")
                #expect(failed?.end.message?.contains("the limit is 4194304") == true)
            }
        }
    }

    @Test("a batch with a member that asks for uniqueness is refused before anything of it is added")
    func uniqueMembers() async throws {
        struct Unique: Job {
            static var options: JobOptions { JobOptions(unique: .unique(for: .seconds(9))) }
            func perform(_ context: JobContext) async throws {}
        }
        try await OptionStage.withServer { stage in
            for add in [
                { (batch: Batch) async throws in _ = try await batch.enqueue(Unique()) },
                { batch in _ = try await batch.batch(onComplete: Unique()) { _ in } },
            ] {
                var made: Batch?
                let refused = await #expect(throws: BackgroundError.self) {
                    try await stage.manager.batch { batch in
                        made = batch
                        try await add(batch)
                    }
                }
                #expect(
                    refused?.code == .invalidArgument
                        && refused?.message.contains("A Unique asks for uniqueness") == true
                )
                let status = try await made?.status()
                #expect(status?.counts.total == 0 && status?.isOpen == true)
            }
            let jobs = try await stage.records("KEYS", "bg:jobs:*").texts
            #expect(jobs == [])
        }
    }

    @Test("a batch calls back once for all, and a job can add to it")
    func batch() async throws {
        try await OptionStage.with(Self.jobs()) { stage in
            let batch = try await stage.manager.batch(
                "numbers",
                onComplete: Counted(name: "complete"),
                onSuccess: Counted(name: "success"),
                onDeath: Counted(name: "death")
            ) { batch in
                try await batch.enqueue(contentsOf: (0..<20).map { Member(n: $0) })
                try await batch.batch("inside", onComplete: Counted(name: "inner")) { inner in
                    try await inner.enqueue(Member(n: 1))
                }
            }
            try await eventually("all have called back") { Counted.told.all.count == 3 }
            #expect(Counted.told.all.sorted() == ["complete 23 of 23", "inner 1 of 1", "success 23 of 23"])
            let status = try #require(try await batch.status())
            #expect(status.completedAt != nil && status.description == "numbers" && !status.isOpen)
            await #expect(throws: BackgroundError.self) { try await batch.enqueue(Member(n: 1)) }
        }
    }

    @Test("a transaction is enqueued whole or not at all")
    func transaction() async throws {
        try await OptionStage.withServer { stage in
            struct Never: Error {}
            await #expect(throws: Never.self) {
                try await stage.manager.transaction { jobs in
                    try jobs.enqueue(Tell())
                    throw Never()
                }
            }
            let ids = try await stage.manager.transaction { jobs in
                [try jobs.enqueue(Tell()).id, try jobs.enqueue("Other", queue: "slow").id]
            }
            #expect(try await stage.records.job(ids[1])["cls"] == "Other")
            let unique = JobOptions(unique: .unique(for: .seconds(9)))
            let refused = await #expect(throws: BackgroundError.self) {
                try await stage.manager.transaction { try $0.enqueue(Tell(), options: unique) }
            }
            #expect(refused?.code == .invalidArgument)
            let many = await #expect(throws: BackgroundError.self) {
                try await stage.manager.transaction { jobs in
                    for _ in 0...1000 { try jobs.enqueue(Tell()) }
                }
            }
            #expect(many?.code == .invalidArgument)
        }
    }
}
