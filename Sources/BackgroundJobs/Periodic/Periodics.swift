import BackgroundRedis
package import Logging
import NIOPosix

/// What a worker has to do with periodic jobs: it declares those of its program, and ends one that says so. Both are rare, so each has
/// a connection of its own.
struct Periodics: Sendable {
    let redis: RedisOptions
    let logger: Logger

    /// Declares all periodic jobs of a program.
    ///
    /// - Returns: false if it is to be tried again, as ``keepDeclaring(_:by:)`` does. What would fail again is told.
    func declare(_ jobs: [PeriodicJob], by owner: String) async -> Bool {
        do {
            try await declareOnce(jobs, by: owner)
            return true
        } catch {
            let mayPass = [.unavailable, .refused, .unknownFate].contains(error.code) && !error.isWrongType
            logger.log(
                level: mayPass ? .warning : .error,
                "Could not declare periodic jobs\(mayPass ? ", trying again" : ""): \(error.message)"
            )
            return !mayPass
        }
    }

    /// Tries again, ever less often, until it is done or the task is cancelled.
    func keepDeclaring(_ jobs: [PeriodicJob], by owner: String) async {
        var pause = 1.0
        repeat {
            // Cancellation is the end.
            try? await Task.sleep(for: .seconds(Double.random(in: pause / 2...pause)))
            pause = min(pause * 2, 30)
            guard !Task.isCancelled else { return }
        } while await !declare(jobs, by: owner)
    }

    private func declareOnce(_ jobs: [PeriodicJob], by owner: String) async throws(BackgroundError) {
        let declared = try await withStore { store throws(BackgroundError) in
            let now = try await store.serverTime()
            let current = try jobs.map { job throws(BackgroundError) in try job.declaration(by: owner, now: now) }
            let declared = try await store.patiently(where: \.mayBeRepeated) { () async throws(BackgroundError) in
                try await store.declare(current, by: owner, areAll: true, revives: false)
            }
            return zip(current.map(\.name), declared.verdicts).map { ($0, $1) } + declared.removed.map { ($0, nil) }
        }
        for (name, verdict) in declared { tell(name, verdict) }
    }

    private func tell(_ name: String, _ verdict: Declared.Verdict?) {
        let metadata: Logger.Metadata = [LogKey.periodic: "\(name)"]
        switch verdict {
        case nil: logger.info("Removed a periodic job that this program no longer declares", metadata: metadata)
        case .unchanged: logger.debug("A periodic job is as it was", metadata: metadata)
        case .added, .changed: logger.info("Declared a periodic job", metadata: metadata)
        case .foreign(let owner):
            let whose = owner.isEmpty ? "was made by hand" : "belongs to the program \(Names.quoted(owner))"
            logger.error(
                "Not declared: the periodic job of this name \(whose). Choose another name, or remove that one (bg-cli cron remove)",
                metadata: metadata
            )
        case .damaged(let sentence):
            logger.error("Not declared: \(sentence). Remove it (bg-cli cron remove)", metadata: metadata)
        }
    }

    /// Ends a periodic job.
    ///
    /// - Throws: ``BackgroundError`` where Redis could not be told.
    func end(_ name: String, because reason: String) async throws(BackgroundError) {
        let reason = FailureText.printable(reason.isEmpty ? "its job ended it" : reason, limit: 1024)
        let verdict = try await withStore { store throws(BackgroundError) in
            try await store.patiently(where: \.mayBeRepeated) { () async throws(BackgroundError) in
                try await store.steer(name, .end(reason: reason))
            }
        }
        let metadata: Logger.Metadata = [LogKey.periodic: "\(name)"]
        if verdict == .done {
            logger.notice("A periodic job was ended by its job: \(reason)", metadata: metadata)
        } else {
            logger.debug("A periodic job that was to be ended had ended, or is gone", metadata: metadata)
        }
    }

    private func withStore<Value>(
        _ body: (RedisStore) async throws(BackgroundError) -> Value
    ) async throws(BackgroundError) -> Value {
        let client = RedisClient(
            try redis.configuration(clientName: ClientName.manager(redis.namespace), maximumBackoff: .seconds(1)),
            eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
            logger: logger
        )
        let store = RedisStore(client: client, namespace: redis.namespace, patience: redis.connectTimeout)
        do {
            let value = try await body(store)
            await client.close()
            return value
        } catch {
            await client.close()
            throw error
        }
    }
}

extension JobRegistry {
    /// Lets its jobs end the periodic jobs that fired them.
    package mutating func endPeriodics(on redis: RedisOptions, logger: Logger) {
        let periodics = Periodics(redis: redis, logger: logger)
        endsPeriodic = { try await periodics.end($0, because: $1) }
    }
}
