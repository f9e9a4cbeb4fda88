@testable import BackgroundJobs
@testable import BackgroundJobsTesting

/// What the watchers do, as `Reaper` does it, with the judge of its own.
extension World {
    mutating func look(_ index: Int) {
        var watcher = watchers[index]
        watcher.clock += 1
        let time = Int64(watcher.clock) * 1000
        watcher.judge.beginLook(
            .init(session: UInt64(run), runID: "\(run)", isMaster: true, time: time),
            now: watcher.now
        )
        watcher.judge.keep(queues: [Self.queue])
        let attempts = store.data.sets["processing:\(Self.queue)"] ?? []
        for attempt in watcher.judge.see(attempts, in: Self.queue) { read(attempt, &watcher) }
        let all = listed
        let vouchers = watcher.judge.vouchers
        let missing = watcher.judge.missing(all.filter { vouchers.contains("\($0.key)") })
        for attempt in missing.map(\.attempt) { read(attempt, &watcher) }
        let liveNodes = missing.isEmpty ? nil : Set(all.values.map(\.node))
        let verdicts = watcher.judge.judge(all, liveNodes: liveNodes, now: watcher.now)
        watcher.judge.endLook(now: watcher.now)
        watcher.cutOff = verdicts.cutOff
        watcher.condemned = verdicts.condemned.sorted { job(of: $0.attempt) < job(of: $1.attempt) }
        watchers[index] = watcher
    }

    func job(of attempt: String) -> String { store.data.attempts[attempt]?["job"] ?? "" }

    private func read(_ attempt: String, _ watcher: inout Watcher) {
        watcher.judge.read(attempt, in: Self.queue, store.data.attempts[attempt].map(Self.record), now: watcher.now)
    }

    static func record(_ record: StoreSnapshot.Record) -> Judge.Record {
        Judge.Record(
            client: record["wrk"] ?? "",
            node: record["nod"] ?? "",
            adoptions: record["ado"] ?? "",
            isAtMostOnce: record["dlv"] == "amo"
        )
    }

    static func judgement(_ record: StoreSnapshot.Record) -> Condemned.Judgement {
        .gone(client: record["wrk"] ?? "", node: record["nod"] ?? "", adoptions: record["ado"] ?? "")
    }

    /// CLIENT LIST. One that says nothing has been silent for long enough.
    private var listed: [Int64: ConnectedWorker] {
        var listed: [Int64: ConnectedWorker] = [:]
        for (client, connection) in connections {
            let isSilent = !connection.isHeard || workers[connection.worker].isFrozen
            let name = "bg-worker:\(connection.node):1:\(Self.queue)"
            let worker = ConnectedWorker(
                ListedClient(id: client, name: name, database: 0, idle: isSilent ? 31 : 0),
                namespace: "bg"
            )
            if let worker { listed[client] = worker }
        }
        return listed
    }

    /// By number alone, as CLIENT KILL does it. The worker finds out when it next looks.
    mutating func cutOff(_ client: Int64, _ index: Int) {
        watchers[index].cutOff.removeAll { $0 == client }
        if let connection = connections.removeValue(forKey: client), connection.isHeard,
            !workers[connection.worker].isFrozen
        {
            disconnect(connection.worker)
        }
    }

    /// The next of what the last look has found to be done, when the cuts are done.
    mutating func act(_ index: Int) {
        guard !watchers[index].condemned.isEmpty else { return }
        var condemned = watchers[index].condemned.removeFirst()
        if let record = store.data.attempts[condemned.attempt],
            case .gone(let client, let node, _) = condemned.judgement
        {
            if faults.contains(.reapsUnconditionally) {
                condemned.judgement = Self.judgement(record)
            } else if faults.contains(.ignoresAdoptions) {
                condemned.judgement = .gone(client: client, node: node, adoptions: record["ado"] ?? "")
            }
        }
        reap(condemned)
    }

    /// Nobody is reaped who vouches for it on a connection that the server has, and that is not silent.
    mutating func reap(_ condemned: Condemned) {
        let record = store.data.attempts[condemned.attempt] ?? StoreSnapshot.Record()
        let reaped = transact { $0.reap(condemned) }
        guard ![.spared, .over, .gone].contains(reaped.outcome), let client = record.number("wrk"),
            let connection = connections[client], connection.node == record["nod"], connection.isHeard
        else { return }
        let worker = workers[connection.worker]
        if worker.isAlive, !worker.isFrozen, worker.client == client, worker.machine.isLinked,
            worker.machine.answersFor(condemned.attempt)
        {
            violations.append(
                "R: \(reaped.job ?? "a job") was taken from a worker that is connected and vouches for it"
            )
        }
    }
}
