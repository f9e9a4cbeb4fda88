import BackgroundRedis

/// What a watcher saw when it looked: what there is to do. It may be more by the time it is done, and nothing is lost if it is
/// less: whatever is done looks again.
package struct Look: Sendable {
    /// What there is to do in a queue.
    package struct Queue: Sendable, Equatable {
        /// Ms until the next scheduled job is due; nil if there is none.
        package var due: Int64?
        package var handoff: Int64
        package var processing: Int64
        /// Of each set that is trimmed its size, and the age of its oldest member in ms; nil if it has none.
        package var kept: [TrimmedSet: Kept]
    }

    package struct Kept: Sendable, Equatable {
        package var count: Int64
        package var age: Int64?
    }

    package var facts: Judge.ServerFacts
    /// The names in `queues`, or a sentence where they can't be read; nil if they were not asked for.
    package var stored: Result<[String], BackgroundError>?
    package var places: Int64
    /// Ms until the next periodic job is due; nil if there is none.
    package var firing: Int64?
    package var queues: [String: Queue]
    /// Before it was asked: what is due in so many ms is not due before that time.
    package var asked: ContinuousClock.Instant
}

extension Look {
    /// Whether it would take a call to find out that a set holds nothing to trim.
    func mayTrim(_ set: TrimmedSet, of queue: String, keep: Retention) -> Bool {
        guard let kept = queues[queue]?.kept[set], kept.count > 0 else { return false }
        if let most = keep.count, kept.count > most { return true }
        if let age = keep.age, let oldest = kept.age, .milliseconds(oldest) >= age { return true }
        return false
    }
}

extension RedisStore {
    /// How many queues are looked at in one call: a call is to take no longer than a few ms.
    private static let queuesInOneLook = 200

    /// Looks at queues, and at what is not of a queue.
    ///
    /// - Parameter readsQueues: whether the names in `queues` are read as well.
    package func look(_ queues: [String], readsQueues: Bool) async throws(BackgroundError) -> Look {
        // Where a connection is being made it is waited for.
        if client.session == nil { try await send("PING") }
        let session = client.session?.number
        let asked = ContinuousClock.now
        var look = try await lookOnce(Array(queues.prefix(Self.queuesInOneLook)), readsQueues, asked)
        for start in stride(from: Self.queuesInOneLook, to: queues.count, by: Self.queuesInOneLook) {
            let page = Array(queues[start..<min(start + Self.queuesInOneLook, queues.count)])
            look.queues.merge(try await lookOnce(page, false, asked).queues) { $1 }
        }
        guard let session, client.session?.number == session else {
            throw BackgroundError(.unavailable, "The connection to Redis is being made anew.")
        }
        look.facts.session = session
        return look
    }

    private func lookOnce(
        _ queues: [String],
        _ readsQueues: Bool,
        _ asked: ContinuousClock.Instant
    ) async throws(BackgroundError) -> Look {
        let reply = try await run(scripts.look, arguments: 1 + queues.count) { pipeline in
            pipeline.append(readsQueues ? 1 : 0)
            for queue in queues { pipeline.append(queue) }
        }
        guard let parts = reply.array, parts.count == 6 + queues.count, let now = parts[0].int,
            let places = parts[4].int, let firing = parts[5].int
        else { throw .unexpected(reply, "look") }
        var found: [String: Look.Queue] = [:]
        for (queue, part) in zip(queues, parts.dropFirst(6)) {
            guard let read = Look.Queue(part) else { throw .unexpected(reply, "look") }
            found[queue] = read
        }
        var stored: Result<[String], BackgroundError>?
        if readsQueues {
            stored =
                parts[3].array.map { .success($0.compactMap(\.text)) }
                ?? .failure(BackgroundError(.damaged, parts[3].text ?? ""))
        }
        return Look(
            facts: Judge.ServerFacts(
                session: 0,
                runID: parts[1].text ?? "",
                isMaster: parts[2].text == "master",
                time: now
            ),
            stored: stored,
            places: places,
            firing: firing < 0 ? nil : firing,
            queues: found,
            asked: asked
        )
    }
}

extension Look.Queue {
    fileprivate init?(_ reply: RESPValue) {
        let numbers = (reply.array ?? []).compactMap(\.int)
        guard numbers.count == 3 + 2 * TrimmedSet.allCases.count else { return nil }
        func time(_ number: Int64) -> Int64? { number < 0 ? nil : number }
        due = time(numbers[0])
        handoff = numbers[1]
        processing = numbers[2]
        kept = [:]
        for (index, set) in [TrimmedSet.completed, .failed, .ended, .dead].enumerated() {
            kept[set] = Look.Kept(count: numbers[3 + 2 * index], age: time(numbers[4 + 2 * index]))
        }
    }
}
