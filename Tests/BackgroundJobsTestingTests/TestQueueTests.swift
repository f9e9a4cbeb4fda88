import BackgroundJobs
import BackgroundJobsTesting
import Foundation
import Logging
import Testing

extension Here {
    static let start = Date(timeIntervalSince1970: 1_800_000_000)
}

private let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

private func queue(
    _ jobs: JobRegistry = registry(),
    mode: TestQueue.Mode = .manual,
    queues: [String] = [],
    limit: Int = 10_000,
    middleware: [EnqueueMiddleware] = []
) -> TestQueue {
    TestQueue(
        jobs,
        mode: mode,
        startingAt: Here.start,
        queues: queues,
        limit: limit,
        middleware: middleware,
        logger: quiet
    )
}

@Suite("A queue for tests", .timeLimit(.minutes(20)))
struct TestQueueTests {
    @Test("records what was enqueued, with queue, options and time")
    func records() async throws {
        let queue = queue(middleware: [EnqueueMiddleware { $0.headers["tenant"] = "acme" }])
        try await queue.manager.enqueue(Mail(to: "ada"))
        try await queue.manager.enqueue(
            Mail(to: "bob"),
            in: .seconds(60),
            queue: "low",
            options: JobOptions(retries: 3, expires: .seconds(5), unique: .unique(for: .seconds(90)), avoiding: "slow")
        )
        let twice = try await queue.manager.enqueue(
            Mail(to: "bob"),
            queue: "low",
            options: JobOptions(unique: .unique(for: .seconds(90)))
        )
        try await queue.manager.enqueue("Else", arguments: "[1]")
        #expect(twice.isDuplicate)
        let mails = try queue.enqueued(Mail.self)
        #expect(mails.map(\.job.to) == ["ada", "bob"])
        #expect(mails.map(\.queue) == ["mail", "low"])
        #expect(mails.map(\.dueAt) == [nil, Here.start + 60])
        #expect(mails.map(\.isUnique) == [false, true])
        #expect(mails[1].expiresAt == Here.start + 65)
        #expect(mails[1].options.retries == 3 && mails[1].options.avoiding == "slow")
        #expect(mails[0].enqueuedAt == Here.start && mails[0].headers == ["tenant": "acme"])
        #expect(queue.enqueued.map(\.className) == ["Mail", "Mail", "Else"])
        #expect(queue.enqueued[2].arguments == "[1]")
        #expect(queue.runs.isEmpty)
        #expect(queue.state(of: mails[0].id) == .ready)
        #expect(queue.state(of: mails[1].id) == .scheduled(due: Here.start + 60))
        #expect(queue.state(of: "nobody") == nil)
        try await queue.manager.enqueue("Mail", arguments: "7")
        #expect(throws: BadArguments.self) { try queue.enqueued(Mail.self) }
    }

    @Test("runs what is due, in the order of queues, and what is later when the clock is set forward")
    func due() async throws {
        let told = Told()
        try await Here.$told.withValue(told) {
            let queue = queue(queues: ["mail"])
            let sum = try await queue.manager.enqueue(Sum(of: [1, 2]))
            try await queue.manager.enqueue(Mail(to: "ada"))
            let later = try await queue.manager.enqueue(Mail(to: "later"), in: .seconds(60))
            let runs = try await queue.runDue()
            #expect(runs.map(\.className) == ["Mail", "Sum"])
            #expect(runs.allSatisfy { $0.ending == .completed && $0.attempt == 1 && $0.error == nil })
            #expect(try runs[1].job(Sum.self)?.of == [1, 2])
            #expect(try await sum.value == 3)
            #expect(try await queue.runDue().isEmpty)
            try await queue.advance(by: .seconds(59))
            #expect(queue.now == Here.start + 59)
            #expect(queue.state(of: later.id) == .scheduled(due: Here.start + 60))
            try await queue.advance(by: .seconds(1))
            #expect(queue.state(of: later.id) == .ready)
            #expect(told.all == ["mail ada"])
            #expect(try await queue.runDue().map(\.startedAt) == [Here.start + 60])
            #expect(queue.state(of: later.id) == .completed)
            #expect(queue.runs.count == 3)
        }
        #expect(told.all == ["mail ada", "mail later"])
    }

    @Test("drains with retries and delays in no time; the clock jumps")
    func drains() async throws {
        let told = Told()
        try await Here.$told.withValue(told) {
            let queue = queue()
            let flaky = try await queue.manager.enqueue(Flaky(failures: 2))
            let doomed = try await queue.manager.enqueue(Flaky(failures: 100), in: .seconds(3600))
            let runs = try await queue.drain()
            #expect(
                runs.prefix(3).map(\.ending) == [
                    .retried(after: .seconds(60)), .retried(after: .seconds(60)), .completed,
                ]
            )
            #expect(runs.prefix(3).map { $0.startedAt.timeIntervalSince(Here.start) } == [0, 60, 120])
            #expect(runs[0].error is Broken && runs[0].record.error == "Broken")
            #expect(try await flaky.value == "attempt 3")
            #expect(runs.count == 3 + 6 && runs.last?.ending == .dead)
            #expect(queue.state(of: doomed.id) == .dead)
            #expect(queue.now == Here.start + 3600 + 5 * 60)
            let failed = await #expect(throws: JobFailed.self) { _ = try await doomed.value }
            #expect(failed?.end.message == "it is broken")
        }
        #expect(told.all.suffix(2) == ["failed 6", "dead"])
    }

    @Test("a handle is awaited while the queue is drained, however far the clock jumps")
    func awaited() async throws {
        let queue = queue()
        let flaky = try await queue.manager.enqueue(
            Flaky(failures: 3),
            options: JobOptions(backoff: .fixed(.seconds(30 * 86_400)))
        )
        async let value = flaky.value
        let late = await #expect(throws: BackgroundError.self) { try await flaky.value(within: .milliseconds(1)) }
        #expect(late?.code == .timedOut)
        try await queue.drain()
        #expect(try await value == "attempt 4")
        #expect(queue.now == Here.start + 90 * 86_400)
    }

    @Test("runs jobs that have threads of their own, on a node of the name that it was given")
    func threads() async throws {
        let queue = TestQueue(registry(), mode: .inline, name: "bench", logger: quiet)
        let handle = try await queue.manager.enqueue(Blocking(), options: JobOptions(on: "bench"))
        #expect(try await handle.value.hasPrefix("bench-"))
    }

    @Test("knows snoozes, discards, deaths, unknown classes and bad arguments")
    func outcomes() async throws {
        let queue = queue()
        for mood in ["snooze", "discard", "dead"] { try await queue.manager.enqueue(Moody(mood: mood)) }
        let unknown = try await queue.manager.enqueue("Nobody", options: JobOptions(retries: 0))
        try await queue.manager.enqueue("Mail", arguments: "[]", options: JobOptions(retries: 0))
        let runs = try await queue.runDue()
        #expect(runs.map(\.ending) == [.snoozed(for: .seconds(5)), .discarded, .dead, .dead, .dead])
        #expect(runs[3].jobID == unknown.id && runs[3].record.error == "Unknown Class")
        #expect(runs[4].error is BadArguments)
        #expect(queue.state(of: runs[1].jobID) == .ended(how: "Discarded"))
        #expect(queue.state(of: runs[0].jobID) == .scheduled(due: Here.start + 5))
    }

    @Test("ends with an error where a job enqueues itself for ever, and leaves it in the queue")
    func endless() async throws {
        let queue = queue()
        try await queue.manager.enqueue(Endless())
        let error = await #expect(throws: BackgroundError.self) { try await queue.drain(limit: 20) }
        #expect(error?.code == .timedOut && error?.message.contains("Endless") == true)
        #expect(queue.runs.count == 20)
        #expect(try queue.enqueued(Endless.self).last.flatMap { queue.state(of: $0.id) } == .ready)

    }

    @Test("jobs that expire while they wait are ended, and those of paused places stay")
    func expiry() async throws {
        let queue = queue()
        let handle = try await queue.manager.enqueue(Mail(to: "late"), options: JobOptions(expires: .seconds(5)))
        let elsewhere = try await queue.manager.enqueue(
            Mail(to: "x"),
            options: JobOptions(on: "elsewhere", fallback: .never)
        )
        let anywhere = try await queue.manager.enqueue(Sum(of: [4]), options: JobOptions(on: "elsewhere"))
        try await queue.advance(by: .seconds(6))
        #expect(try await queue.runDue().isEmpty)
        #expect(queue.state(of: handle.id) == .ended(how: "Expired"))
        #expect(try await handle.end().end == "Expired")
        #expect(queue.state(of: elsewhere.id) == .placed)
        #expect(try await queue.drain().map(\.jobID) == [anywhere.id], "after the time to wait for its node")
        #expect(queue.state(of: elsewhere.id) == .placed)
    }

    @Test("cancels what waits and what runs; a time limit is real time, and hooks run in a task that goes on")
    func cancelling() async throws {
        let told = Told()
        try await Here.$told.withValue(told) {
            let queue = queue()
            let waiting = try await queue.manager.enqueue(Mail(to: "x"))
            #expect(try await queue.manager.cancel(waiting.id) == .cancelled)
            #expect(queue.state(of: waiting.id) == .ended(how: "Cancelled"))
            try await queue.manager.enqueue(Sleeper(isCancelledFromInside: true))
            #expect(try await queue.drain().map(\.ending) == [.cancelled])
            try await queue.manager.enqueue(Sleeper(), options: JobOptions(timeout: .milliseconds(20)))
            let run = try #require(try await queue.drain().first)
            #expect(run.ending == .dead && run.record.error == "Timeout" && run.record.progress == 0.5)
        }
        #expect(
            told.all == [
                "sleeps", "woken: cancelled", "sleeps", "woken: timeout", "dead of JobTimeout, cancelled: false",
            ]
        )
    }

    @Test("a drain that is cancelled gives its job back")
    func cancelledDrain() async throws {
        let told = Told()
        try await Here.$told.withValue(told) {
            let queue = queue()
            let handle = try await queue.manager.enqueue(Sleeper())
            let draining = Task { try await queue.drain() }
            while !told.all.contains("sleeps") { await Task.yield() }
            draining.cancel()
            await #expect(throws: CancellationError.self) { _ = try await draining.value }
            #expect(queue.runs.map(\.ending) == [.givenBack])
            #expect(queue.state(of: handle.id) == .ready)
        }
    }

    @Test("runs inside of the middleware, and keeps what jobs say of themselves")
    func middleware() async throws {
        let told = Told()
        try await Here.$told.withValue(told) {
            var jobs = registry()
            jobs.use(
                JobMiddleware { context, next in
                    Here.told.tell("before \(context.className)")
                    if context.className == "Mail" { return }
                    try await next(context)
                    Here.told.tell("after")
                }
            )
            let queue = queue(jobs)
            let mail = try await queue.manager.enqueue(Mail(to: "x"))
            let sum = try await queue.manager.enqueue(Sum(of: [1]))
            #expect(Set(try await queue.drain().map(\.ending)) == [.skipped, .completed])
            #expect(try await mail.end().end == "Skipped")
            #expect(try await sum.value == 1)
        }
        #expect(told.all == ["before Sum", "after", "before Mail"])
    }

    @Test("thousands of jobs take no long time")
    func thousands() async throws {
        let queue = queue()
        let handles = try await queue.manager.enqueue(contentsOf: (0..<3000).map { Sum(of: [$0]) })
        #expect(try await queue.drain().count == 3000)
        #expect(try await handles[2999].value == 2999)
    }
}

@Suite("A queue for tests that runs jobs inline", .timeLimit(.minutes(20)))
struct InlineTests {
    @Test("runs each before the call returns, from inside of others too, and what follows")
    func inline() async throws {
        let told = Told()
        try await Here.$told.withValue(told) {
            let queue = queue(mode: .inline)
            #expect(try await queue.manager.enqueue(Sum(of: [1, 2])).value == 3)
            try await queue.manager.enqueue(Parent()).value
            let chain = try await queue.manager.enqueue(Sum(of: [5]).then(Next()).then(Next()))
            #expect(try await chain.last.value == 7)
            #expect(queue.runs.map(\.className) == ["Sum", "Mail", "Parent", "Sum", "Next", "Next"])
        }
        #expect(told.all == ["parent begins", "mail child", "parent ends"])
    }

    @Test("what fails is no error of the call; its retries wait for the clock")
    func failing() async throws {
        let queue = queue(mode: .inline)
        let handle = try await queue.manager.enqueue(Flaky(failures: 1))
        #expect(queue.runs.map(\.ending) == [.retried(after: .seconds(60))])
        try await queue.advance(by: .seconds(60))
        #expect(queue.runs.map(\.ending) == [.retried(after: .seconds(60)), .completed])
        #expect(try await handle.value == "attempt 2")
        let dead = try await queue.manager.enqueue(Moody(mood: "dead"))
        await #expect(throws: JobFailed.self) { try await dead.value }
    }

    @Test("a job that enqueues itself for ever ends in an error of the call")
    func endless() async throws {
        let queue = queue(mode: .inline)
        let deep = await #expect(throws: BackgroundError.self) { try await queue.manager.enqueue(Endless()) }
        #expect(deep?.code == .refused && deep?.message.contains("Endless") == true)
        #expect(queue.runs.count == 100)
        let bounded = TestQueue(registry(), mode: .inline, limit: 10, logger: quiet)
        let error = await #expect(throws: BackgroundError.self) { try await bounded.manager.enqueue(Endless()) }
        #expect(error?.code == .timedOut)
        #expect(bounded.runs.count == 10)
    }

    @Test("callers that enqueue at once each run their own")
    func concurrent() async throws {
        let queue = queue(mode: .inline)
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<50 {
                group.addTask {
                    let handle = try await queue.manager.enqueue(Sum(of: [number]))
                    // Its own has ended, whatever the others do.
                    let hasEnded = queue.state(of: handle.id) == .completed
                    let value = try await handle.value
                    return hasEnded && value == number
                }
            }
            for try await isRight in group { #expect(isRight) }
        }
    }
}

@Suite("Jobs that belong together, without Redis", .timeLimit(.minutes(20)))
struct TogetherTests {
    @Test("a chain hands on its results; a step that is dead calls onFailure, and whoever waits is told")
    func chains() async throws {
        let told = Told()
        try await Here.$told.withValue(told) {
            let queue = queue()
            let good = try await queue.manager.enqueue(
                Sum(of: [1]).then(Next(), in: .seconds(30)).then(Next()).onFailure(Report(name: "never"))
            )
            #expect(queue.enqueued.map(\.isWaiting) == [false, true, true, true])
            let bad = try await queue.manager.enqueue(
                Sum(of: [500]).then(Next()).then(Next()).onFailure(Report(name: "failed"))
            )
            try await queue.drain()
            #expect(try await good.last.value == 3)
            #expect(queue.now == Here.start + 30)
            let failed = await #expect(throws: JobFailed.self) { _ = try await bad.last.value }
            #expect(failed?.end.message == "too much")
            #expect(queue.state(of: try #require(good.onFailure)) == .ended(how: "Unneeded"))
        }
        #expect(told.all == ["failed too much"])
    }

    @Test(
        "a batch calls back once for all, with what its jobs have added",
        arguments: [TestQueue.Mode.manual, .inline]
    )
    func batches(mode: TestQueue.Mode) async throws {
        let told = Told()
        try await Here.$told.withValue(told) {
            let queue = queue(mode: mode)
            let batch = try await queue.manager.batch(
                onComplete: Report(name: "complete"),
                onSuccess: Report(name: "success"),
                onDeath: Report(name: "death")
            ) { batch in
                try await batch.enqueue(contentsOf: [Sum(of: [1]), Sum(of: [2])])
                try await batch.enqueue(Adding())
                try await batch.batch("inside") { try await $0.enqueue(Moody(mood: "fine")) }
            }
            try await queue.drain()
            let status = try #require(try await batch.status())
            #expect(status.counts.total == 6 && status.counts.completed == 6 && status.completedAt != nil)
        }
        #expect(told.all.sorted() == ["complete 6 of 6", "success 6 of 6"])
    }

    @Test("a transaction that throws enqueues nothing")
    func transactions() async throws {
        let queue = queue()
        await #expect(throws: Broken.self) {
            try await queue.manager.transaction { jobs in
                try jobs.enqueue(Mail(to: "x"))
                throw Broken()
            }
        }
        #expect(queue.enqueued.isEmpty)
        try await queue.manager.transaction { jobs in
            try jobs.enqueue(Mail(to: "x"))
            try jobs.enqueue(Mail(to: "y"))
        }
        #expect(try await queue.drain().count == 2)
    }
}

@Suite("Periodic jobs, without Redis", .timeLimit(.minutes(20)))
struct PeriodicTests {
    @Test("are fired as time passes, each time once, and not while a queue is drained")
    func periodic() async throws {
        let told = Told()
        try await Here.$told.withValue(told) {
            var jobs = registry()
            jobs.periodic("beat", .every(.seconds(30)), Beat(), count: 4)
            jobs.periodic("daily", .cron("0 0 * * *"), Beat(isLast: true))
            let queue = queue(jobs)
            #expect(try await queue.drain().isEmpty)
            let runs = try await queue.run(for: .seconds(95))
            #expect(runs.map { $0.startedAt.timeIntervalSince(Here.start) } == [30, 60, 90])
            #expect(queue.enqueued.allSatisfy { $0.periodic == "beat" })
            #expect(queue.now == Here.start + 95)
            try await queue.advance(by: .seconds(30))
            #expect(queue.enqueued.count == 4 && queue.runs.count == 3)
            // The daily one ends itself at midnight, the other one has been fired four times.
            #expect(try await queue.run(for: .seconds(3 * 86_400)).count == 2)
        }
        #expect(
            told.all == ["beat 1800000030", "beat 1800000060", "beat 1800000090", "beat 1800000120", "beat 1800057600"]
        )
    }

    @Test("too many times are an error that says what to do")
    func bounded() async throws {
        var jobs = registry()
        jobs.periodic("beat", .every(.seconds(1)), Beat())
        let queue = queue(jobs)
        let error = await #expect(throws: BackgroundError.self) {
            try await queue.advance(by: .seconds(3600), limit: 100)
        }
        #expect(error?.code == .timedOut)
        #expect(queue.now == Here.start + 100)
    }
}
