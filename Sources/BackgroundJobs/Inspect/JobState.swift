public import Foundation

/// Where a job is.
public enum JobState: Sendable, Hashable {
    /// It waits for a worker.
    case ready
    /// A waiting worker was woken with it and has not claimed it yet.
    case handoff
    /// It is to be run later: a delay, a retry or a snooze.
    case scheduled(due: Date)
    /// It waits to be run alone, since its workers vanished twice.
    case suspect
    /// It waits for a worker of the name that it asks for, or for one of another name than it avoids.
    case placed
    /// It waits for another job of its chain, or for a batch: then it goes to its queue.
    case blocked
    /// An attempt to run it is under way.
    case running
    /// It was done.
    case completed
    /// Its last attempt failed and nothing will run it again, though it is not marked as ended.
    case failed
    /// Its attempts are used up.
    case dead
    /// It ended in another way: `Cancelled`, `Discarded`, `Expired`, …
    case ended(how: String)
    /// It is in none of the places that a job can be in, or nobody looked: lists of attempts don't.
    case unknown

    /// Whether it is over with the job, unless somebody retries it.
    package var isEnd: Bool {
        switch self {
        case .completed, .failed, .dead, .ended: true
        case .ready, .handoff, .scheduled, .suspect, .placed, .blocked, .running, .unknown: false
        }
    }

    /// One word: `ready`, `handoff`, `scheduled`, `suspect`, `placed`, `blocked`, `running`, `completed`, `failed`, `dead`,
    /// `ended`, `unknown`.
    public var name: String {
        switch self {
        case .ready: "ready"
        case .handoff: "handoff"
        case .scheduled: "scheduled"
        case .suspect: "suspect"
        case .placed: "placed"
        case .blocked: "blocked"
        case .running: "running"
        case .completed: "completed"
        case .failed: "failed"
        case .dead: "dead"
        case .ended: "ended"
        case .unknown: "unknown"
        }
    }
}

/// Where lists of jobs are.
public enum JobList: String, Sendable, Hashable, CaseIterable {
    /// Jobs that wait: those handed to a worker, then the queue, the next one first.
    case ready
    /// Jobs to be run later, the next one first.
    case scheduled
    /// Jobs whose workers vanished twice, the next one first.
    case suspects
    /// Jobs that wait for a node of a name, or for one of another name: those of one place behind those of the other, each with
    /// the next one first.
    case placed
    /// Attempts that are running, in no order.
    case processing
    /// Attempts that succeeded, the latest first.
    case completed
    /// Attempts that failed, the latest first.
    case failed
    /// Attempts that neither succeeded nor failed, the latest first.
    case ended
    /// Jobs whose attempts are used up, the latest first.
    case dead
}
