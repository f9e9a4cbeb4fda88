@testable import BackgroundJobs
@testable import BackgroundJobsTesting

/// The state as text, the same for states that differ in nothing that matters: attempts are named by their jobs, times by
/// how long ago they were.
extension World {
    var text: String {
        let names = namesOfAttempts
        let clients = namesOfClients
        var text = "\(misfortunes) \(run == 1 ? 0 : nextClient) \(storeText(names, clients))"
        let listed = connections.map { (name: clients[$0.key] ?? "?", connection: $0.value) }
        for (name, connection) in listed.sorted(by: { $0.name < $1.name }) {
            text += "|\(name) \(Self.text(connection, names))"
        }
        for index in workers.indices { text += "|" + self.text(ofWorker: index, names, clients) }
        // One watcher is like the other.
        let seen = watchers.map { self.text($0, names, clients) }.sorted()
        return text + "|" + seen.joined(separator: "|")
    }

    /// Client IDs as how manieth of their node they are. Not where Redis has been started again: then it counts which IDs
    /// are given out anew.
    private var namesOfClients: [Int64: String] {
        var nodes: [Int64: String] = connections.mapValues(\.node)
        for attempt in store.data.sets["processing:\(Self.queue)"] ?? [] {
            guard let record = store.data.attempts[attempt], let client = record.number("wrk") else { continue }
            nodes[client] = record["nod"]
        }
        for index in workers.indices {
            for former in workers[index].formers { nodes[former.client] = node(index) }
        }
        for watcher in watchers {
            for condemned in watcher.condemned {
                if case .gone(let client, let node, _) = condemned.judgement { nodes[Int64(client) ?? 0] = node }
            }
            for seen in (watcher.judge.watched[Self.queue] ?? [:]).values {
                if let record = seen.record { nodes[Int64(record.client) ?? 0] = record.node }
            }
        }
        guard run == 1 else { return Dictionary(uniqueKeysWithValues: nodes.keys.map { ($0, "c\($0)") }) }
        var counts: [String: Int] = [:]
        var names: [Int64: String] = [:]
        for (client, node) in nodes.sorted(by: { $0.key < $1.key }) {
            counts[node, default: 0] += 1
            names[client] = "c\(node).\(counts[node] ?? 0)"
        }
        return names
    }

    /// The chain of each job's attempts from the last one backwards; those that are in no chain behind them.
    private var namesOfAttempts: [String: String] {
        var names: [String: String] = [:]
        for job in jobs {
            var next = store.data.jobs[job]?["las"]
            while let attempt = next, names[attempt] == nil {
                names[attempt] = "\(job).\(names.count)"
                next = store.data.attempts[attempt]?["prv"]
            }
        }
        let others = store.data.attempts.filter { names[$0.key] == nil }
            .map { (id: $0.key, text: Self.text($0.value, [:])) }.sorted { $0.text < $1.text }
        for other in others { names[other.id] = "x\(names.count)" }
        return names
    }

    private func storeText(_ names: [String: String], _ clients: [Int64: String]) -> String {
        let data = store.data
        var text = ""
        for job in jobs { text += data.jobs[job].map { Self.text($0, names) } ?? "-" }
        let attempts = data.attempts.map { id, record in
            let name = names[id] ?? "?"
            // Who ran what is over makes no difference any more.
            guard store.isProcessing(id, Self.queue) else {
                return "\(name):\(record["fin"] == nil ? "-" : "fin")\(record["err"] ?? "")"
            }
            let client = record.number("wrk").flatMap { clients[$0] } ?? "?"
            return "\(name):\(client) \(record["nod"] ?? "") \(record["ado"] ?? "")"
        }
        text += attempts.sorted().joined(separator: " ")
        text += data.lists.map { "\($0.key)\($0.value)" }.sorted().joined()
        text += data.sets.map { "\($0.key)\($0.value.map { names[$0] ?? $0 }.sorted())" }.sorted().joined()
        text += data.sortedSets.map { "\($0.key)\($0.value.keys.map { names[$0] ?? $0 }.sorted())" }.sorted().joined()
        return text
    }

    private static let timeless: Set = ["sta", "fin", "qat", "pat", "crt", "time", "arg", "cls", "que", "msg"]

    private static func text(_ record: StoreSnapshot.Record, _ names: [String: String]) -> String {
        var text = record.fields["fin"] == nil ? "" : "fin "
        for field in record.fields.keys.sorted() where !timeless.contains(field) {
            let value = record[field] ?? ""
            text += "\(field)=\(names[value] ?? (field == "las" || field == "prv" ? "?" : value)) "
        }
        return text
    }

    // MARK: Workers

    private func text(ofWorker index: Int, _ names: [String: String], _ clients: [Int64: String]) -> String {
        let worker = workers[index]
        let machine = worker.machine
        var text =
            "\(worker.life)\(worker.isAlive)\(worker.isFrozen)\(worker.client.map { clients[$0] ?? "gone" } ?? "-")"
        // A former connection that has gone needs not be ended.
        let formers = worker.formers.filter { $0.run != run || connections[$0.client]?.node == node(index) }
        text += formers.map { $0.run == run ? clients[$0.client] ?? "?" : "former run" }.joined(separator: ",")
        guard worker.isAlive else { return text }
        func known(_ attempts: [String]) -> String { attempts.map { names[$0] ?? "?" }.sorted().joined(separator: ",") }
        text += " \(machine.isLinked)\(machine.isHungry)\(machine.needsSweep)\(machine.waits[Self.queue] ?? .idle)"
        text += " r\(known(Array(machine.running.keys))) s\(known(machine.spare)) u\(known(machine.unsure))"
        text += " f" + machine.unreported.map { Self.text($0, names) }.joined()
        return text + " c" + machine.calls.map { Self.text($0, names) }.joined()
    }

    private static func text(_ finish: Finish, _ names: [String: String]) -> String {
        "\(names[finish.attempt] ?? "?")\(finish.ending == .completed ? "+" : "-")"
    }

    private static func text(_ call: WorkerMachine.Call, _ names: [String: String]) -> String {
        let offers = (call.claim.reoffered + ["/"] + call.claim.offered).map { names[$0] ?? ($0 == "/" ? $0 : "?") }
        return "(\(call.finishes.map { text($0, names) }.joined()) \(offers.joined()) \(call.claim.mayTakeSuspect))"
    }

    private static func text(_ connection: Connection, _ names: [String: String]) -> String {
        var text = "\(connection.node)\(connection.isHeard)\(connection.woken ?? "")"
        switch connection.request {
        case .adopt(let adoption): text += "A\(Self.text(adoption, names))"
        case .exchange(let call): text += "E\(Self.text(call, names))"
        case nil: break
        }
        switch connection.reply {
        case .adopted(let adopted):
            let verdicts = adopted.verdicts.map { "\(names[$0.key] ?? "?")\($0.value)" }.sorted()
            text += "a\(verdicts)\(adopted.granted.map { names[$0.attempt] ?? "?" })"
        case .exchanged(_, let exchange):
            let verdicts = exchange.exceptions.map { "\($0.key)\($0.value)" }.sorted()
            text +=
                "e\(verdicts)\(exchange.jobs.map { names[$0.attempt] ?? "?" })\(exchange.isShort)\(exchange.spent.count)"
        case nil: break
        }
        return text
    }

    private static func text(_ adoption: Adoption, _ names: [String: String]) -> String {
        let attempts = adoption.attempts.map { names[$0.attempt] ?? "?" }.sorted()
        return "\(attempts)\(adoption.offered.map { names[$0] ?? "?" }.sorted())"
    }

    // MARK: Watchers

    private func text(_ watcher: Watcher, _ names: [String: String], _ clients: [Int64: String]) -> String {
        let judge = watcher.judge
        func age(_ instant: ContinuousClock.Instant?) -> String {
            guard let instant else { return "-" }
            let age = instant.duration(to: watcher.now)
            return "\(min(max(age.milliseconds, -2000), 2000))"
        }
        func name(of client: String) -> String { Int64(client).flatMap { clients[$0] } ?? "?" }
        var text = "\(judge.facts?.runID == "\(run)")\(age(judge.judgesFrom))"
        // What it has read of an attempt that nothing is amiss with, it would read again.
        let amiss = (judge.watched[Self.queue] ?? [:]).filter {
            $0.value.goneSince != nil || $0.value.disownedSince != nil
        }
        let seen = amiss.map { attempt, seen in
            let record = seen.record.map { "\(name(of: $0.client))\($0.adoptions)" } ?? "-"
            return "\(names[attempt] ?? "?")\(record)\(age(seen.goneSince))\(age(seen.disownedSince))"
        }
        text +=
            seen.sorted().joined(separator: ",")
            + "\(watcher.cutOff.map { connections[$0] == nil ? "gone" : clients[$0] ?? "?" })"
        for condemned in watcher.condemned {
            guard case .gone(let client, _, let adoptions) = condemned.judgement else { continue }
            text += "[\(names[condemned.attempt] ?? "?")\(name(of: client))\(adoptions)]"
        }
        return text
    }
}
