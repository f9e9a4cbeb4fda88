import Instrumentation
import ServiceContextModule
import Tracing

extension EnqueueMiddleware {
    /// Sends the context of the trace in which a job is enqueued along with it.
    public static let tracing = EnqueueMiddleware { request in
        guard let context = ServiceContext.current else { return }
        InstrumentationSystem.instrument.inject(context, into: &request.headers, using: HeaderInjector())
    }
}

extension JobMiddleware {
    /// Makes a span of each attempt, a consumer's, in a trace of its own. It links to the context in which the job was
    /// enqueued.
    public static let tracing = JobMiddleware { context, next in
        var producer = ServiceContext.topLevel
        InstrumentationSystem.instrument.extract(context.headers, into: &producer, using: HeaderExtractor())
        try await withSpan(context.className, context: .topLevel, ofKind: .consumer) { span in
            span.addLink(SpanLink(context: producer, attributes: [:]))
            span.updateAttributes { attributes in
                attributes["messaging.system"] = "background-jobs"
                attributes["messaging.message.id"] = context.jobID
                attributes["messaging.destination.name"] = context.queue
                attributes["background_jobs.attempt"] = context.attempt
            }
            try await next(context)
        }
    }
}

private struct HeaderInjector: Injector {
    func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) { carrier[key] = value }
}

private struct HeaderExtractor: Extractor {
    func extract(key: String, from carrier: [String: String]) -> String? { carrier[key] }
}
