public import Foundation

/// A namespace at one moment: what there is in all, of each queue, and of each worker.
public struct SystemSummary: Sendable, Hashable, Encodable {
    /// The moment, by the Redis server's clock.
    public var time: Date
    /// The sums over all queues and workers.
    public var totals: Totals
    /// The queues, by name.
    public var queues: [QueueSummary]
    /// The workers, by the names of their nodes.
    public var workers: [WorkerSummary]

    /// The sums over all queues and workers.
    public struct Totals: Sendable, Hashable, Encodable {
        /// How many queues there are.
        public var queues = 0
        /// How many of them are paused.
        public var paused = 0
        /// How many workers are connected.
        public var workers = 0
        /// How many watchers are connected.
        public var watchers = 0
        /// How many jobs the workers can run at a time.
        public var fibers = 0
        /// Jobs to be run now.
        public var ready = 0
        /// Jobs to be run later.
        public var scheduled = 0
        /// Jobs to be run one at a time, since their workers vanished twice.
        public var suspects = 0
        /// Jobs that wait for a node of a name, or for one of another name.
        public var placed = 0
        /// Attempts that run.
        public var processing = 0
        /// Jobs whose attempts are used up.
        public var dead = 0
        /// What has happened since the beginning (`stats:<queue>`): trimming takes nothing away from it.
        public var counters: [String: Int] = [:]
    }

    init(_ status: SystemStatus, _ queues: [QueueSummary], _ workers: [WorkerSummary]) {
        time = status.time
        self.queues = queues
        self.workers = workers
        totals = Totals()
        totals.queues = queues.count
        totals.workers = workers.count
        totals.watchers = status.watchers
        totals.fibers = workers.reduce(0) { $0 + $1.worker.fibers }
        for queue in queues {
            if queue.status.isPaused { totals.paused += 1 }
            totals.ready += queue.status.ready
            totals.scheduled += queue.status.scheduled
            totals.suspects += queue.status.suspects
            totals.placed += queue.status.placed
            totals.processing += queue.status.processing
            totals.dead += queue.status.dead
            totals.counters.merge(queue.counters, uniquingKeysWith: +)
        }
    }
}

/// A queue, with what has happened on it since the beginning.
public struct QueueSummary: Sendable, Hashable, Encodable {
    /// What there is at this moment.
    public var status: QueueStatus
    /// What has happened since the beginning (`stats:<queue>`): `completed`, `failed`, `dead`, …
    public var counters: [String: Int]

    private enum CodingKeys: String, CodingKey { case counters }

    /// Writes the status, and the counters as one more field.
    public func encode(to encoder: any Encoder) throws {
        try status.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(counters, forKey: .counters)
    }
}

/// A worker, with what it runs.
public struct WorkerSummary: Sendable, Hashable, Encodable {
    /// The worker.
    public var worker: WorkerRecord
    /// What it runs, the longest first; nil where too many attempts run to go through them for this.
    public var running: [WorkerRun]?

    private enum CodingKeys: String, CodingKey { case running }

    /// Writes the worker, and what it runs as one more field.
    public func encode(to encoder: any Encoder) throws {
        try worker.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encodeIfPresent(running, forKey: .running)
    }
}
