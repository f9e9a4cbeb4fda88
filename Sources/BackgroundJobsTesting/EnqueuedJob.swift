public import BackgroundJobs
public import Foundation

/// A job as it was enqueued to a ``TestQueue``.
public struct EnqueuedJob: Sendable {
    /// The job's ID.
    public let id: String
    /// The class name.
    public let className: String
    /// The queue.
    public let queue: String
    /// The arguments, JSON.
    public let arguments: String
    /// What the call asked for, and where the job may run. What its type says is in ``Job/options``.
    public let options: JobOptions
    /// When it is to run; nil: at once. By the queue's clock.
    public let dueAt: Date?
    /// Until when its first attempt may begin; nil: for ever.
    public let expiresAt: Date?
    /// When it was enqueued, by the queue's clock.
    public let enqueuedAt: Date
    /// Whether it holds a uniqueness lock.
    public let isUnique: Bool
    /// Whether it waits for another job: a later step of a chain, or a callback. It is enqueued when that has ended.
    public let isWaiting: Bool
    /// What travels with it beside its arguments.
    public let headers: [String: String]
    /// The name of the periodic job that has fired it.
    public let periodic: String?

    init(id: String, _ record: StoreSnapshot.Record, due: Int64? = nil, isWaiting: Bool) {
        self.id = id
        className = record["cls"] ?? ""
        queue = record["que"] ?? ""
        arguments = record["arg"] ?? ""
        // They were written by this process.
        var faults: [String] = []
        options = JobOptions(
            fields: record.fields.mapValues { String(decoding: $0, as: UTF8.self) },
            faults: &faults
        )
        dueAt = due.map { Date(milliseconds: $0) }
        expiresAt = record.number("exp").map { Date(milliseconds: $0) }
        enqueuedAt = Date(milliseconds: record.number("qat") ?? 0)
        isUnique = record["unq"] != nil
        self.isWaiting = isWaiting
        let header = record.fields["hdr"].flatMap { try? [String: String].decoded(from: $0) }
        headers = header ?? [:]
        periodic = record["crn"]
    }
}

/// A job of a type as it was enqueued to a ``TestQueue``.
@dynamicMemberLookup
public struct Enqueued<J: Job>: Sendable {
    /// The job, decoded as a worker would.
    public let job: J
    /// The rest.
    public let record: EnqueuedJob

    /// What stands in the record: ``EnqueuedJob/queue``, ``EnqueuedJob/dueAt``, …
    public subscript<Value>(dynamicMember path: KeyPath<EnqueuedJob, Value>) -> Value { record[keyPath: path] }
}
