@testable import BackgroundJobs
@testable import BackgroundJobsTesting

/// Writes a state as text. An attempt is called by how manieth it is mentioned, and where it is mentioned first stands all
/// that matters of it; a process is called by its place, those that are no more behind them; a connection by its process.
struct StateText {
    let world: World
    /// The workers, as they are to be counted.
    private let order: [Int]
    private(set) var bytes: [UInt8] = []
    private var attempts: [String] = []
    private var nodes: [String] = []
    private var clients: [(client: Int64, name: Int)] = []

    /// - Parameter former: the processes that are no more, as they are to be counted.
    init(_ world: World, _ order: [Int], _ former: [String]) {
        self.world = world
        self.order = order
        bytes.reserveCapacity(512)
        nodes = order.map { world.workers[$0].isAlive ? world.node($0) : "" } + former
        nameClients()
    }

    private func place(_ worker: Int) -> Int { order[0] == worker ? 0 : 1 }

    private mutating func nameClients() {
        guard !world.isExact else { return }
        var owners = world.connections.mapValues { name(of: $0.node) }
        for index in order {
            if let client = world.workers[index].client, owners[client] == nil { owners[client] = place(index) }
        }
        var count = 0
        for (client, owner) in owners.sorted(by: { ($0.value, $0.key) < ($1.value, $1.key) }) {
            clients.append((client, 10 * owner + count))
            count += 1
        }
    }

    private func name(of node: String) -> Int { nodes.firstIndex(of: node) ?? 9 }

    // MARK: Words

    mutating func write(_ text: String) { bytes.append(contentsOf: text.utf8) }
    mutating func write(_ number: Int) {
        if (0..<10).contains(number) { bytes.append(UInt8(ascii: "0") + UInt8(number)) } else { write("\(number)") }
        write(" ")
    }
    mutating func write(_ flag: Bool) { bytes.append(flag ? UInt8(ascii: "+") : UInt8(ascii: "-")) }

    mutating func write(_ key: String, _ members: [String]) {
        write(key)
        write("[")
        for member in members {
            write(member)
            write(" ")
        }
        write("]")
    }

    /// The place of a connection among those that have names.
    func place(_ client: Int64) -> Int {
        world.isExact ? Int(client) : clients.firstIndex { $0.client == client } ?? .max
    }

    mutating func write(client: Int64?) {
        guard let client else { return write("-") }
        if world.isExact {
            write("#")
            return write(Int(client))
        }
        if let known = clients.first(where: { $0.client == client }) {
            write("c")
            write(known.name)
        } else {
            write("gone ")
        }
        // This number may be given out anew.
        if client >= world.nextClient {
            write("+")
            write(Int(client - world.nextClient))
        }
    }

    mutating func write(node: String?) { write(node.map { name(of: $0) } ?? 8) }

    mutating func write(attempt: String) {
        write("a")
        if let known = attempts.firstIndex(of: attempt) { return write(known) }
        write(attempts.count)
        attempts.append(attempt)
        guard let record = world.store.data.attempts[attempt] else { return write("? ") }
        write("(")
        bytes += record.fields["job"] ?? []
        if world.store.isProcessing(attempt, World.queue) {
            write(client: record.number("wrk"))
            write(node: record["nod"])
        }
        write(record.fields["fin"] != nil)
        bytes += record.fields["err"] ?? []
        write(")")
    }

    /// The place of an attempt among those that have been mentioned.
    func position(_ attempt: String) -> Int { attempts.firstIndex(of: attempt) ?? .max }

    /// Whether an attempt is more than an ID that nobody else has.
    func isKnown(_ attempt: String) -> Bool {
        attempts.contains(attempt) || world.store.data.attempts[attempt] != nil
    }

    // MARK: All

    mutating func writeAll() {
        write(world.misfortunes)
        if world.isExact { write(Int(world.nextClient)) }
        writeStore()
        for index in order { write(worker: world.workers[index], node: world.node(index)) }
        let connections = world.connections.sorted { first, second in
            let (left, right) = (name(of: first.value.node), name(of: second.value.node))
            return (left, first.key) < (right, second.key)
        }
        for (client, connection) in connections { write(client, connection) }
        let all = bytes
        // One watcher is like the other.
        var watchers: [[UInt8]] = []
        for watcher in world.watchers where !world.faults.contains(.ignoresWatchers) {
            bytes = []
            write(watcher)
            watchers.append(bytes)
        }
        watchers.sort { $0.lexicographicallyPrecedes($1) }
        bytes = all
        for watcher in watchers { bytes += watcher }
        // An ID that nobody else has is as good as a new one.
        for index in order { writeSpare(world.workers[index]) }
    }

    private mutating func writeStore() {
        let data = world.store.data
        for job in world.jobs {
            write("\n")
            write(job)
            let fields = data.jobs[job]?.fields ?? [:]
            for field in fields.keys.sorted() where !Self.timeless.contains(field) {
                write(" ")
                write(field)
                write("=")
                if field != "las" {
                    bytes += fields[field] ?? []
                } else if let last = data.jobs[job]?["las"] {
                    write(attempt: last)
                }
            }
        }
        for key in data.lists.keys.sorted() { write(key, data.lists[key] ?? []) }
        for key in data.sets.keys.sorted() {
            write(key)
            let members = data.sets[key] ?? []
            guard key.hasPrefix("processing:") else {
                write("", members.sorted())
                continue
            }
            let byJob = members.map { (attempt: $0, job: data.attempts[$0]?["job"] ?? "") }
            for (attempt, _) in byJob.sorted(by: { $0.job < $1.job }) { write(attempt: attempt) }
        }
        for key in data.sortedSets.keys.sorted() where key.hasPrefix("scheduled:") || key.hasPrefix("dead:") {
            write(key, (data.sortedSets[key] ?? [:]).keys.sorted())
        }
        // What the invariants count.
        for job in world.jobs {
            let errors = data.attempts.values.filter { $0["job"] == job }.map { $0["err"] }
            write(job == world.jobs[0] ? errors.count { $0 == "Worker Timeout" } : errors.count { $0 != "Shutdown" })
        }
    }

    /// Fields that nobody decides by: times, for time stands still, how many attempts there were, and what is the same always.
    private static let timeless: Set = ["qat", "pat", "crt", "arg", "cls", "que", "att"]
}
