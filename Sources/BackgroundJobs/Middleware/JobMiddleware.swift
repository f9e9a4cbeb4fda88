import Synchronization

/// Something that is done around the run of each job.
///
/// ```swift
/// jobs.use(.tracing, .metrics, JobMiddleware { context, next in
///     guard !isHoliday else { throw JobOutcome.skip("holiday") }
///     var context = context
///     context[Tenant.self] = try await tenant(of: context)
///     try await next(context)
/// })
/// ```
///
/// What it throws is as good as thrown by the job. Middleware that returns without having called `next` stops the job, which
/// then ends as `Skipped`. If it catches what the job threw, and returns, the job completes, without a result.
public struct JobMiddleware: Sendable {
    /// Runs what is inside of this middleware: the next one, and at last the job.
    public typealias Next = @Sendable (_ context: JobContext) async throws -> Void

    let body: @Sendable (_ context: JobContext, _ next: @escaping Next) async throws -> Void

    /// Makes middleware.
    ///
    /// - Parameter body: is given what the job may know of the attempt, and what is to be run.
    public init(_ body: @escaping @Sendable (_ context: JobContext, _ next: @escaping Next) async throws -> Void) {
        self.body = body
    }
}

extension [JobMiddleware] {
    /// Runs `job` inside of all of them.
    func run(
        _ context: JobContext,
        _ job: @escaping @Sendable (JobContext) async throws -> [UInt8]?
    ) async throws -> [UInt8]? {
        guard !isEmpty else { return try await job(context) }
        let result = Innermost()
        var all: JobMiddleware.Next = { context in result.keep(try await job(context)) }
        for middleware in reversed() {
            let inner = all
            all = { context in
                let wasCalled = Atomic(false)
                try await middleware.body(context) { context in
                    wasCalled.store(true, ordering: .relaxed)
                    try await inner(context)
                }
                if !wasCalled.load(ordering: .relaxed) { throw JobOutcome.skip("stopped by middleware") }
            }
        }
        try await all(context)
        return result.output
    }
}
