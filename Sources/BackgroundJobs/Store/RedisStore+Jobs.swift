import BackgroundRedis

/// What somebody does to a job from outside.
extension RedisStore {
    /// The longest list that is searched for an ID.
    private static let longestSearch = 10_000

    package func dequeue(_ job: String) async throws(BackgroundError) -> Dequeued {
        let reply = try await run(scripts.dequeue, arguments: 2) { pipeline in
            pipeline.append(job)
            pipeline.append(Self.longestSearch)
        }
        guard let outcome = reply.text.flatMap(Dequeued.init(rawValue:)) else { throw .unexpected(reply, "dequeue") }
        return outcome
    }

    package func cancel(_ job: String, recordedAs attempt: String) async throws(BackgroundError) -> Cancelled {
        let reply = try await run(scripts.cancel, arguments: 3) { pipeline in
            pipeline.append(job)
            pipeline.append(Self.longestSearch)
            pipeline.append(attempt)
        }
        guard let outcome = reply.text.flatMap(Cancelled.init(rawValue:)) else { throw .unexpected(reply, "cancel") }
        return outcome
    }

    package func retry(_ jobs: [String], onlyDead: Bool) async throws(BackgroundError) -> [Retried] {
        guard !jobs.isEmpty else { return [] }
        let reply = try await run(scripts.retry, arguments: 1 + jobs.count) { pipeline in
            pipeline.append(onlyDead ? 1 : 0)
            for job in jobs { pipeline.append(job) }
        }
        guard let verdicts = reply.array, verdicts.count == jobs.count else { throw .unexpected(reply, "retry") }
        return verdicts.map { Retried($0.text ?? "") }
    }

    package func delete(
        _ members: [String],
        from set: TrimmedSet,
        of queue: String
    ) async throws(BackgroundError) -> Deletion {
        guard !members.isEmpty else { return Deletion(gone: []) }
        let reply = try await run(scripts.delete, arguments: 2 + members.count) { pipeline in
            pipeline.append(queue)
            pipeline.append(set.rawValue)
            for member in members { pipeline.append(member) }
        }
        guard let parts = reply.array, parts.count == 2, let gone = parts[0].array, let problems = parts[1].array else {
            throw .unexpected(reply, "delete")
        }
        let texts = problems.map { $0.text ?? "" }
        let pairs = stride(from: 0, to: texts.count - 1, by: 2).map { (texts[$0], texts[$0 + 1]) }
        return Deletion(
            gone: gone.compactMap(\.text),
            problems: Dictionary(pairs, uniquingKeysWith: { first, _ in first })
        )
    }

    /// Enqueues a job that needs a uniqueness lock; returns the ID of the job that holds it, if that is another.
    func enqueueUnique(_ job: NewJob, _ lock: NewJob.Lock) async throws(BackgroundError) -> Duplicate? {
        let (mode, due) =
            switch job.due {
            case nil: ("", 0 as Int64)
            case .after(let delay): ("after", delay)
            case .at(let time): ("at", time)
            }
        let reply = try await run(scripts.enqueue, arguments: 12 + 2 * job.fields.count) { pipeline in
            pipeline.append(job.id)
            pipeline.append(job.queue)
            pipeline.append(job.className)
            pipeline.append(job.arguments)
            pipeline.append(mode)
            pipeline.append(due)
            pipeline.append(lock.digest)
            pipeline.append(lock.duration)
            pipeline.append(lock.until.rawValue)
            pipeline.append(lock.duplicate.rawValue)
            pipeline.append(job.expiry.map { "\($0)" } ?? "")
            pipeline.append(Self.longestSearch)
            for (name, value) in job.fields {
                pipeline.append(name)
                pipeline.append(value)
            }
        }
        guard let parts = reply.array, let verdict = parts.first?.text else { throw .unexpected(reply, "enqueue") }
        if verdict == "queued" { return nil }
        guard verdict == "duplicate", parts.count == 3, let holder = parts[1].text else {
            throw .unexpected(reply, "enqueue")
        }
        return Duplicate(id: holder, wasChanged: parts[2].int == 1)
    }
}

extension Retried {
    fileprivate init(_ verdict: String) {
        self =
            switch verdict {
            case "queued": .queued
            case "waiting": .waiting
            case "running": .running
            case "ended": .ended
            case "missing": .missing
            default: .damaged(verdict)
            }
    }
}
