import BackgroundRedis
import Foundation

extension RedisStore {
    package func ends(of jobs: [String], for listener: Listener) async throws(BackgroundError) -> [JobEnd?] {
        guard !jobs.isEmpty else { return [] }
        let reply = try await run(scripts.await, arguments: 2 + jobs.count) { Self.append(jobs, listener, to: &$0) }
        return try Self.ends(reply, of: jobs)
    }

    static func append(_ jobs: [String], _ listener: Listener, to pipeline: inout Pipeline) {
        pipeline.append(listener.token)
        pipeline.append("\(listener.time.ceilingMilliseconds)")
        for job in jobs { pipeline.append(job) }
    }

    private static func ends(_ reply: RESPValue, of jobs: [String]) throws(BackgroundError) -> [JobEnd?] {
        var ends: [JobEnd?] = []
        for answer in try answers(reply, of: jobs) { ends.append(try answer.get()) }
        return ends
    }

    /// What is known of each job: a damaged one keeps no other from its answer.
    static func answers(
        _ reply: RESPValue,
        of jobs: [String]
    ) throws(BackgroundError) -> [Result<JobEnd?, BackgroundError>] {
        guard let answers = reply.array, answers.count == jobs.count else { throw .unexpected(reply, "await") }
        return answers.map { answer in
            guard let text = answer.text, !text.isEmpty else { return .success(nil) }
            if text.hasPrefix("!") {
                return .failure(BackgroundError(.damaged, "A job can't be awaited: \(text.dropFirst())"))
            }
            return JobEnd(note: text).map { .success($0) } ?? .failure(.unexpected(answer, "await"))
        }
    }

    package func note(_ notes: [AttemptNote]) async throws(BackgroundError) -> Int {
        guard !notes.isEmpty else { return 0 }
        let reply = try await run(scripts.note, arguments: Self.argumentCount(notes)) { Self.append(notes, to: &$0) }
        return Int(reply.int ?? 0)
    }

    static func argumentCount(_ notes: [AttemptNote]) -> Int { notes.reduce(0) { $0 + 3 + 2 * $1.fields.count } }

    static func append(_ notes: [AttemptNote], to pipeline: inout Pipeline) {
        for note in notes {
            pipeline.append(note.attempt)
            pipeline.append(note.queue)
            pipeline.append(note.fields.count)
            for (name, value) in note.fields {
                pipeline.append(name)
                pipeline.append(value)
            }
        }
    }

    // MARK: Jobs that belong together

    package func enqueueTogether(_ jobs: [NewJob]) async throws(BackgroundError) {
        _ = try await change("enqueue", "", jobs)
    }

    package func open(_ batch: NewBatch) async throws(BackgroundError) -> BatchVerdict {
        let callbacks = [batch.onComplete, batch.onSuccess, batch.onDeath]
        let jobs = callbacks.compactMap(\.self)
        return try await change("open", batch.id, jobs, further: 5) { pipeline in
            pipeline.append(batch.parent ?? "")
            pipeline.append(batch.description ?? "")
            for callback in callbacks { pipeline.append(callback?.id ?? "") }
        }
    }

    package func add(_ jobs: [NewJob], to batch: String) async throws(BackgroundError) -> BatchVerdict {
        try await change("add", batch, jobs)
    }

    package func close(_ batch: String) async throws(BackgroundError) -> BatchVerdict {
        try await change("close", batch, [])
    }

    package func batch(_ id: String) async throws(BackgroundError) -> BatchStatus? {
        let fields = HashFields(all: try await send("HGETALL", keys.batch(id)).array ?? [])
        return fields.isEmpty ? nil : BatchStatus(id: id, fields: fields.texts)
    }

    package func attempts(of job: String, limit: Int) async throws(BackgroundError) -> [AttemptRecord] {
        var attempts: [AttemptRecord] = []
        var next = try await send("HGET", keys.job(job), "las").text
        while let id = next, attempts.count < limit, !attempts.contains(where: { $0.id == id }) {
            let fields = HashFields(all: try await send("HGETALL", keys.attempt(id)).array ?? [])
            guard !fields.isEmpty else { break }
            let attempt = AttemptRecord(id: id, fields)
            attempts.append(attempt)
            next = attempt.previous
        }
        return attempts
    }

    /// The scripts know what they have done: they may be repeated whatever became of the first call.
    private func change(
        _ verb: String,
        _ batch: String,
        _ jobs: [NewJob],
        further: Int = 0,
        _ append: (inout Pipeline) -> Void = { _ in }
    ) async throws(BackgroundError) -> BatchVerdict {
        let count = 2 + further + jobs.reduce(0) { $0 + 7 + 4 + 2 * $1.togetherFields.count }
        let reply = try await patiently(where: \.mayBeRepeated) { () async throws(BackgroundError) in
            try await run(scripts.together, arguments: count) { pipeline in
                pipeline.append(verb)
                pipeline.append(batch)
                append(&pipeline)
                for job in jobs { pipeline.append(job) }
            }
        }
        guard let verdict = reply.text.flatMap(BatchVerdict.init(rawValue:)) else {
            throw .unexpected(reply, "together")
        }
        return verdict
    }
}

extension Pipeline {
    fileprivate mutating func append(_ job: NewJob) {
        let (when, time): (String, Int64) =
            switch job.due {
            case nil: ("", 0)
            case .after(let delay): ("after", delay)
            case .at(let time): ("at", time)
            }
        let fields = job.togetherFields
        append(job.id)
        append(job.queue)
        append(job.isWaiting ? 1 : 0)
        append(when)
        append("\(time)")
        append(job.isWaiting ? "" : job.expiry.map { "\($0)" } ?? "")
        append(2 + fields.count)
        append("cls")
        append(job.className)
        append("arg")
        append(job.arguments)
        for (name, value) in fields {
            append(name)
            append(value)
        }
    }
}

extension NewJob {
    /// The further fields of the hash. A job that waits for another one is told there when it is due, once it is released.
    package var togetherFields: [JobOptions.Field] {
        guard isWaiting else { return fields }
        var fields = fields
        if case .after(let delay)? = due { fields.append(("dly", "\(delay)")) }
        if let expiry { fields.append(("exr", "\(expiry)")) }
        return fields
    }
}

extension JobEnd {
    /// Reads a note.
    package init?(note: String) {
        guard let end = try? JSONDecoder().decode(JobEnd.self, from: Data(note.utf8)) else { return nil }
        self = end
    }
}
