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

    /// The queues to look after at present.
    func queues() async throws(BackgroundError) -> [String] {
        if let queues = options.queues { return queues }
        let members = try await store.send("SMEMBERS", store.keys.queues).array ?? []
        return members.compactMap(\.text).filter { name in
            do throws(BackgroundError) {
                try Names.checkQueue(name)
                return true
            } catch {
                notices.log("queues", error.message) { logger.error("A member of queues is no queue: \($0)") }
                return false
            }
        }.sorted()
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
                notices.log(name, error.message) { logger.warning("Could not \(name): \($0)") }
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
                guard error.code == .refused, (error.cause as? RedisError)?.serverCode == "WRONGTYPE" else { throw error }
                notices.log(queue, error.message) {
                    logger.error("Could not \(name): \($0)", metadata: [LogKey.queue: "\(queue)"])
                }
            }
        }
    }
}
