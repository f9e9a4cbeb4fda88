public import BackgroundJobs
import Logging

/// What middleware adds to the context of each job.
public enum Tenant: JobContextKey {
    public typealias Value = String
    @TaskLocal public static var current: String?
}

extension EnqueueMiddleware {
    /// Sends the tenant for whom something is enqueued along with the job.
    public static let tenant = EnqueueMiddleware { request in request.headers["tenant"] = Tenant.current }
}

extension JobMiddleware {
    /// Runs each job for the tenant for whom it was enqueued.
    public static let tenant = JobMiddleware { context, next in
        var context = context
        context[Tenant.self] = context.headers["tenant"]
        context.logger[metadataKey: "tenant"] = "\(context.headers["tenant"] ?? "none")"
        try await Tenant.$current.withValue(context.headers["tenant"]) { [context] in try await next(context) }
    }
}

/// Middleware for a `Manager`: the context of the trace travels with each job.
public let producerMiddleware: [EnqueueMiddleware] = [.tracing, .tenant]

/// Says for whom it runs.
public struct WhoAmI: Job {
    public init() {}

    public func perform(_ context: JobContext) async throws -> String { context[Tenant.self] ?? "nobody" }
}
