/// How far a call that goes through a list has come, and what it has done.
public struct BulkProgress: Sendable, Hashable {
    /// How many entries the list had at the start.
    public var total = 0
    /// How many of them have been looked at.
    public var seen = 0
    /// How many of those the filter let through.
    public var matched = 0
    /// How many jobs were queued again, or how many entries were deleted.
    public var done = 0
    /// How many matched and were left as they are. Of those to be retried: the job waits or runs already, has succeeded, is
    /// gone, or is damaged; of those to be deleted: it was gone, is damaged, or is the last attempt of a dead job, which goes with
    /// the job.
    public var left = 0
    /// What is damaged, as sentences: the first ten.
    public var problems: [String] = []

    mutating func add(problem: String) {
        if problems.count < 10 { problems.append(problem) }
    }
}
