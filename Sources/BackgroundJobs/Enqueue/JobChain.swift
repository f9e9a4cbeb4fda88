import Foundation

/// Jobs of which each is enqueued when the one before it has succeeded.
///
/// A later step finds the results of the earlier ones in its context (``JobContext/result(of:)``,
/// ``JobContext/shared(_:as:)``): 4 MiB in all. When a step is dead the chain waits: a retry by hand takes it up again. When a
/// step is discarded, cancelled, skipped or expires, those behind it are cancelled; a retry of that step by hand makes them
/// wait for it once more.
public struct JobChain<Output: Sendable>: Sendable {
    var steps: [ChainStepDraft]
    var failure: ChainStepDraft?

    /// Makes a chain of one job.
    ///
    /// - Parameters:
    ///   - job: the first step.
    ///   - queue: its queue; nil: the type's ``Job/queue``.
    ///   - id: an ID of the caller's choice; nil: a new UUID.
    ///   - options: what it asks for; they win over the type's ``Job/options``.
    public init<J: Job>(_ job: J, queue: String? = nil, id: String? = nil, options: JobOptions = JobOptions())
    where J.Output == Output {
        steps = [ChainStepDraft(job, nil, queue, id, options)]
    }

    private init(steps: [ChainStepDraft], failure: ChainStepDraft?) {
        self.steps = steps
        self.failure = failure
    }

    /// Adds a step.
    ///
    /// - Parameters:
    ///   - job: the next step.
    ///   - delay: how long after the end of the one before it is to run; nil: at once.
    ///   - queue: its queue; nil: the type's ``Job/queue``.
    ///   - id: an ID of the caller's choice; nil: a new UUID.
    ///   - options: what it asks for; they win over the type's ``Job/options``.
    public func then<J: Job>(
        _ job: J,
        in delay: Duration? = nil,
        queue: String? = nil,
        id: String? = nil,
        options: JobOptions = JobOptions()
    ) -> JobChain<J.Output> {
        JobChain<J.Output>(steps: steps + [ChainStepDraft(job, delay, queue, id, options)], failure: failure)
    }

    /// Names the job that runs once if a step is dead or discarded; ``JobContext/cause`` tells it why.
    ///
    /// - Parameters:
    ///   - job: the job.
    ///   - queue: its queue; nil: the type's ``Job/queue``.
    ///   - id: an ID of the caller's choice; nil: a new UUID.
    ///   - options: what it asks for; they win over the type's ``Job/options``.
    public func onFailure<J: Job>(_ job: J, queue: String? = nil, id: String? = nil, options: JobOptions = JobOptions())
        -> JobChain
    {
        JobChain(steps: steps, failure: ChainStepDraft(job, nil, queue, id, options))
    }
}

extension Job {
    /// A chain of this job and another one. See ``JobChain/then(_:in:queue:id:options:)``.
    public func then<Next: Job>(
        _ next: Next,
        in delay: Duration? = nil,
        queue: String? = nil,
        id: String? = nil,
        options: JobOptions = JobOptions()
    ) -> JobChain<Next.Output> {
        JobChain(self).then(next, in: delay, queue: queue, id: id, options: options)
    }

    /// This job with one that runs once if it is dead or discarded. See ``JobChain/onFailure(_:queue:id:options:)``.
    public func onFailure<Other: Job>(
        _ other: Other,
        queue: String? = nil,
        id: String? = nil,
        options: JobOptions = JobOptions()
    ) -> JobChain<Output> {
        JobChain(self).onFailure(other, queue: queue, id: id, options: options)
    }
}

/// A chain that was enqueued.
public struct ChainHandle<Output: Sendable>: Sendable {
    /// The IDs of the steps, in order.
    public let steps: [String]
    /// The ID of the job that runs if a step fails.
    public let onFailure: String?
    /// The last step.
    public let last: JobHandle<Output>
}

/// A step that has not been enqueued.
struct ChainStepDraft: Sendable {
    var delay: Duration?
    var make: @Sendable (_ manager: Manager, _ delay: Duration?, _ time: Date?) throws -> NewJob

    init<J: Job>(_ job: J, _ delay: Duration?, _ queue: String?, _ id: String?, _ options: JobOptions) {
        self.delay = delay
        make = { manager, delay, time in
            let terms = Manager.Terms(of: J.self, in: delay, at: time, queue: queue, id: id, options: options)
            return try manager.newJob(job, terms)
        }
    }
}
