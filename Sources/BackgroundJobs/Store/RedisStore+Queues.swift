import BackgroundRedis

/// What somebody does to a queue from outside.
extension RedisStore {
    package func setPaused(_ isPaused: Bool, _ queues: [String]) async throws(BackgroundError) -> [String] {
        guard !queues.isEmpty else { return [] }
        let reply = try await run(scripts.pause, arguments: 1 + queues.count) { pipeline in
            pipeline.append(isPaused ? "pause" : "resume")
            for queue in queues { pipeline.append(queue) }
        }
        guard let changed = reply.array else { throw .unexpected(reply, "pause") }
        return changed.compactMap(\.text)
    }

    package func clear(
        _ place: WaitingPlace,
        of queue: String,
        limit: Int
    ) async throws(BackgroundError) -> WaitingStep {
        let reply = try await run(scripts.clear, arguments: 3) { pipeline in
            pipeline.append(queue)
            pipeline.append(place.rawValue)
            pipeline.append(limit)
        }
        return try WaitingStep(reply, of: "clear")
    }

    package func move(
        _ place: WaitingPlace,
        from queue: String,
        to target: String,
        limit: Int
    ) async throws(BackgroundError) -> WaitingStep {
        let reply = try await run(scripts.move, arguments: 4) { pipeline in
            pipeline.append(queue)
            pipeline.append(target)
            pipeline.append(place.rawValue)
            pipeline.append(limit)
        }
        return try WaitingStep(reply, of: "move")
    }
}

extension WaitingStep {
    fileprivate init(_ reply: RESPValue, of script: String) throws(BackgroundError) {
        guard let parts = reply.array, parts.count == 3, let taken = parts[0].int, let done = parts[1].int,
            let problems = parts[2].array
        else { throw .unexpected(reply, script) }
        self.init(taken: Int(taken), done: Int(done), problems: problems.compactMap(\.text))
    }
}
