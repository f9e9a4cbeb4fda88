public import Foundation

/// What an ``Inspector`` sees of a namespace at one moment.
public struct SystemStatus: Sendable, Hashable, Encodable {
    /// The moment, by the Redis server's clock.
    public var time: Date
    /// How many watchers are connected. Without one, scheduled jobs stay where they are and dead workers are not noticed.
    public var watchers: Int
    /// The queues that were asked for, in that order; else all that are known, by name.
    public var queues: [QueueStatus]
}

/// What an ``Inspector`` sees of a queue.
public struct QueueStatus: Sendable, Hashable, Encodable {
    /// The queue's name.
    public var name: String
    /// Live workers that serve it.
    public var workers = 0
    /// The sum of their fibers; those that are stalled have none.
    public var fibers = 0
    /// Attempts that completed within the last second of the server's clock.
    public var jobsPerSecond = 0
    /// Jobs to be run now, those handed to a waiting worker included.
    public var ready = 0
    /// Jobs to be run later.
    public var scheduled = 0
    /// Attempts that are running.
    public var processing = 0
    /// Attempts on record that succeeded.
    public var completed = 0
    /// Attempts on record that failed.
    public var failed = 0
    /// Jobs whose attempts are used up.
    public var dead = 0
    /// Jobs whose workers vanished twice: a worker runs at most one of them at a time.
    public var suspects = 0
    /// Jobs that wait for a node of a name, or for one of another name.
    public var placed = 0
    /// How many of those wait for workers of which none is connected and serves the queue, by what they ask for: `on:NAME`,
    /// `avoid:NAME`.
    public var placedWithoutWorker: [String: Int] = [:]
    /// Whether nothing is claimed from it at present.
    public var isPaused = false
    /// How long the job that is next has been waiting; nil where none waits or its hash does not tell.
    public var oldestReadyAge: Duration?
    /// What could not be read, as sentences: such figures are 0 here.
    public var problems: [String] = []

    init(name: String) {
        self.name = name
    }

    private enum CodingKeys: String, CodingKey {
        case name, workers, fibers, jobsPerSecond, ready, scheduled, processing, completed, failed, dead, suspects,
            placed, placedWithoutWorker, isPaused
        case oldestReadySeconds, problems
    }

    /// Writes the status; `oldestReadyAge` as `oldestReadySeconds`.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(workers, forKey: .workers)
        try container.encode(fibers, forKey: .fibers)
        try container.encode(jobsPerSecond, forKey: .jobsPerSecond)
        try container.encode(ready, forKey: .ready)
        try container.encode(scheduled, forKey: .scheduled)
        try container.encode(processing, forKey: .processing)
        try container.encode(completed, forKey: .completed)
        try container.encode(failed, forKey: .failed)
        try container.encode(dead, forKey: .dead)
        try container.encode(suspects, forKey: .suspects)
        try container.encode(placed, forKey: .placed)
        try container.encode(placedWithoutWorker, forKey: .placedWithoutWorker)
        try container.encode(isPaused, forKey: .isPaused)
        try container.encodeIfPresent(oldestReadyAge?.inSeconds, forKey: .oldestReadySeconds)
        try container.encode(problems, forKey: .problems)
    }
}
