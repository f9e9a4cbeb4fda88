import BackgroundJobs
import TestSupport
import Testing

extension SystemTests {
    /// Point 4: a worker whose connection breaks keeps its jobs (rows N1, N13, R5, R6, W20, W21, S1).
    @Suite("A worker whose connection breaks", .serialized)
    struct Reconnects {
        /// Jobs that run while `disturb` goes on, until `time` is over; then all must have run once, undisturbed.
        private func disturbed(
            _ stage: Stage,
            for time: Duration,
            job: String = #"{"ms":2000}"#,
            url: String? = nil,
            grace: String = "1",
            every pause: Duration,
            _ disturb: @escaping @Sendable () async throws -> Void
        ) async throws {
            let watcher = try await stage.watcher("--grace", grace)
            let worker = try await stage.worker(url: url)
            let end = ContinuousClock.now + time
            var jobs: [String] = []
            repeat {
                // More than there are fibers: some are claimed while it goes on.
                jobs += try await stage.enqueue("Sleeping", job, count: 15)
                let enough = jobs.count - 8
                while stage.ledger.started < enough || jobs.count - stage.ledger.ended > 15 {
                    try await Task.sleep(for: pause)
                    try await disturb()
                }
            } while ContinuousClock.now < end
            try await stage.ended(jobs)
            try await stage.drained()
            let report = LedgerChecker(stage.ledger).report(acknowledged: jobs)
            #expect(report == LedgerChecker.Report(), "each ran once")
            #expect(stage.ledger.started == jobs.count, "none began twice")
            #expect(try await stage.records.failed() == [])
            #expect(watcher.count(of: "Ended an attempt") == 0, "reaped 0")
            #expect(worker.count(of: "refused") == 0)
            try await stage.checkSettled(jobs)
            // And it goes on working.
            try await stage.ended(try await stage.enqueue("Instant"))
        }

        /// Row N13.
        @Test("by CLIENT KILL, again and again, loses no job and runs none twice")
        func clientKill() async throws {
            let stage = try await Stage()
            try await disturbed(
                stage,
                for: isFull ? .seconds(30) : .seconds(6),
                job: isFull ? #"{"ms":5000}"# : #"{"ms":2000}"#,
                every: isFull ? .seconds(1) : .milliseconds(400)
            ) {
                for client in try await stage.records.clients(named: "bg-worker") {
                    try await stage.records("CLIENT", "KILL", "ID", "\(client.id)")
                }
            }
        }

        /// Rows S1, R6.
        @Test("by a Redis that is killed and started again loses no job and runs none twice")
        func restarts() async throws {
            let stage = try await Stage(["--appendonly yes", "--appendfsync always"])
            // Longer than what a worker may pause between two tries to connect after an outage of this length.
            let watcher = try await stage.watcher("--grace", "3")
            let worker = try await stage.worker()
            var jobs: [String] = []
            for _ in 1...(isFull ? 10 : 3) {
                jobs += try await stage.enqueue("Sleeping", #"{"ms":1500}"#, count: 12)
                try await eventually("jobs run") { stage.ledger.started > jobs.count - 8 }
                try await stage.server.restart()
                try await eventually("it is back") { try await stage.records.clients(named: "bg-worker:").count == 1 }
            }
            try await stage.ended(jobs)
            try await stage.drained()
            #expect(LedgerChecker(stage.ledger).report(acknowledged: jobs) == LedgerChecker.Report())
            #expect(stage.ledger.started == jobs.count)
            #expect(watcher.count(of: "Ended an attempt") == 0, "reaped 0")
            #expect(worker.isRunning)
            try await stage.checkSettled(jobs)
        }

        /// Row R5: everybody looks dead, and nobody is.
        @Test(
            "by a Redis that stands still for longer than --dead-after",
            arguments: ["sleep", "pause all", "pause write"]
        )
        func stalls(how: String) async throws {
            let stage = try await Stage(["--enable-debug-command yes"])
            let length = isFull ? 60 : 4
            try await disturbed(
                stage,
                for: .seconds(length + 2),
                job: #"{"ms":1500}"#,
                grace: isFull ? "6" : "3",
                every: .milliseconds(1500)
            ) {
                let command =
                    switch how {
                    case "sleep": ["DEBUG", "SLEEP", "\(length)"]
                    case "pause all": ["CLIENT", "PAUSE", "\(length * 1000)", "ALL"]
                    default: ["CLIENT", "PAUSE", "\(length * 1000)", "WRITE"]
                    }
                try await stage.records.send([command])
                // A command of its own connection comes back when it is over.
                try await stage.records("SET", "over", "1")
            }
        }

        /// Row W20.
        @Test("at every fifth reply to a claim loses no job and runs none twice")
        func lostReplies() async throws {
            let stage = try await Stage()
            let exchange = try await stage.records("SCRIPT", "LOAD", Scripts().exchange.source).text ?? ""
            let replies = Counter()
            let proxy = try await FaultProxy.start(before: stage.server.port) { passing in
                guard passing.command.prefix(2) == ["EVALSHA", exchange] else { return .pass }
                return replies.next() % 5 == 0 ? .lose : .pass
            }
            let watcher = try await stage.watcher()
            let worker = try await stage.worker(url: proxy.url)
            var jobs: [String] = []
            for _ in 0..<(isFull ? 100 : 10) {
                jobs += try await stage.enqueue("Sleeping", #"{"ms":20}"#, count: 40)
                try await stage.ended(jobs)
            }
            try await stage.drained()
            #expect(LedgerChecker(stage.ledger).report(acknowledged: jobs) == LedgerChecker.Report())
            #expect(stage.ledger.started == jobs.count, "none began twice")
            #expect(watcher.count(of: "Ended an attempt") == 0, "reaped 0")
            #expect(replies.value >= 25, "replies were lost")
            #expect(worker.isRunning)
            try await stage.checkSettled(jobs)
        }

        /// Row W21: what the former connection still had in its pipe arrives after the adoption.
        @Test("while a claim is held back on the way does not take that claim's jobs from itself")
        func lateClaim() async throws {
            let stage = try await Stage()
            let proxy = try await FaultProxy.start(before: stage.server.port)
            let watcher = try await stage.watcher()
            let worker = try await stage.worker("--fibers", "2", url: proxy.url)
            var jobs = try await stage.enqueue("Sleeping", #"{"ms":300}"#, count: 2)
            try await eventually("they run") { stage.ledger.started == 2 }
            proxy.hold("bg-worker:")
            jobs += try await stage.enqueue("Sleeping", #"{"ms":300}"#, count: 6)
            try await eventually("the exchange is on its way") { stage.ledger.ended == 2 }
            let before = try await stage.records.clients(named: "bg-worker:").map(\.id)
            proxy.cut("bg-worker:")
            try await eventually("it has another connection") {
                try await stage.records.clients(named: "bg-worker:").contains { !before.contains($0.id) }
            }
            proxy.release()
            try await stage.ended(jobs)
            try await stage.drained()
            #expect(LedgerChecker(stage.ledger).report(acknowledged: jobs) == LedgerChecker.Report())
            #expect(stage.ledger.started == jobs.count)
            #expect(watcher.count(of: "Ended an attempt") == 0)
            #expect(worker.isRunning)
            try await stage.checkSettled(jobs)
        }
    }
}
