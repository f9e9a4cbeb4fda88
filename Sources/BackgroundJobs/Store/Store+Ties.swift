/// How a job has ended for good.
public struct JobEnd: Sendable, Hashable, Codable {
    /// The job's ID.
    public var job: String
    /// `Completed`, `Dead`, `Discarded`, `Cancelled`, `Expired`, `Skipped`, `Bad Job`; `Unneeded` for one that was to run in a
    /// case that did not come; `Missing` where there is no such job, or no longer, where it was dequeued, or where a step of
    /// its chain that it waits for is not there any more.
    public var end: String
    /// The ID of its last attempt.
    public var attempt: String?
    /// Why it did not succeed: the attempt's `err`.
    public var error: String?
    /// More about that: the attempt's `msg`.
    public var message: String?
    /// Its result, JSON: the attempt's `out`.
    public var output: String?

    /// Whether it succeeded.
    public var isCompleted: Bool { end == "Completed" }

    private enum CodingKeys: String, CodingKey {
        case job, end, attempt
        case error = "err"
        case message = "msg"
        case output = "out"
    }

    package init(
        job: String,
        end: String,
        attempt: String? = nil,
        error: String? = nil,
        message: String? = nil,
        output: String? = nil
    ) {
        self.job = job
        self.end = end
        self.attempt = attempt
        self.error = error
        self.message = message
        self.output = output
    }
}

/// A producer that awaits the ends of jobs.
package struct Listener: Sendable, Hashable {
    /// The name of its list of notes.
    package var token: String
    /// How long it is noted with a job, unless it asks again.
    package var time: Duration

    package init(token: String, time: Duration) {
        self.token = token
        self.time = time
    }
}

/// What a running job says of itself, for its attempt.
package struct AttemptNote: Sendable, Equatable {
    package var attempt: String
    package var queue: String
    package var fields: [String: String]

    package init(attempt: String, queue: String, fields: [String: String]) {
        self.attempt = attempt
        self.queue = queue
        self.fields = fields
    }
}

/// A batch to be opened.
package struct NewBatch: Sendable, Equatable {
    package var id: String
    /// The batch around it.
    package var parent: String?
    package var description: String?
    /// Jobs that wait until all members have ended, until all have succeeded, and until one is dead.
    package var onComplete: NewJob?
    package var onSuccess: NewJob?
    package var onDeath: NewJob?

    package init(
        id: String,
        parent: String? = nil,
        description: String? = nil,
        onComplete: NewJob? = nil,
        onSuccess: NewJob? = nil,
        onDeath: NewJob? = nil
    ) {
        self.id = id
        self.parent = parent
        self.description = description
        self.onComplete = onComplete
        self.onSuccess = onSuccess
        self.onDeath = onDeath
    }
}

/// What became of a change to a batch.
package enum BatchVerdict: String, Sendable {
    case done, missing
    /// It is complete: nothing can be added.
    case over
    /// Too many batches are around it.
    case deep
}
