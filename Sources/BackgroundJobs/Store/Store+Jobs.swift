/// A job to be enqueued. Names and sizes have been checked.
package struct NewJob: Sendable, Equatable {
    package var id: String
    package var queue: String
    package var className: String
    package var arguments: [UInt8]
    /// How long from now it is due, in ms of the server's clock; nil: at once.
    package var due: Due?
    /// Options and other fields of the hash.
    package var fields: [JobOptions.Field]
    /// How many ms after it is due its first attempt may begin; nil: for ever.
    package var expiry: Int64?
    /// The uniqueness lock that it needs.
    package var lock: Lock?
    /// The caller chose the ID: a job that is there already is not queued again.
    package var isIDChosen: Bool
    /// It waits for another job, and stands in no list until that has ended.
    package var isWaiting: Bool

    /// When a scheduled job is due.
    package enum Due: Sendable, Equatable {
        case after(milliseconds: Int64)
        case at(milliseconds: Int64)
    }

    /// A uniqueness lock.
    package struct Lock: Sendable, Equatable {
        /// SHA-256, in hex.
        package var digest: String
        /// From when the job is due, ms.
        package var duration: Int64
        package var until: Uniqueness.End
        package var duplicate: Uniqueness.Duplicate

        package init(
            digest: String,
            duration: Int64,
            until: Uniqueness.End = .finished,
            duplicate: Uniqueness.Duplicate = .skip
        ) {
            self.digest = digest
            self.duration = duration
            self.until = until
            self.duplicate = duplicate
        }
    }

    package init(
        id: String,
        queue: String,
        className: String,
        arguments: [UInt8],
        due: Due? = nil,
        fields: [JobOptions.Field] = [],
        expiry: Int64? = nil,
        lock: Lock? = nil,
        isIDChosen: Bool = false,
        isWaiting: Bool = false
    ) {
        self.id = id
        self.queue = queue
        self.className = className
        self.arguments = arguments
        self.due = due
        self.fields = fields
        self.expiry = expiry
        self.lock = lock
        self.isIDChosen = isIDChosen
        self.isWaiting = isWaiting
    }

    package static func == (a: Self, b: Self) -> Bool {
        a.id == b.id && a.queue == b.queue && a.className == b.className && a.arguments == b.arguments && a.due == b.due
            && a.fields.elementsEqual(b.fields, by: ==) && a.expiry == b.expiry && a.lock == b.lock
            && a.isIDChosen == b.isIDChosen && a.isWaiting == b.isWaiting
    }
}

/// The job that stands in the way of another one: it holds the uniqueness lock, or bears the ID that was chosen.
package struct Duplicate: Sendable, Equatable {
    package var id: String
    /// Whether its arguments or its time were replaced.
    package var wasChanged: Bool

    package init(id: String, wasChanged: Bool = false) {
        self.id = id
        self.wasChanged = wasChanged
    }
}

/// What became of a request to take a job out.
package enum Dequeued: String, Sendable {
    case dequeued, missing, running, ended
}

/// What became of a request to cancel a job.
package enum Cancelled: String, Sendable {
    /// It waited, and has ended as cancelled.
    case cancelled
    /// It runs: its worker has been told.
    case told
    /// It had ended before.
    case ended
    case missing
}

/// What became of a request to run a job once more.
public enum Retried: Sendable, Hashable {
    /// It is the last one in its queue now.
    case queued
    /// It waits anyway.
    case waiting
    /// It runs at this moment.
    case running
    /// It has succeeded, or ended in a way that can't be taken back.
    case ended
    /// There is no such job.
    case missing
    /// What Redis holds of it is not what the protocol says: a sentence about it. Nothing was changed.
    case damaged(String)
}

/// What became of members of a trimmed set that were to be deleted.
package struct Deletion: Sendable, Equatable {
    /// Those that were there and are gone.
    package var gone: [String]
    /// Those that stay since something of them is damaged: member to sentence.
    package var problems: [String: String]

    package init(gone: [String], problems: [String: String] = [:]) {
        self.gone = gone
        self.problems = problems
    }
}
