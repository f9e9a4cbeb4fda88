import BackgroundJobs
import TestSupport
import Testing

extension SystemTests {
    @Suite("Chains and batches, while workers are killed", .serialized)
    struct ChainDrills {
        private struct Chain {
            var handle: ChainHandle<Int>
            /// The step that is to fail.
            var dies: Int?
        }

        private struct Group {
            var batch: Batch
            var members: [String]
            var dying: Int
        }

        /// 1000 chains of five and 100 batches of 100 in full.
        @Test("end whole, and call back exactly once")
        func drill() async throws {
            let (chainCount, batchCount, size, ms) = isFull ? (1000, 100, 100, 60) : (200, 16, 40, 160)
            let stage = try await Stage()
            let watcher = try await stage.watcher("--second-look", "0.3")
            let crew = try await Crew(stage, 3)
            let killing = Task { try await crew.dwindle(every: .milliseconds(500)) }

            var chains: [Chain] = []
            for number in 0..<chainCount {
                chains.append(try await Self.chain(stage.manager, ms, dies: number % 10 == 0 ? number / 10 % 5 : nil))
            }
            var groups: [Group] = []
            for number in 0..<batchCount {
                groups.append(try await Self.group(stage.manager, size, ms, dying: number % 3))
            }
            try await Self.awaitEnds(of: chains)
            for group in groups {
                try await eventually("a batch is complete", within: .seconds(300)) {
                    try await group.batch.status()?.completedAt != nil
                }
            }
            killing.cancel()
            let kills = try await killing.value
            try await stage.drained(within: .seconds(300))

            var jobs: [String] = []
            for chain in chains { jobs += try await Self.check(chain, stage) }
            for group in groups { jobs += try await Self.check(group, stage) }
            let deaths = await crew.deaths
            let checker = LedgerChecker(stage.ledger, deaths: deaths)
            let report = checker.report(acknowledged: jobs)
            #expect(report.lost.isEmpty && report.unexpected.isEmpty && report.overlapping.isEmpty)
            let twice = checker.duplicated(besides: Set(try await stage.reaped().map(\.attempt)))
            #expect(twice == [], "only what was killed runs again")
            // A job that is pushed twice runs once: the claim that meets it again drops it, and says so.
            #expect(await crew.dropped.prefix(3) == [])
            try await stage.checkSettled(jobs)
            #expect(watcher.isRunning && report.recoveries.count > 0)
            print("\(kills) kills, \(jobs.count) jobs, \(report.recoveries.count) recoveries")
        }

        // MARK: What is enqueued

        private static func chain(_ manager: Manager, _ ms: Int, dies: Int?) async throws -> Chain {
            func step(_ number: Int) -> Step { Step(number: number, ms: .random(in: 0...ms), dies: number == dies) }
            let chain = step(0).then(step(1)).then(step(2)).then(step(3)).then(step(4)).onFailure(Callback())
            return Chain(handle: try await manager.enqueue(chain), dies: dies)
        }

        private static func group(_ manager: Manager, _ size: Int, _ ms: Int, dying: Int) async throws -> Group {
            var members: [String] = []
            let batch = try await manager.batch(
                onComplete: Callback(),
                onSuccess: Callback(),
                onDeath: Callback()
            ) { batch in
                let jobs = (0..<size).map { Member(ms: .random(in: 0...ms), dies: $0 < dying) }
                members = try await batch.enqueue(contentsOf: jobs).map(\.id)
            }
            return Group(batch: batch, members: members, dying: dying)
        }

        // MARK: What is to come of it

        /// All handles return: with the result, or with why there is none.
        private static func awaitEnds(of chains: [Chain]) async throws {
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for chain in chains {
                    group.addTask {
                        let end = try await chain.handle.last.end(within: .seconds(300))
                        return chain.dies == nil ? end.output == "4" : end.end == "Dead" && end.message == "as it is to"
                    }
                }
                var wrong = 0
                for try await isRight in group where !isRight { wrong += 1 }
                #expect(wrong == 0, "of \(chains.count) handles")
            }
        }

        /// Returns the jobs that have run.
        private static func check(_ chain: Chain, _ stage: Stage) async throws -> [String] {
            let callback = try #require(chain.handle.onFailure)
            var ran: [String] = []
            for (number, id) in chain.handle.steps.enumerated() {
                let fields = try await stage.records.job(id)
                guard number <= chain.dies ?? 4 else {
                    #expect(fields["blk"] == "1" && fields["las"] == nil, "it waits for a retry: \(fields)")
                    continue
                }
                ran.append(id)
                let last = try await stage.records.attempt(fields["las"] ?? "")
                if number == chain.dies {
                    #expect(fields["end"] == "Dead" && last["msg"] == "as it is to", "\(last)")
                } else {
                    #expect(fields["end"] == nil && last["err"] == nil && last["out"] == "\(number)", "\(last)")
                }
            }
            if chain.dies == nil {
                #expect(try await stage.records.job(callback)["end"] ?? "Unneeded" == "Unneeded")
            } else {
                ran.append(callback)
                #expect(try await output(of: callback, stage) == #""Step as it is to""#)
            }
            return ran
        }

        /// Returns the jobs that have run.
        private static func check(_ group: Group, _ stage: Stage) async throws -> [String] {
            let status = try #require(try await group.batch.status())
            let (size, dead) = (group.members.count, group.dying)
            let counts = status.counts
            #expect(counts.total == size && counts.pending == 0 && counts.completed == size - dead)
            #expect(counts.dead == dead && counts.other == 0 && status.completedAt != nil)
            let all = "\"\(size) 0 \(size - dead) \(dead) 0\""
            let (complete, success, death) = (
                try #require(status.onComplete), try #require(status.onSuccess), try #require(status.onDeath)
            )
            #expect(try await output(of: complete, stage) == all)
            if dead == 0 {
                #expect(try await output(of: success, stage) == all)
                #expect(try await stage.records.job(death)["end"] ?? "Unneeded" == "Unneeded")
                return group.members + [complete, success]
            }
            let told = try await output(of: death, stage)?.split(separator: " ")
            #expect(told?.count == 5 && told?[3] == "1", "at the first death: \(told ?? [])")
            #expect(try await stage.records.job(success)["blk"] == "1", "it waits for a retry")
            return group.members + [complete, death]
        }

        private static func output(of job: String, _ stage: Stage) async throws -> String? {
            let last = try await stage.records.job(job)["las"] ?? ""
            return try await stage.records.attempt(last)["out"]
        }
    }
}

/// Workers of which one after the other is killed, and another one takes its place.
private actor Crew {
    private let stage: Stage
    private var workers: [Program] = []
    private var gone: [Program] = []
    /// When each that was killed was seen to be gone.
    private(set) var deaths: [Int32: Int64] = [:]

    init(_ stage: Stage, _ count: Int) async throws {
        self.stage = stage
        for _ in 0..<count { workers.append(try await Self.hire(stage)) }
    }

    private static func hire(_ stage: Stage) async throws -> Program {
        try await stage.worker("--fibers", "10", "--log-level", "info", waits: false)
    }

    /// Until the task is cancelled; returns how many were killed.
    func dwindle(every time: Duration) async throws -> Int {
        while true {
            do {
                try await Task.sleep(for: time)
            } catch {
                return gone.count
            }
            let victim = workers.remove(at: Int.random(in: workers.indices))
            deaths[victim.pid] = Ledger.now
            victim.kill()
            gone.append(victim)
            workers.append(try await Self.hire(stage))
        }
    }

    /// What workers have said of jobs that they met a second time.
    var dropped: [String] {
        (workers + gone).flatMap { $0.log.split(separator: "\n").map(String.init) }.filter { $0.contains("dropped") }
    }
}
