import BackgroundRedis

extension RedisStore {
    /// enqueue: one MULTI, so that a producer needs no right to run scripts. HSET comes first: a Redis that is out of
    /// memory refuses the transaction whole. A uniqueness lock takes a script.
    @discardableResult
    package func enqueue(_ jobs: [NewJob]) async throws(BackgroundError) -> [String: Duplicate] {
        let plain = jobs.allSatisfy { $0.lock == nil } ? jobs : jobs.filter { $0.lock == nil }
        var holders = plain.isEmpty ? [:] : try await enqueuePlain(plain)
        guard plain.count < jobs.count else { return holders }
        for job in jobs {
            guard let lock = job.lock else { continue }
            // The script knows its own job again: it may be repeated whatever became of the first call.
            let holder = try await patiently(where: \.mayBeRepeated) { () async throws(BackgroundError) in
                try await enqueueUnique(job, lock)
            }
            if let holder { holders[job.id] = holder }
        }
        return holders
    }

    /// Returns the IDs, each by itself, of those that were there before.
    private func enqueuePlain(_ all: [NewJob]) async throws(BackgroundError) -> [String: Duplicate] {
        let (jobs, present) = try await patiently(where: \.maySoonBeAnswered) { () async throws(BackgroundError) in
            try await withoutQueued(all)
        }
        guard let first = jobs.first else { return present }
        var tries = 0
        while true {
            do {
                try await patiently(where: \.isMissingConnection) { () async throws(BackgroundError) in
                    try await transact(jobs)
                }
                return present
            } catch {
                guard error.code == .unknownFate, tries < 5 else { throw error }
                tries += 1
                // The transaction is atomic: if one of its hashes is there, all of it was done.
                if try await isQueued(first.id, after: error) { return present }
            }
        }
    }

    /// The jobs less those whose ID the caller chose and that are there already: enqueuing is idempotent by the ID, also
    /// within one call.
    private func withoutQueued(_ jobs: [NewJob]) async throws(BackgroundError) -> (
        [NewJob], present: [String: Duplicate]
    ) {
        var ids: Set<String> = []
        let jobs = jobs.filter { !$0.isIDChosen || ids.insert($0.id).inserted }
        let chosen = jobs.indices.filter { jobs[$0].isIDChosen }
        guard !chosen.isEmpty else { return (jobs, [:]) }
        var pipeline = Pipeline()
        for index in chosen {
            for field in ["que", "end"] { pipeline.command("HGET", keys.job(jobs[index].id), field) }
        }
        let replies = try await send(pipeline)
        var present: Set<Int> = []
        var dequeued = Pipeline()
        for (place, index) in chosen.enumerated() {
            guard try replies[2 * place].orThrow() != .null else { continue }
            if try replies[2 * place + 1].orThrow().text == "Dequeued" {
                // From a long list, so that its hash is still there: it is as good as gone.
                dequeued.command("DEL", keys.job(jobs[index].id))
            } else {
                present.insert(index)
            }
        }
        if dequeued.commandCount > 0 { _ = try await send(dequeued) }
        return (
            jobs.indices.filter { !present.contains($0) }.map { jobs[$0] },
            Dictionary(uniqueKeysWithValues: present.map { (jobs[$0].id, Duplicate(id: jobs[$0].id)) })
        )
    }

    private func isQueued(_ job: String, after failure: BackgroundError) async throws(BackgroundError) -> Bool {
        do {
            return try await patiently(where: \.maySoonBeAnswered) { () async throws(BackgroundError) in
                try await send("EXISTS", keys.job(job)).int == 1
            }
        } catch {
            throw BackgroundError(
                .unknownFate,
                "\(failure.message) Whether job \(job) is queued could not be asked (\(error.message)) "
                    + "Enqueue it again with the same ID: a job that is there already is not queued twice.",
                cause: error
            )
        }
    }

    /// Does something again, after short pauses, as long as it fails in a way that is worth it and `patience` has not passed:
    /// a Redis that is restarted refuses connections for some hundred milliseconds.
    func patiently<Value>(
        where isWorthIt: (BackgroundError) -> Bool,
        _ body: () async throws(BackgroundError) -> Value
    ) async throws(BackgroundError) -> Value {
        let deadline = ContinuousClock.now + patience
        while true {
            do {
                return try await body()
            } catch {
                guard isWorthIt(error), ContinuousClock.now < deadline else { throw error }
                let isCancelled = (try? await Task.sleep(for: .milliseconds(Int.random(in: 10...50)))) == nil
                if isCancelled { throw error }
            }
        }
    }

    private func transact(_ jobs: [NewJob]) async throws(BackgroundError) {
        let now = try await serverTime()
        var pipeline = Pipeline()
        pipeline.command("MULTI")
        for job in jobs { appendHash(of: job, queuedAt: now, to: &pipeline) }
        let pushes = appendPushes(of: jobs, now: now, to: &pipeline)
        let queues = Set(pushes.map { jobs[$0[0]].queue })
        pipeline.begin(argumentCount: 2 + queues.count)
        pipeline.append("SADD")
        pipeline.append(keys.queues)
        for queue in queues { pipeline.append(queue) }
        pipeline.command("EXEC")

        let replies = try await send(pipeline)
        let refused = replies.dropLast().first { if case .error = $0 { true } else { false } }
        guard let results = try (refused ?? replies[replies.count - 1]).orThrow().array else {
            throw BackgroundError(.damaged, "Redis answered EXEC with neither results nor an error.")
        }
        try await undo(jobs, pushes: pushes, results: results, now: now)
    }

    /// An error inside EXEC does not stop the commands behind it: where a push failed (its key is of a wrong type), the
    /// hashes go again, so that "the hash is there" means "it was queued".
    ///
    /// An error of the last command alone (`queues` is no set) is none of the producer's: the jobs are queued, and the
    /// watchers tell of it.
    private func undo(
        _ jobs: [NewJob],
        pushes: [[Int]],
        results: [RESPValue],
        now: Int64
    ) async throws(BackgroundError) {
        let essential = results.prefix(jobs.count + pushes.count)
        guard let failure = essential.first(where: { if case .error = $0 { true } else { false } }) else { return }
        var cleanup = Pipeline()
        for (index, members) in pushes.enumerated() {
            guard jobs.count + index < results.count, case .error = results[jobs.count + index] else { continue }
            for member in members { cleanup.command("DEL", keys.job(jobs[member].id)) }
        }
        if cleanup.commandCount > 0 { try await delete(cleanup) }
        do {
            _ = try failure.orThrow()
        } catch {
            guard error.isWrongType, let push = results.dropFirst(jobs.count).firstIndex(of: failure),
                let job = pushes.indices.contains(push - jobs.count) ? pushes[push - jobs.count].first : nil
            else { throw error }
            let key = due(jobs[job], now) == nil ? keys.ready(jobs[job].queue) : keys.scheduled(jobs[job].queue)
            throw BackgroundError(error.code, "\(key): \(error.message)", cause: error.cause)
        }
    }

    /// Deletes the hashes of jobs that could not be pushed. A broken connection is waited out, and never taken for one in
    /// which the transaction was lost: it was carried out, and failed.
    private func delete(_ cleanup: Pipeline) async throws(BackgroundError) {
        var tries = 0
        while true {
            do {
                _ = try await send(cleanup)
                return
            } catch {
                tries += 1
                guard tries == 5 else { continue }
                throw BackgroundError(
                    .damaged,
                    "The jobs could not be pushed, since a key is of a wrong type, and their hashes could not be deleted: "
                        + "\(error.message) Delete them by hand, or enqueue under other IDs.",
                    cause: error
                )
            }
        }
    }

    private func appendHash(of job: NewJob, queuedAt now: Int64, to pipeline: inout Pipeline) {
        let due = due(job, now)
        let expiry = job.expiry.map { (due ?? now) + $0 }
        let optional = (due == nil ? 0 : 1) + (expiry == nil ? 0 : 1) + job.fields.count
        pipeline.begin(argumentCount: 10 + 2 * optional)
        pipeline.append("HSET")
        pipeline.append(keys.job(job.id))
        pipeline.append("que")
        pipeline.append(job.queue)
        pipeline.append("cls")
        pipeline.append(job.className)
        pipeline.append("arg")
        pipeline.append(job.arguments)
        pipeline.append("qat")
        pipeline.append(now)
        if let due {
            pipeline.append("pat")
            pipeline.append(due)
        }
        if let expiry {
            pipeline.append("exp")
            pipeline.append(expiry)
        }
        for (name, value) in job.fields {
            pipeline.append(name)
            pipeline.append(value)
        }
    }

    /// One RPUSH or ZADD for each queue; returns which jobs each of them pushes.
    private func appendPushes(of jobs: [NewJob], now: Int64, to pipeline: inout Pipeline) -> [[Int]] {
        var pushes: [[Int]] = []
        // Of each push. There are few of them, as a rule one.
        var targets: [(queue: String, isScheduled: Bool)] = []
        for (index, job) in jobs.enumerated() {
            let target = (job.queue, due(job, now) != nil)
            if let place = targets.lastIndex(where: { $0 == target }) {
                pushes[place].append(index)
            } else {
                targets.append(target)
                pushes.append([index])
            }
        }
        for members in pushes {
            let queue = jobs[members[0]].queue
            if due(jobs[members[0]], now) == nil {
                pipeline.begin(argumentCount: 2 + members.count)
                pipeline.append("RPUSH")
                pipeline.append(keys.ready(queue))
                for member in members { pipeline.append(jobs[member].id) }
            } else {
                pipeline.begin(argumentCount: 2 + 2 * members.count)
                pipeline.append("ZADD")
                pipeline.append(keys.scheduled(queue))
                for member in members {
                    pipeline.append(due(jobs[member], now) ?? now)
                    pipeline.append(jobs[member].id)
                }
            }
        }
        return pushes
    }

    /// When the job is due in ms; nil: at once.
    private func due(_ job: NewJob, _ now: Int64) -> Int64? {
        let due: Int64? =
            switch job.due {
            case nil: nil
            case .at(let time): time
            case .after(let delay): now + delay
            }
        return due.flatMap { $0 > now ? $0 : nil }
    }

    /// The server's time in ms, asked where it is not known well enough.
    package func serverTime() async throws(BackgroundError) -> Int64 {
        if !clock.isStale, let now = clock.now { return now }
        let now = try await send("TIME").serverTime()
        clock.learn(now)
        return now
    }
}

extension BackgroundError {
    /// Whether there was no connection to send anything on.
    fileprivate var isMissingConnection: Bool {
        code == .unavailable && isOfConnection
    }

    /// Whether the same question may have an answer in a moment.
    var maySoonBeAnswered: Bool {
        (cause as? RedisError)?.maySoonBeAnswered ?? false
    }

    /// Whether nothing was done, and it may be in a moment.
    var wasNotDone: Bool { code != .unknownFate && maySoonBeAnswered }

    /// Whether what is harmless to repeat is worth repeating.
    var mayBeRepeated: Bool { code == .unknownFate || maySoonBeAnswered }

    /// Whether it is about the connection, and not about what was asked.
    package var isOfConnection: Bool {
        (cause as? RedisError)?.isOfConnection ?? false
    }
}

extension RedisError {
    /// Whether it is about the connection, and not about what was asked.
    var isOfConnection: Bool { [.connectFailed, .connectionLost, .timeout].contains(code) }

    /// Whether the same question may have an answer in a moment.
    var maySoonBeAnswered: Bool { isOfConnection || ["LOADING", "BUSY", "MASTERDOWN"].contains(serverCode) }
}
