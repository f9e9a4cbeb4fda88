import BackgroundRedis
import Logging

/// What a watcher's duties share.
struct Watch: Sendable {
    let store: RedisStore
    let options: WatcherOptions
    let namespace: String
    /// The number of the database: clients of others do not count.
    let database: Int
    let logger: Logger
    let notices = NoticeLog()
    let known = KnownQueues()

    /// The queues to look after at present. Where `queues` was lost or is of a wrong type, those known from elsewhere.
    func queues() async throws(BackgroundError) -> [String] {
        if let queues = options.queues { return queues }
        do throws(BackgroundError) {
            let members = try await store.send("SMEMBERS", store.keys.queues).array ?? []
            known.stored(Set(members.compactMap(\.text).filter(isQueue)))
        } catch {
            guard error.isWrongType else { throw error }
            known.stored(nil)
            notices.log("queues", error.message) {
                logger.error("The names of queues are known from connected workers alone: \($0)")
            }
        }
        return known.all
    }

    /// A queue that the name of a connected worker tells of is watched, and stands in `queues` again if that was lost.
    func adoptQueues(of workers: [ConnectedWorker]) async throws(BackgroundError) {
        guard options.queues == nil else { return }
        let names = Set(workers.flatMap(\.queues)).filter { (try? Names.checkQueue($0)) != nil }
        let missing = known.taken(names)
        guard !missing.isEmpty else { return }
        do throws(BackgroundError) {
            var pipeline = Pipeline()
            pipeline.command(["SADD", store.keys.queues] + missing.sorted())
            _ = try await store.send(pipeline)[0].orThrow()
        } catch {
            // For others to find; this watcher knows them, so it goes on if Redis refuses.
            guard (error.cause as? RedisError)?.serverCode != nil else { throw error }
            notices.log("queues", error.message) { logger.warning("Could not add to queues: \($0)") }
        }
    }

    private func isQueue(_ name: String) -> Bool {
        do throws(BackgroundError) {
            try Names.checkQueue(name)
            return true
        } catch {
            notices.log("queues", error.message) {
                logger.error("A member of \(store.keys.queues) is no queue, SREM it: \($0)")
            }
            return false
        }
    }

    /// Carries a duty out again and again until the task is cancelled. What goes wrong is said and tried again: a duty
    /// keeps no state that matters.
    ///
    /// - Parameter duty: returns how long until it is needed again, or nil for the interval.
    func every(_ name: String, _ duty: () async throws(BackgroundError) -> Duration?) async {
        while !Task.isCancelled {
            let started = ContinuousClock.now
            var pause = options.interval
            do {
                pause = min(pause, try await duty() ?? pause)
            } catch {
                guard !Task.isCancelled else { return }
                // Of a connection that broke the connection tells itself.
                let level: Logger.Level = error.isOfConnection ? .debug : .warning
                notices.log(name, error.message) { logger.log(level: level, "Could not \(name): \($0)") }
                pause = max(pause, .milliseconds(100))
            }
            // Cancellation is the stop; there is nothing to clean up.
            try? await Task.sleep(until: started + pause, tolerance: .zero, clock: .continuous)
        }
    }

    /// Does something for each queue; one that is damaged does not hold up the others.
    func forEach(
        _ queues: [String],
        _ name: String,
        _ body: (String) async throws(BackgroundError) -> Void
    ) async throws(BackgroundError) {
        for queue in queues where !Task.isCancelled {
            do {
                try await body(queue)
            } catch {
                guard error.isWrongType else { throw error }
                notices.log(queue, error.message) {
                    logger.error("Could not \(name): \($0)", metadata: [LogKey.queue: "\(queue)"])
                }
            }
        }
    }
}
