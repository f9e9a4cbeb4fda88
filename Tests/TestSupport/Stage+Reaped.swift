import BackgroundJobs

extension Stage {
    /// An attempt that a watcher has ended because nobody answered for it, and the process that ran it.
    package struct Reaped: Sendable {
        package let attempt: String
        package let pid: Int32
        /// When, by the monotonic clock.
        package let time: Int64
    }

    /// All of them that are on record.
    package func reaped(queue: String = "default") async throws -> [Reaped] {
        let words = try await records("ZRANGE", records.keys.failed(queue), "0", "-1", "WITHSCORES").texts
        let times = stride(from: 0, to: words.count - 1, by: 2).map { Ledger.time(ofRedis: Double(words[$0 + 1]) ?? 0) }
        let ids = stride(from: 0, to: words.count - 1, by: 2).map { words[$0] }
        var reaped: [Reaped] = []
        for start in stride(from: 0, to: ids.count, by: 1000) {
            let page = ids[start..<min(start + 1000, ids.count)]
            let fields = try await records.send(page.map { ["HMGET", records.keys.attempt($0), "err", "nod"] })
            for (index, fields) in zip(page.indices, fields.map(\.texts)) where fields[0] == "Worker Timeout" {
                let pid = Self.process(ofNode: fields[1])
                reaped.append(Reaped(attempt: ids[index], pid: pid, time: times[index]))
            }
        }
        return reaped
    }

    /// Those of these jobs that Redis has.
    package func known(_ jobs: [String]) async throws -> [String] {
        let replies = try await records.send(jobs.map { ["EXISTS", records.keys.job($0)] })
        return zip(jobs, replies).filter { $0.1.int == 1 }.map(\.0)
    }

    /// The process IDs of those whose attempts are in processing.
    package func processing(queue: String = "default") async throws -> [Int32] {
        let ids = try await records.processing(queue)
        guard !ids.isEmpty else { return [] }
        let nodes = try await records.send(ids.map { ["HGET", records.keys.attempt($0), "nod"] })
        return nodes.map { Self.process(ofNode: $0.text ?? "") }
    }

    /// A node is called by its host, its process ID, and random digits.
    private static func process(ofNode node: String) -> Int32 {
        node.split(separator: "-").dropLast().last.flatMap { Int32($0) } ?? 0
    }
}
