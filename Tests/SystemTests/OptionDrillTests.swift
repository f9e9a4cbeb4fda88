import BackgroundJobs
import TestSupport
import Testing

extension SystemTests {
    @Suite("Jobs with options, while things break", .serialized)
    struct OptionDrills {
        /// What a job is to end as, whatever happens to its workers.
        private enum Kind: CaseIterable {
            case flaky, failing, slow, cancelled

            /// Crashes are not what these jobs are about: they are forgiven for ever.
            var options: JobOptions {
                var options = JobOptions(crashRetries: .all)
                switch self {
                case .flaky:
                    options.retries = 3
                    options.backoff = .fixed(.milliseconds(50))
                case .failing:
                    options.retries = 2
                    options.backoff = .list([.milliseconds(30), .milliseconds(80)])
                case .slow:
                    options.retries = 1
                    options.backoff = .fixed(.milliseconds(20))
                    options.timeout = .milliseconds(100)
                case .cancelled:
                    options.retries = 5
                }
                return options
            }

            var job: (name: String, arguments: String) {
                switch self {
                case .flaky: ("Flaky", #"{"ms":10,"fails":2}"#)
                case .failing: ("Failing", #"{"message":"as ever"}"#)
                case .slow, .cancelled: ("Sleeping", #"{"ms":600000}"#)
                }
            }
        }

        /// 200 kills in full.
        @Test("end as they are to, whenever their workers are killed")
        func kills() async throws {
            let stage = try await Stage()
            let watcher = try await stage.watcher("--second-look", "0.3")
            var workers: [Program] = []
            for _ in 0..<3 { workers.append(try await stage.worker("--fibers", "8", "--log-level", "info")) }
            var jobs: [String: Kind] = [:]
            var toCancel: [String] = []
            for _ in 0..<(isFull ? 200 : 12) {
                for kind in Kind.allCases {
                    let (name, arguments) = kind.job
                    for _ in 0..<2 {
                        let job = try await stage.manager.enqueue(name, arguments: arguments, options: kind.options).id
                        jobs[job] = kind
                        if kind == .cancelled { toCancel.append(job) }
                    }
                }
                let before = stage.ledger.started
                try await eventually("the load goes on") { stage.ledger.started >= before + 6 }
                // Some while they wait, some while they run.
                for job in toCancel.prefix(Int.random(in: 1...3)) {
                    #expect(try await stage.manager.cancel(job) != .ended)
                    toCancel.removeFirst()
                }
                let victim = workers.remove(at: Int.random(in: workers.indices))
                victim.kill()
                workers.append(try await stage.worker("--fibers", "8", "--log-level", "info"))
            }
            for job in toCancel { try await stage.manager.cancel(job) }
            try await stage.drained(within: .seconds(300))
            #expect(watcher.isRunning)

            var wrong: [String] = []
            for (job, kind) in jobs {
                let fields = try await stage.records.job(job)
                let last = try await stage.records.attempt(fields["las"] ?? "")
                let (end, errors, error) = (fields["end"], fields["ers"], last["err"])
                let isRight =
                    switch kind {
                    case .flaky: end == nil && errors == "2" && error == nil && last["fin"] != nil
                    case .failing: end == "Dead" && errors == "3" && error == "Failure"
                    case .slow: end == "Dead" && errors == "2" && error == "Timeout"
                    case .cancelled: end == "Cancelled" && errors == nil && error == "Cancelled"
                    }
                if !isRight { wrong.append("\(kind) \(job): \(fields), last attempt \(last)") }
            }
            #expect(wrong.prefix(3) == [], "\(wrong.count) of \(jobs.count)")
            #expect(LedgerChecker(stage.ledger).report(acknowledged: jobs.keys).unexpected == [])
            let violations = try await invariantViolations(stage.server, namespace: stage.namespace)
            #expect(violations.prefix(5) == [])
        }

        /// Row W16. 1,000 times in full.
        @Test("count each finish once, although its reply is cut off")
        func lostFinishes() async throws {
            let stage = try await Stage()
            let exchange = try await stage.records("SCRIPT", "LOAD", Scripts().exchange.source).text ?? ""
            let lost = Counter()
            let proxy = try await FaultProxy.start(before: stage.server.port) { passing in
                // EVALSHA digest 1 key namespace node client, then the number of attempts that completed.
                guard passing.command.prefix(2) == ["EVALSHA", exchange], passing.command.count > 7,
                    passing.command[7] != "0"
                else { return .pass }
                _ = lost.next()
                return .lose
            }
            let watcher = try await stage.watcher()
            let worker = try await stage.worker("--fibers", "1", url: proxy.url)
            let count = isFull ? 1000 : 30
            let jobs = try await stage.enqueue("Instant", count: count)
            try await stage.ended(jobs, within: .seconds(600))
            try await stage.drained()
            #expect(lost.value == count)
            #expect(LedgerChecker(stage.ledger).report(acknowledged: jobs) == LedgerChecker.Report())
            #expect(try await stage.records.stats() == ["completed": count])
            #expect(try await stage.records.completed() == count)
            #expect(worker.isRunning && watcher.count(of: "Ended an attempt") == 0)
            try await stage.checkSettled(jobs)
        }
    }
}
