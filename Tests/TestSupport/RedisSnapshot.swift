package import BackgroundJobs
package import BackgroundJobsTesting
import BackgroundRedis

/// Reads and writes all keys of a namespace of a real Redis.
package struct RedisSnapshot: Sendable {
    private let store: RedisStore
    private var prefix: String { store.keys.namespace + ":" }
    private static let page = 500

    package init(_ store: RedisStore) {
        self.store = store
    }

    /// What is there, and a sentence for each key that is of a wrong type.
    ///
    /// - Parameter names: the keys to read, without the namespace; nil: all.
    package func read(_ names: [String]? = nil) async throws -> (snapshot: StoreSnapshot, faults: [String]) {
        var snapshot = StoreSnapshot()
        var faults: [String] = []
        let keys = if let names { names.map { prefix + $0 } } else { try await keys().sorted() }
        for start in stride(from: 0, to: keys.count, by: Self.page) {
            let page = Array(keys[start..<min(start + Self.page, keys.count)])
            let types = try await replies(page.flatMap { [["TYPE", $0], ["PTTL", $0]] })
            let contents = try await replies(zip(page, 0...).map { Self.reading($0.0, types[2 * $0.1].text ?? "") })
            for (index, key) in page.enumerated() {
                let name = String(key.dropFirst(prefix.count))
                if (types[2 * index + 1].int ?? -1) >= 0 { snapshot.expiring.insert(name) }
                let type = types[2 * index].text ?? ""
                if !snapshot.take(name, type, contents[index]) { faults.append("\(key) is a \(type)") }
            }
        }
        return (snapshot, faults)
    }

    /// Writes the keys that differ, as somebody with `redis-cli` would.
    package func write(_ after: StoreSnapshot, over before: StoreSnapshot) async throws {
        let old = before.commands(prefix)
        let new = after.commands(prefix)
        var commands: [[[UInt8]]] = []
        for key in Set(old.keys).union(new.keys).sorted() where old[key] != new[key] {
            commands.append(["DEL", key].map { Array($0.utf8) })
            if let command = new[key] { commands.append(command) }
        }
        for start in stride(from: 0, to: commands.count, by: Self.page) {
            var pipeline = Pipeline()
            for command in commands[start..<min(start + Self.page, commands.count)] {
                pipeline.begin(argumentCount: command.count)
                for part in command { pipeline.append(part) }
            }
            for reply in try await store.send(pipeline) { _ = try reply.orThrow() }
        }
    }

    private func keys() async throws -> Set<String> {
        var keys: Set<String> = []
        var cursor = "0"
        repeat {
            let reply = try await store.send("SCAN", cursor, "MATCH", prefix + "*", "COUNT", "1000").array ?? []
            cursor = reply.first?.text ?? "0"
            keys.formUnion((reply.last?.array ?? []).compactMap(\.text))
        } while cursor != "0"
        return keys
    }

    private func replies(_ commands: [[String]]) async throws -> [RESPValue] {
        var pipeline = Pipeline()
        for command in commands { pipeline.command(command) }
        return try await store.send(pipeline)
    }

    private static func reading(_ key: String, _ type: String) -> [String] {
        switch type {
        case "hash": ["HGETALL", key]
        case "list": ["LRANGE", key, "0", "-1"]
        case "set": ["SMEMBERS", key]
        case "zset": ["ZRANGE", key, "0", "-1", "WITHSCORES"]
        case "string": ["GET", key]
        default: ["EXISTS", key]
        }
    }
}

extension StoreSnapshot {
    private static let types: [String: String] = [
        "jobs": "hash", "attempts": "hash", "stats": "hash", "ready": "list", "handoff": "list", "suspects": "list",
        "cancel": "list", "placed": "list", "wake": "list", "places": "set", "unique": "string", "cron": "hash",
        "crons": "zset",
        "processing": "set", "queues": "set", "paused": "set", "scheduled": "zset", "completed": "zset",
        "failed": "zset", "ended": "zset", "dead": "zset", "batch": "hash", "awaited": "set", "notes": "list",
    ]

    /// Takes a key in; false if it is of a wrong type. What is not of this system's is passed over.
    fileprivate mutating func take(_ name: String, _ type: String, _ content: RESPValue) -> Bool {
        let parts = name.split(separator: ":", maxSplits: 1).map(String.init)
        guard let kind = parts.first, type != "none" else { return true }
        guard let expected = name == "awaited" ? "string" : Self.types[kind] else { return true }
        guard type == expected else { return false }
        let values = content.array ?? []
        // Redis keeps nothing that is empty: it has expired since its type was asked for.
        if content.isNull || (values.isEmpty && type != "string") { return true }
        let pairs = stride(from: 0, to: values.count - 1, by: 2).map { (values[$0].text ?? "", values[$0 + 1]) }
        switch (type, kind) {
        case ("hash", "stats"):
            counters[name] = Dictionary(pairs.map { ($0.0, $0.1.int ?? -1) }, uniquingKeysWith: { first, _ in first })
        case ("hash", _):
            let fields = Dictionary(pairs.map { ($0.0, $0.1.bytes) }, uniquingKeysWith: { first, _ in first })
            switch kind {
            case "jobs": jobs[parts.last ?? ""] = Record(fields)
            case "batch": batches[parts.last ?? ""] = Record(fields)
            case "cron": periodics[parts.last ?? ""] = Record(fields)
            default: attempts[parts.last ?? ""] = Record(fields)
            }
        case ("string", _): locks[name] = content.text
        case ("list", _): lists[name] = values.compactMap(\.text)
        case ("set", _): sets[name] = Set(values.compactMap(\.text))
        default:
            let scores = pairs.map { ($0.0, Double($0.1.text ?? "").map { Int64(clamped: $0) } ?? 0) }
            sortedSets[name] = Dictionary(scores, uniquingKeysWith: { first, _ in first })
        }
        return true
    }

    /// The command that writes each key.
    fileprivate func commands(_ prefix: String) -> [String: [[UInt8]]] {
        var commands: [String: [[UInt8]]] = [:]
        func write(_ name: String, _ command: String, _ arguments: [[UInt8]]) {
            if !arguments.isEmpty {
                commands[prefix + name] = [Array(command.utf8), Array((prefix + name).utf8)] + arguments
            }
        }
        for (kind, records) in [
            ("jobs:", jobs), ("attempts:", attempts), ("batch:", batches), ("cron:", periodics),
        ] {
            for (id, record) in records {
                write(
                    kind + id,
                    "HSET",
                    record.fields.sorted { $0.key < $1.key }.flatMap { [Array($0.key.utf8), $0.value] }
                )
            }
        }
        for (name, job) in locks { write(name, "SET", [Array(job.utf8)]) }
        for (name, ids) in lists { write(name, "RPUSH", ids.map { Array($0.utf8) }) }
        for (name, members) in sets { write(name, "SADD", members.sorted().map { Array($0.utf8) }) }
        for (name, _) in sortedSets {
            write(
                name,
                "ZADD",
                ranked(name).flatMap { member in
                    let score = sortedSets[name]?[member] ?? 0
                    return [Array((score == Self.never ? "+inf" : "\(score)").utf8), Array(member.utf8)]
                }
            )
        }
        for (name, fields) in counters {
            write(
                name,
                "HSET",
                fields.sorted { $0.key < $1.key }.flatMap { [Array($0.key.utf8), Array("\($0.value)".utf8)] }
            )
        }
        return commands
    }
}

extension RESPValue {
    fileprivate var bytes: [UInt8] {
        guard case .string(let bytes) = self else { return [] }
        return bytes
    }
}

extension Int64 {
    fileprivate init(clamped value: Double) {
        self = value.isNaN ? 0 : value >= 9e18 ? .max : value <= -9e18 ? .min : Int64(value)
    }
}
