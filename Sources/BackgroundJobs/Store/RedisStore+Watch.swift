import BackgroundRedis

extension RedisStore {
    package func promote(_ queue: String, limit: Int) async throws(BackgroundError) -> Promotion {
        let reply = try await run(scripts.promote, arguments: 2) { pipeline in
            pipeline.append(queue)
            pipeline.append(limit)
        }
        guard let parts = reply.array, parts.count == 2, let moved = parts[0].array else {
            throw .unexpected(reply, "promote")
        }
        return Promotion(moved: moved.compactMap(\.text), wait: parts[1].int)
    }

    package func reap(_ attempts: [Condemned]) async throws(BackgroundError) -> [Reaped] {
        guard !attempts.isEmpty else { return [] }
        let reply = try await run(scripts.reap, arguments: 6 * attempts.count) { pipeline in
            for attempt in attempts {
                pipeline.append(attempt.queue)
                pipeline.append(attempt.attempt)
                switch attempt.judgement {
                case .gone(let client, let node, let adoptions):
                    pipeline.append(client)
                    pipeline.append(node)
                    pipeline.append(adoptions)
                    pipeline.append("gone")
                case .unreadable:
                    for _ in 0..<3 { pipeline.append("") }
                    pipeline.append("bad")
                }
            }
        }
        guard let parts = reply.array, parts.count == 2 * attempts.count else { throw .unexpected(reply, "reap") }
        return attempts.indices.map { index in
            let job = parts[2 * index + 1].text
            return Reaped(outcome: Reaped.Outcome(parts[2 * index].text ?? ""), job: job == "" ? nil : job)
        }
    }

    package func fallBack(
        _ place: Place,
        absence: Int64,
        limit: Int,
        from rank: Int
    ) async throws(BackgroundError) -> FellBack {
        let reply = try await run(scripts.fallback, arguments: 4) { pipeline in
            pipeline.append("\(place)")
            pipeline.append(absence)
            pipeline.append(limit)
            pipeline.append(rank)
        }
        guard let parts = reply.array, parts.count == 3, let moved = parts[0].array, let kept = parts[1].int else {
            throw .unexpected(reply, "fallback")
        }
        return FellBack(moved: moved.compactMap(\.text), kept: Int(kept), hasMore: parts[2].int == 1)
    }

    package func trim(
        _ set: TrimmedSet,
        of queue: String,
        keep: Retention,
        limit: Int,
        from rank: Int
    ) async throws(BackgroundError) -> Trimmed {
        let reply = try await run(scripts.trim, arguments: 6) { pipeline in
            pipeline.append(queue)
            pipeline.append(set.rawValue)
            pipeline.append(keep.age.map { "\($0.milliseconds)" } ?? "")
            pipeline.append(keep.count.map { "\($0)" } ?? "")
            pipeline.append(limit)
            pipeline.append(rank)
        }
        guard let parts = reply.array, parts.count == 4, let removed = parts[0].int, let kept = parts[1].int,
            let problems = parts[3].array
        else { throw .unexpected(reply, "trim") }
        return Trimmed(
            removed: Int(removed),
            kept: Int(kept),
            hasMore: parts[2].int == 1,
            problems: problems.indices.filter { !$0.isMultiple(of: 2) }.compactMap { problems[$0].text }
        )
    }
}

extension Reaped.Outcome {
    fileprivate init(_ text: String) {
        switch text {
        case "ready": self = .ready
        case "suspects": self = .suspects
        case "dead": self = .dead
        case "cancelled": self = .cancelled
        case "over": self = .over
        case "gone": self = .gone
        case "bad": self = .unreadable
        case "spared": self = .spared
        default: self = .damaged(text)
        }
    }
}
