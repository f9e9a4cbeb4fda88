import BackgroundJobs
import InMemoryTracing
import Logging
import Metrics
import MetricsTestKit
import Synchronization
import TestSupport
import Testing
import Tracing

private struct Say: Job {
    var word: String
    static let told = Told()
    func perform(_ context: JobContext) async throws -> String {
        if word == "fail", context.attempt == 1 { throw Broken() }
        Self.told.tell("\(word) \(context[Tenant.self] ?? "-")")
        return word
    }
    static var options: JobOptions { JobOptions(retries: 1, backoff: .fixed(.zero)) }
}

private enum Tenant: JobContextKey { typealias Value = String }

@Suite("Middleware", .timeLimit(.minutes(20)))
struct Middleware {
    @Test("runs around each job, in the order given, and may change the context")
    func order() async throws {
        let told = Told()
        var jobs = JobRegistry()
        jobs.register(Say.self)
        jobs.use(
            JobMiddleware { context, next in
                told.tell("outer")
                var context = context
                context[Tenant.self] = "acme"
                try await next(context)
                told.tell("outer ends")
            },
            JobMiddleware { context, next in
                told.tell("inner \(context[Tenant.self] ?? "-")")
                try await next(context)
            }
        )
        try await OptionStage.with(jobs) { stage in
            let word = try await stage.manager.enqueue(Say(word: "hello")).value
            #expect(word == "hello")
        }
        #expect(told.all == ["outer", "inner acme", "outer ends"])
        #expect(Say.told.all.contains("hello acme"))
    }

    @Test("around enqueuing holds for what jobs enqueue, too")
    func insideJobs() async throws {
        struct Outer: Job {
            func perform(_ context: JobContext) async throws -> [String: String] {
                try await context.manager.enqueue("Inner").value
                return [:]
            }
        }
        let seen = Told()
        var jobs = JobRegistry()
        jobs.register(Outer.self)
        jobs.register("Inner") { (_: [String: String], context) in seen.tell(context.headers["tenant"] ?? "-") }
        jobs.use(enqueuing: EnqueueMiddleware { $0.headers["tenant"] = "acme" })
        try await OptionStage.with(jobs) { stage in _ = try await stage.manager.enqueue(Outer()).value }
        #expect(seen.all == ["acme"])
    }

    @Test("that catches what the job threw has taken care of it: the job completes")
    func catches() async throws {
        var jobs = JobRegistry()
        jobs.register(Say.self)
        jobs.use(JobMiddleware { context, next in try? await next(context) })
        try await OptionStage.with(jobs) { stage in
            let end = try await stage.manager.enqueue(Say(word: "fail")).end()
            #expect(end.isCompleted && end.output == nil)
        }
    }

    @Test("may stop a job, which is then skipped, retry it, or fail it")
    func stops() async throws {
        var jobs = JobRegistry()
        jobs.register(Say.self)
        let runs = Told()
        jobs.use(
            JobMiddleware { context, next in
                switch String(decoding: context.arguments, as: UTF8.self) {
                case #"{"word":"throw"}"#: throw JobOutcome.skip("not today")
                case #"{"word":"return"}"#: return
                case #"{"word":"twice"}"#:
                    try await next(context)
                    runs.tell("again")
                    try await next(context)
                default: try await next(context)
                }
            }
        )
        try await OptionStage.with(jobs) { stage in
            for (word, reason) in [("throw", "not today"), ("return", "stopped by middleware")] {
                let failed = await #expect(throws: JobFailed.self) {
                    _ = try await stage.manager.enqueue(Say(word: word)).value
                }
                #expect(failed?.end.end == "Skipped" && failed?.end.message == reason)
            }
            let word = try await stage.manager.enqueue(Say(word: "twice")).value
            #expect(word == "twice")
            let counted = try await stage.records.stats()
            #expect(counted["skipped"] == 2)
        }
        #expect(Say.told.all.filter { $0.hasPrefix("twice") }.count == 2)
    }

    @Test("of enqueuing may change a request, or refuse it")
    func enqueuing() async throws {
        struct Refused: Error {}
        try await OptionStage.withServer { stage in
            let manager = try Manager(
                redis: stage.redis,
                middleware: [
                    EnqueueMiddleware { request in
                        if request.className == "No" { throw Refused() }
                        request.queue = "slow"
                        request.options.retries = 3
                        request.headers["tenant"] = "acme"
                    }
                ]
            )
            let job = try await manager.enqueue("Yes")
            let fields = try await stage.records.job(job.id)
            #expect(fields["que"] == "slow" && fields["ret"] == "3" && fields["hdr"] == #"{"tenant":"acme"}"#)
            await #expect(throws: Refused.self) { try await manager.enqueue("No") }
            await manager.close()
        }
    }

    @Test("counts, measures and traces; a span links to the trace in which the job was enqueued")
    func instruments() async throws {
        let metrics = TestMetrics()
        let tracer = InMemoryTracer()
        MetricsSystem.bootstrap(metrics)
        InstrumentationSystem.bootstrap(tracer)
        var jobs = JobRegistry()
        jobs.register(Say.self)
        jobs.use(.tracing, .metrics, .logging)
        try await OptionStage.with(jobs) { stage in
            let manager = try Manager(redis: stage.redis, middleware: [.tracing])
            try await withSpan("request") { _ in
                let word = try await manager.enqueue(Say(word: "fail")).value
                #expect(word == "fail")
            }
            await manager.close()
        }
        let dimensions = [("class", "Say"), ("queue", "default")]
        for outcome in ["failed", "completed"] {
            let counter = try metrics.expectCounter("background_jobs_attempts", dimensions + [("outcome", outcome)])
            #expect(counter.totalValue == 1)
        }
        #expect(try metrics.expectTimer("background_jobs_run_time", dimensions).values.count == 2)
        #expect(try metrics.expectTimer("background_jobs_wait_time", dimensions).values.count == 1)
        let spans = tracer.finishedSpans
        let request = try #require(spans.first { $0.operationName == "request" })
        let attempts = spans.filter { $0.operationName == "Say" }
        #expect(attempts.count == 2)
        for attempt in attempts {
            #expect(attempt.kind == .consumer && attempt.traceID != request.traceID)
            #expect(attempt.links.map(\.context.inMemorySpanContext?.traceID) == [request.traceID])
            #expect(attempt.links.map(\.context.inMemorySpanContext?.spanID) == [request.spanID])
        }
    }
}
