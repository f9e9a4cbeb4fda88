public import Foundation

/// A part of a list of jobs.
public struct JobPage: Sendable, Hashable, Encodable {
    /// What is there, in the order of the list.
    public var entries: [JobListing]
    /// The `offset` of the next page; nil: this was the last one.
    public var next: Int?

    package init(entries: [JobListing], next: Int?) {
        self.entries = entries
        self.next = next
    }
}

/// A place in a list of jobs.
public struct JobListing: Sendable, Hashable, Encodable {
    /// The job's ID; nil where the list names an attempt whose hash is gone.
    public var id: String?
    /// The job; nil where its hash is gone.
    public var job: JobRecord?
    /// The attempt, in a list of attempts; in one of dead jobs the job's last one.
    public var attempt: AttemptRecord?
    /// When it is due, ended or died, as its place in the list says.
    public var time: Date?
}
