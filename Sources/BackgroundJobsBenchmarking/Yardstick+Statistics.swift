import BackgroundJobs
import BackgroundRedis

/// What Redis says of itself and of what was done.
extension Yardstick {
    /// The server's time, ms.
    public func serverTime() async throws -> Int64 {
        let time = try await store.send("TIME").array ?? []
        return (time.first?.int ?? 0) * 1000 + (time.last?.int ?? 0) / 1000
    }

    /// A number of `INFO`; 0 where the field is missing or holds none.
    public func info(_ section: String, _ field: String) async throws -> Double {
        Double(try await text(section, field)) ?? 0
    }

    /// A field of `INFO`.
    public func text(_ section: String, _ field: String) async throws -> String {
        ServerInfo(try await store.send("INFO", section).text ?? "")[field]
    }

    /// CPU time that Redis has spent, in seconds.
    public func cpuSeconds() async throws -> Double {
        Self.cpuSeconds(try await store.send("INFO", "cpu"))
    }

    private static func cpuSeconds(_ reply: RESPValue) -> Double {
        let info = ServerInfo(reply.text ?? "")
        return (Double(info["used_cpu_user"]) ?? 0) + (Double(info["used_cpu_sys"]) ?? 0)
    }

    /// CPU time that Redis has spent so far, in seconds, and how many attempts of a queue have completed since a time; both at
    /// the same moment, however many go on.
    public func spent(_ queue: String, since time: Int64) async throws -> (cpu: Double, count: Int) {
        var pipeline = Pipeline()
        pipeline.command("INFO", "cpu")
        pipeline.command("ZCOUNT", store.keys.completed(queue), "\(time)", "+inf")
        let replies = try await store.send(pipeline).map { try $0.orThrow() }
        return (Self.cpuSeconds(replies[0]), Int(replies[1].int ?? 0))
    }

    /// Forgets what was counted so far.
    public func resetStatistics() async throws {
        try await store.send("CONFIG", "RESETSTAT")
    }

    /// Calls of a command since then, those from scripts included, and the µs that they took.
    public struct Command: Sendable {
        /// Its name in lower case.
        public var name: String
        /// How often it was called.
        public var calls: Int
        /// How long all of these calls took. Of a script, with all that it calls.
        public var microseconds: Int
    }

    /// What was called since, the most expensive first.
    public func commands() async throws -> [Command] {
        let text = try await store.send("INFO", "commandstats").text ?? ""
        return text.split(whereSeparator: \.isNewline).compactMap { line in
            // cmdstat_hset:calls=3,usec=12,usec_per_call=4.00,…
            let parts = line.split(whereSeparator: { ":=,".contains($0) })
            guard parts.count > 4, line.hasPrefix("cmdstat_") else { return nil }
            return Command(
                name: String(parts[0].dropFirst("cmdstat_".count)),
                calls: Int(parts[2]) ?? 0,
                microseconds: Int(parts[4]) ?? 0
            )
        }.sorted { $0.microseconds > $1.microseconds }
    }

    /// What completed since a time.
    public struct Span: Sendable {
        /// How many attempts.
        public var count: Int
        /// From the first end to the last, in seconds.
        public var seconds: Double
        /// A second, those that ended first left out: their time is not known.
        public var rate: Double
        /// When the last one ended, ms.
        public var end: Int64
    }

    /// How fast attempts completed, by the server's clock: neither the start of a process counts nor its end.
    public func span(_ queue: String, since time: Int64) async throws -> Span {
        let key = store.keys.completed(queue)
        let first = try await store.send("ZRANGE", key, "\(time)", "+inf", "BYSCORE", "LIMIT", "0", "1", "WITHSCORES")
        let last = try await store.send("ZRANGE", key, "-1", "-1", "WITHSCORES")
        guard let from = first.array?.last?.int, let to = last.array?.last?.int else {
            return Span(count: 0, seconds: 0, rate: 0, end: time)
        }
        let count = try await integer("ZCOUNT", key, "\(time)", "+inf")
        let behind = try await integer("ZCOUNT", key, "(\(from)", "+inf")
        let seconds = Double(to - from) / 1000
        return Span(count: count, seconds: seconds, rate: seconds > 0 ? Double(behind) / seconds : 0, end: to)
    }

    /// How late each of the completed attempts began, in ms by the server's clock: its start less its job's planned time.
    public func lateness(_ queue: String) async throws -> [Double] {
        let attempts = (try await store.send("ZRANGE", store.keys.completed(queue), "0", "-1").array ?? [])
            .compactMap(\.text)
        var result: [Double] = []
        for start in stride(from: 0, to: attempts.count, by: 500) {
            var pipeline = Pipeline()
            for attempt in attempts[start..<min(start + 500, attempts.count)] {
                pipeline.command("HMGET", store.keys.attempt(attempt), "job", "sta")
            }
            let records = try await store.send(pipeline).map { $0.array ?? [] }
            pipeline = Pipeline()
            for record in records { pipeline.command("HGET", store.keys.job(record.first?.text ?? ""), "pat") }
            for (record, planned) in zip(records, try await store.send(pipeline)) {
                guard let begun = record.last?.int, let planned = planned.int else { continue }
                result.append(Double(begun - planned))
            }
        }
        return result
    }

    /// From here on, Redis notes calls of a tenth of a millisecond and more.
    public func noteSlowCalls() async throws {
        try await store.send("CONFIG", "SET", "slowlog-log-slower-than", "100", "slowlog-max-len", "100000")
        try await store.send("SLOWLOG", "RESET")
    }

    /// How long the longest call since then took, in ms; 0 if none was noted.
    public func slowestCall() async throws -> Double {
        let calls = (try await store.send("SLOWLOG", "GET", "-1").array ?? []).compactMap(\.array)
        return Double(calls.filter { $0.count > 2 }.compactMap { $0[2].int }.max() ?? 0) / 1000
    }
}
