import BackgroundRedis

/// Who is connected, as `CLIENT LIST` tells.
struct ConnectedClients {
    var workers: [WorkerRecord]
    var watchers: Int

    /// - Parameters:
    ///   - reply: of CLIENT LIST, which spans all databases of the server.
    ///   - database: the one whose clients count.
    init(_ reply: RESPValue, namespace: String, database: Int) {
        guard case .string(let text) = reply else {
            self.init([], namespace: namespace)
            return
        }
        self.init(ClientList.parse(text).filter { $0.database == database }, namespace: namespace)
    }

    private init(_ clients: [ListedClient], namespace: String) {
        var workers: [String: WorkerRecord] = [:]
        var watchers: Set<String> = []
        for client in clients {
            if let worker = ConnectedWorker(client, namespace: namespace) {
                // A node that has just reconnected may still have its old connection: the later one speaks for it.
                if let other = workers[worker.node], other.clientID > worker.client { continue }
                workers[worker.node] = WorkerRecord(worker, age: client.age)
            } else if client.name.hasPrefix(ClientName.watcherPrefix(namespace)) {
                watchers.insert(client.name)
            }
        }
        self.workers = workers.values.sorted { $0.node < $1.node }
        self.watchers = watchers.count
    }
}

extension Inspector {
    /// The most attempts that are gone through to count how busy each worker is.
    private static let countedAttempts = 2000

    /// The workers that are connected, by the names of their nodes.
    ///
    /// - Throws: ``BackgroundError``.
    public func workers() async throws(BackgroundError) -> [WorkerRecord] {
        var workers = try await told(by: clients().workers)
        if let runs = try await runs(on: Set(workers.flatMap(\.queues)).sorted()) {
            let busy = Dictionary(grouping: runs, by: \.node)
            for index in workers.indices { workers[index].busy = busy[workers[index].node]?.count ?? 0 }
        }
        return workers
    }

    /// How many watchers are connected.
    ///
    /// - Throws: ``BackgroundError``.
    public func watchers() async throws(BackgroundError) -> Int {
        try await clients().watchers
    }

    func clients() async throws(BackgroundError) -> ConnectedClients {
        var pipeline = Pipeline()
        pipeline.command("CLIENT", "LIST", "TYPE", "normal")
        return ConnectedClients(
            try await read(pipeline)[0],
            namespace: namespace,
            database: database
        )
    }

    /// What they tell of themselves is added.
    private func told(by workers: [WorkerRecord]) async throws(BackgroundError) -> [WorkerRecord] {
        var pipeline = Pipeline()
        for worker in workers { pipeline.command(["HMGET", keys.node(worker.node)] + WorkerRecord.told) }
        return zip(workers, try await read(pipeline)).map { worker, reply in
            var worker = worker
            worker.take(HashFields(WorkerRecord.told, reply.array ?? []))
            return worker
        }
    }

    /// The attempts that run on these queues; nil where there are too many to go through.
    func runs(on queues: [String]) async throws(BackgroundError) -> [WorkerRun]? {
        guard !queues.isEmpty else { return [] }
        var sizes = Pipeline()
        for queue in queues { sizes.command("SCARD", keys.processing(queue)) }
        let total = try await read(sizes).reduce(0) { $0 + ($1.int ?? 0) }
        guard total <= Self.countedAttempts else { return nil }

        var found: [String] = []
        for queue in queues {
            guard let attempts = try await runningAttempts(queue) else { return nil }
            found += attempts
        }
        let fields = ["nod", "job", "que", "sta"]
        var pipeline = Pipeline()
        for attempt in found { pipeline.command(["HMGET", keys.attempt(attempt)] + fields) }
        return zip(found, try await read(pipeline)).compactMap { attempt, reply in
            WorkerRun(attempt, HashFields(fields, reply.array ?? []))
        }
    }

    private func runningAttempts(_ queue: String) async throws(BackgroundError) -> [String]? {
        do {
            let (attempts, isComplete) = try await members(of: keys.processing(queue), limit: Self.countedAttempts)
            return isComplete ? attempts : nil
        } catch let error where error.isWrongType {
            return []
        }
    }
}

extension BackgroundError {
    /// Whether Redis said that a key holds another type than the protocol gives it.
    var isWrongType: Bool { (cause as? RedisError)?.serverCode == "WRONGTYPE" }
}
