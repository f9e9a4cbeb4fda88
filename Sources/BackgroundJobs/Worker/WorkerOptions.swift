import Foundation

/// The settings of a worker.
public struct WorkerOptions: Sendable {
    /// The queues it serves, and in which order.
    public var queues: QueueOrder
    /// How many jobs it runs at once. A fiber is a place for a task, not a thread or a connection.
    public var fibers: Int
    /// The name it goes by in lists of workers; nil: the host's.
    public var name: String?
    /// How long a graceful stop waits for running jobs before it cancels them. Those that have not ended after a further
    /// ``killAfter`` it gives back.
    public var gracePeriod: Duration
    /// How often it proves to Redis that it lives.
    public var heartbeat: Duration
    /// After which silence watchers take a connection for dead; also the command time-out. At least three heartbeats.
    public var deadAfter: Duration
    /// What holds for jobs that say nothing of their delivery, and whose class doesn't.
    public var delivery: Delivery
    /// How long a job whose task was cancelled may take to end before it is abandoned: its attempt ends, its fiber is
    /// replaced, and its result is refused.
    public var killAfter: Duration
    /// How many threads there are for jobs that block or compute, those whose type says ``JobExecution/thread``. More of
    /// them wait for a thread on a fiber, unbegun.
    public var threads: Int
    /// Fibers that are one queue's own: by its name, how many. Its jobs may use the others too.
    public var reserve: [String: Int]
    /// Whether it ends when its queues are empty and all is done. What is scheduled for later does not keep it.
    public var endsWhenEmpty: Bool
    /// Whether it works on a Redis that may evict keys, and with them jobs.
    public var allowsEviction: Bool

    package static let defaultMaximumResult = 65_536

    /// The most bytes that a job's result may have as JSON. Default: 64 KiB.
    public var maximumResult = WorkerOptions.defaultMaximumResult

    /// How many threads run its jobs: those of Swift's pool. With as many abandoned tasks it can't go on.
    package var poolWidth = ProcessInfo.processInfo.activeProcessorCount

    /// Makes settings.
    ///
    /// - Parameters:
    ///   - queues: names in strict order.
    ///   - fibers: jobs at once, 1 to 100,000.
    ///   - gracePeriod: how long a graceful stop waits.
    ///   - heartbeat: how often it shows that it lives.
    ///   - deadAfter: the silence after which it is taken for dead.
    ///   - delivery: what holds for jobs that say nothing of their delivery.
    ///   - killAfter: how long a cancelled job may take to end before it is abandoned.
    ///   - threads: threads for jobs that block or compute, 1 to 1000; nil: as many as processors.
    ///   - reserve: fibers that are one queue's own.
    /// - Precondition: the numbers are in range, `deadAfter` is at least three heartbeats.
    public init(
        queues: QueueOrder,
        fibers: Int = 100,
        name: String? = nil,
        gracePeriod: Duration = .seconds(25),
        heartbeat: Duration = .seconds(5),
        deadAfter: Duration = .seconds(30),
        delivery: Delivery = .atLeastOnce,
        killAfter: Duration = .seconds(10),
        threads: Int? = nil,
        reserve: [String: Int] = [:],
        endsWhenEmpty: Bool = false,
        allowsEviction: Bool = false
    ) {
        precondition((1...100_000).contains(fibers), "fibers: 1 to 100000")
        precondition((1...1000).contains(threads ?? 1), "threads: 1 to 1000")
        precondition(heartbeat > .zero, "a heartbeat takes time")
        precondition(deadAfter >= heartbeat * 3, "deadAfter is at least three heartbeats")
        precondition(gracePeriod >= .zero, "a grace period is not negative")
        precondition(killAfter >= .zero, "killAfter is not negative")
        self.queues = queues
        self.fibers = fibers
        self.name = name
        self.gracePeriod = gracePeriod
        self.heartbeat = heartbeat
        self.deadAfter = deadAfter
        self.delivery = delivery
        self.killAfter = killAfter
        self.threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
        self.reserve = reserve
        self.endsWhenEmpty = endsWhenEmpty
        self.allowsEviction = allowsEviction
    }

    /// Looks whether the reserves fit the queues and the fibers.
    ///
    /// - Throws: ``BackgroundError`` for a queue that is not served, a number below zero, or reserves that leave a queue no
    ///   fiber.
    package func checkReserve() throws(BackgroundError) {
        for (queue, count) in reserve.sorted(by: { $0.key < $1.key }) {
            guard queues.names.contains(queue) else {
                throw BackgroundError(
                    .invalidArgument,
                    "Fibers are reserved for \(Names.quoted(queue)), which is none of the queues of this worker "
                        + "(\(queues.names.joined(separator: ", "))): add it to them, or reserve none for it."
                )
            }
            guard (0...100_000).contains(count) else {
                throw BackgroundError(
                    .invalidArgument,
                    "The number of fibers reserved for \(Names.quoted(queue)) is \(count); it must lie in 0 to 100000."
                )
            }
        }
        let sum = reserve.values.reduce(0, +)
        let needy = queues.names.first { reserve[$0] ?? 0 == 0 }
        guard sum > fibers || sum == fibers && needy != nil else { return }
        let others = needy.map { ", which leaves none for \(Names.quoted($0))" } ?? ""
        throw BackgroundError(
            .invalidArgument,
            "\(sum) of \(fibers) fibers are reserved\(others): reserve fewer, or run more fibers, at least "
                + "\(sum + (needy == nil ? 0 : 1))."
        )
    }
}
