import BackgroundRedis
import Foundation

extension Inspector {
    /// The most queues that are shown.
    private static let queueLimit = 10_000
    /// How many queues are asked for in one round trip.
    private static let chunk = 200

    /// The queues in use, by name: those that something was enqueued to or that a worker serves.
    ///
    /// - Throws: ``BackgroundError``.
    public func queues() async throws(BackgroundError) -> [String] {
        try await knownQueues(clients())
    }

    /// What there is in each queue, and who is connected.
    ///
    /// - Parameter queues: which queues; nil: all that are in use.
    /// - Throws: ``BackgroundError``: `invalidArgument` for a queue name that is not one.
    public func status(queues: [String]? = nil) async throws(BackgroundError) -> SystemStatus {
        for queue in queues ?? [] { try Names.checkQueue(queue) }
        let clients = try await clients()
        let names: [String]
        if let queues { names = queues } else { names = try await knownQueues(clients) }
        let now = try await serverTime()
        var status = SystemStatus(time: Date(milliseconds: now), watchers: clients.watchers, queues: [])
        for start in stride(from: 0, to: names.count, by: Self.chunk) {
            let chunk = names[start..<min(start + Self.chunk, names.count)]
            status.queues += try await figures(of: Array(chunk), clients.workers)
        }
        return status
    }

    private func knownQueues(_ clients: ConnectedClients) async throws(BackgroundError) -> [String] {
        let written = try await members(of: keys.queues, limit: Self.queueLimit).members
        // One that was paused under a wrong name is to be seen.
        let paused: [String]
        do throws(BackgroundError) {
            paused = try await members(of: keys.paused, limit: Self.queueLimit).members
        } catch  where error.isWrongType || error.code == .damaged {
            paused = []
        }
        let known = Set(written + paused).union(clients.workers.flatMap(\.queues))
        return known.filter { (try? Names.checkQueue($0)) != nil }.sorted()
    }

    private func figures(
        of names: [String],
        _ workers: [WorkerRecord]
    ) async throws(BackgroundError) -> [QueueStatus] {
        // Asked again each time, since "within the last second" is as exact as this.
        let now = try await serverTime()
        var pipeline = Pipeline()
        for name in names { QueueFigures.append(name, keys, now: now, to: &pipeline) }
        let replies = try await read(pipeline)
        let count = QueueFigures.commandCount
        var figures = names.enumerated().map { index, name in
            QueueFigures(name, keys, replies[index * count..<(index + 1) * count])
        }
        try await addAges(to: &figures, now: now)
        try await addPlaced(to: &figures)
        return figures.map { figure in
            var status = figure.status
            for worker in workers where worker.queues.contains(status.name) {
                status.workers += 1
                status.fibers += worker.fibers
            }
            return status
        }
    }

    private func addPlaced(to figures: inout [QueueFigures]) async throws(BackgroundError) {
        let places: [Place]
        do {
            places = try await self.places(of: figures.map(\.status.name))
        } catch let error where error.isWrongType {
            return
        }
        var pipeline = Pipeline()
        for place in places { pipeline.command("LLEN", keys.placed(place)) }
        for (place, reply) in zip(places, try await read(pipeline)) {
            guard let index = figures.firstIndex(where: { $0.status.name == place.queue }) else { continue }
            figures[index].status.placed += Int(clamping: reply.int ?? 0)
        }
    }

    private func addAges(to figures: inout [QueueFigures], now: Int64) async throws(BackgroundError) {
        var pipeline = Pipeline()
        var asked: [Int] = []
        for (index, figure) in figures.enumerated() {
            guard let job = figure.next else { continue }
            pipeline.command("HMGET", keys.job(job), "qat", "pat")
            asked.append(index)
        }
        for (index, reply) in zip(asked, try await read(pipeline)) {
            var fields = HashFields(["qat", "pat"], reply.array ?? [])
            let times = [fields.date("qat"), fields.date("pat")].compactMap { $0?.milliseconds }
            // Ready since it was queued, or since it was due; a due time yet to come is that of a retry made at once.
            guard let since = times.filter({ $0 <= now }).max() else { continue }
            figures[index].status.oldestReadyAge = .milliseconds(now - since)
        }
    }
}

/// The commands that the figures of a queue are read with, and their replies.
private struct QueueFigures {
    var status: QueueStatus
    /// The job that is next.
    var next: String?

    static let commandCount = 11

    static func append(_ queue: String, _ keys: Keys, now: Int64, to pipeline: inout Pipeline) {
        pipeline.command("LLEN", keys.ready(queue))
        pipeline.command("LLEN", keys.handoff(queue))
        pipeline.command("LLEN", keys.suspects(queue))
        pipeline.command("ZCARD", keys.scheduled(queue))
        pipeline.command("SCARD", keys.processing(queue))
        pipeline.command("ZCARD", keys.completed(queue))
        pipeline.command("ZCARD", keys.failed(queue))
        pipeline.command("ZCARD", keys.dead(queue))
        pipeline.command("ZCOUNT", keys.completed(queue), "(\(now - 1000)", "+inf")
        pipeline.command("SISMEMBER", keys.paused, queue)
        pipeline.command("LINDEX", keys.ready(queue), "0")
    }

    init(_ queue: String, _ keys: Keys, _ replies: ArraySlice<RESPValue>) {
        let replies = Array(replies)
        let counts = replies.map { Int(clamping: $0.int ?? 0) }
        status = QueueStatus(name: queue)
        status.ready = counts[0] + counts[1]
        status.suspects = counts[2]
        status.scheduled = counts[3]
        status.processing = counts[4]
        status.completed = counts[5]
        status.failed = counts[6]
        status.dead = counts[7]
        status.jobsPerSecond = counts[8]
        status.isPaused = counts[9] == 1
        next = replies[10].text
        let read = [
            keys.ready(queue), keys.handoff(queue), keys.suspects(queue), keys.scheduled(queue), keys.processing(queue),
            keys.completed(queue), keys.failed(queue), keys.dead(queue),
        ]
        for (key, reply) in zip(read, replies) where reply.isWrongType {
            status.problems.append("The key \(key) is of another type than it should be.")
        }
        if replies[9].isWrongType {
            status.problems.append(
                "The key \(keys.paused) is of another type than it should be: no queue counts as paused."
            )
        }
    }
}
