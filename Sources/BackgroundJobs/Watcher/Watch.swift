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
    let looks: Looks

    /// Looks what there is to do. Where `queues` was lost or is of a wrong type, in the queues known from elsewhere.
    func look() async throws(BackgroundError) -> Look {
        let asked = options.queues ?? known.all
        var look = try await store.look(asked, readsQueues: options.queues == nil)
        switch look.stored {
        case nil: break
        case .success(let names): known.stored(Set(names.filter(isQueue)))
        case .failure(let error):
            known.stored(nil)
            notices.log("queues", error.message) {
                logger.error("The names of queues are known from connected workers alone: \($0)")
            }
        }
        let new = options.queues == nil ? Set(known.all).subtracting(asked) : []
        if !new.isEmpty {
            look.queues.merge(try await store.look(new.sorted(), readsQueues: false).queues) { $1 }
        }
        return look
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

    /// Looks once an interval until the task is cancelled, and tells all duties.
    func run() async {
        while !Task.isCancelled {
            let started = ContinuousClock.now
            var look: Look?
            await attempt("look") { () async throws(BackgroundError) in look = try await self.look() }
            looks.publish(look.map { .look($0) } ?? .nothing)
            // Cancellation is the stop; there is nothing to clean up.
            let pause = look == nil ? max(options.interval, .milliseconds(100)) : options.interval
            try? await Task.sleep(until: started + pause, tolerance: .zero, clock: .continuous)
        }
    }

    /// Carries a duty out at every look until the task is cancelled.
    func atEachLook(_ name: String, _ duty: (Look) async throws(BackgroundError) -> Void) async {
        var feed = looks.feed()
        while !Task.isCancelled {
            guard case .look(let look)? = await feed.next() else { continue }
            await attempt(name) { () async throws(BackgroundError) in try await duty(look) }
        }
    }

    /// Tries a step of a duty. What goes wrong is said, and tried again at the next look: a duty keeps no state that matters.
    ///
    /// - Returns: whether it went well.
    @discardableResult
    func attempt(_ name: String, _ step: () async throws(BackgroundError) -> Void) async -> Bool {
        do {
            try await step()
            return true
        } catch {
            guard !Task.isCancelled else { return false }
            // Of a connection that broke the connection tells itself.
            let level: Logger.Level = error.isOfConnection ? .debug : .warning
            notices.log(name, error.message) { logger.log(level: level, "Could not \(name): \($0)") }
            return false
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
