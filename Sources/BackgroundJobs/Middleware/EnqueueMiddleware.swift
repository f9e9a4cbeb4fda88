/// Something that is done before a job is enqueued: it may change the request, or refuse it by throwing.
///
/// ```swift
/// let manager = try Manager(middleware: [.tracing, EnqueueMiddleware { request in
///     guard request.arguments.count < 10_000 else { throw TooLarge() }
///     request.options.retries = request.options.retries ?? 5
/// }])
/// ```
public struct EnqueueMiddleware: Sendable {
    let body: @Sendable (inout JobRequest) throws -> Void

    /// Makes middleware.
    public init(_ body: @escaping @Sendable (_ request: inout JobRequest) throws -> Void) {
        self.body = body
    }
}

/// A job that is about to be enqueued.
public struct JobRequest: Sendable {
    /// The class name.
    public let className: String
    /// The arguments, JSON.
    public let arguments: [UInt8]
    /// The queue.
    public var queue: String
    /// What it asks for; what is nil is left to the class.
    public var options: JobOptions
    /// What travels with the job beside its arguments, such as the context of a trace: at most 8 KiB in all.
    public var headers: [String: String] = [:]
}
