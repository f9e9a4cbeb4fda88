import BackgroundRedis
import Logging

/// reap: ends the attempts of workers that are gone. It gathers the facts; the ``Judge`` decides.
struct Reaper: Sendable {
    static let step = 500
    /// How often the whole list of clients is fetched although nobody is missing: for idle connections of live nodes, and
    /// for queues that are known from the names of workers alone.
    static let survey = Duration.seconds(10)

    let watch: Watch
    private var store: RedisStore { watch.store }

    init(watch: Watch) {
        self.watch = watch
    }

    func run() async {
        var judge = Judge(
            limits: Judge.Limits(
                interval: watch.options.interval,
                secondLook: watch.options.secondLook,
                deadAfter: watch.options.deadAfter,
                grace: watch.options.grace
            ),
            namespace: watch.namespace
        )
        var surveyed: ContinuousClock.Instant?
        var feed = watch.looks.feed()
        var again: ContinuousClock.Instant?
        while !Task.isCancelled {
            var look: Look?
            switch await feed.next(until: again) {
            case .look(let seen)?: look = seen
            case .nothing?: break
            // A second look, before the interval is over.
            case nil: await watch.attempt("look") { () async throws(BackgroundError) in look = try await watch.look() }
            }
            again = nil
            let began = ContinuousClock.now
            var isWhole = false
            if let look {
                isWhole = await watch.attempt("reap") { () async throws(BackgroundError) in
                    again = try await reap(look, &judge, &surveyed).map { began + $0 }
                }
            }
            if !isWhole { judge.scriptWasRefused() }
        }
    }

    /// Returns how soon another look is wanted, if before the next interval.
    private func reap(
        _ look: Look,
        _ judge: inout Judge,
        _ surveyed: inout ContinuousClock.Instant?
    ) async throws(BackgroundError) -> Duration? {
        judge.beginLook(look.facts, now: .now)
        judge.keep(queues: Set(look.queues.keys))
        try await watch.forEach(look.queues.keys.sorted(), "reap") { queue throws(BackgroundError) in
            if look.queues[queue]?.processing == 0 {
                _ = judge.see([], in: queue)
            } else {
                try await see(queue, &judge)
            }
        }
        var listed = try await list(judge.vouchers)
        let missing = judge.missing(listed)
        var liveNodes: Set<String>?
        if !missing.isEmpty || surveyed.map({ $0.duration(to: .now) > Self.survey }) ?? true {
            surveyed = .now
            for (queue, attempts) in Dictionary(grouping: missing, by: \.queue) {
                try await read(attempts.map(\.attempt), in: queue, &judge)
            }
            let all = try await survey(ending: judge.mayJudge(now: .now), besides: judge.vouchers)
            listed = Dictionary(all.map { ($0.client, $0) }, uniquingKeysWith: { first, _ in first })
            liveNodes = Set(all.map(\.node))
        }
        let verdicts = judge.judge(listed, liveNodes: liveNodes, now: .now)
        try await carryOut(verdicts, listed)
        judge.endLook(now: .now)
        return verdicts.lookAgain
    }

    // MARK: Facts

    private func see(_ queue: String, _ judge: inout Judge) async throws(BackgroundError) {
        var attempts: Set<String> = []
        var cursor = "0"
        repeat {
            let key = store.keys.processing(queue)
            let page = try await store.send("SSCAN", key, cursor, "COUNT", "\(Self.step)").array ?? []
            cursor = page.first?.text ?? "0"
            let members = page.last?.array ?? []
            let names = members.compactMap(\.validText)
            attempts.formUnion(names)
            if names.count < members.count {
                watch.notices.log(queue, "\(key) has a member that is no text, so it can't be an attempt: SREM it") {
                    watch.logger.error("\($0)", metadata: [LogKey.queue: "\(queue)"])
                }
            }
        } while cursor != "0"
        try await read(judge.see(attempts, in: queue), in: queue, &judge)
    }

    private func read(_ attempts: [String], in queue: String, _ judge: inout Judge) async throws(BackgroundError) {
        for start in stride(from: 0, to: attempts.count, by: Self.step) {
            let page = attempts[start..<min(start + Self.step, attempts.count)]
            var pipeline = Pipeline()
            for attempt in page {
                pipeline.command("HMGET", store.keys.attempt(attempt), "wrk", "nod", "ado", "dlv", "job")
            }
            for (attempt, reply) in zip(page, try await store.send(pipeline)) {
                judge.read(attempt, in: queue, Judge.Record(reply), now: .now)
            }
        }
    }

    private func list(_ ids: Set<String>) async throws(BackgroundError) -> [Int64: ConnectedWorker] {
        let ids = ids.compactMap { Int64($0) }.filter { $0 > 0 }
        var listed: [Int64: ConnectedWorker] = [:]
        for start in stride(from: 0, to: ids.count, by: Self.step) {
            var pipeline = Pipeline()
            let page = ids[start..<min(start + Self.step, ids.count)].map { "\($0)" }
            pipeline.command(["CLIENT", "LIST", "ID"] + page)
            for worker in workers(in: try await store.send(pipeline)[0].orThrow()) { listed[worker.client] = worker }
        }
        return listed
    }

    /// The whole list. Silent connections other than those that vouch for attempts are only ended, if they may be; of
    /// the vouching ones the judge decides.
    private func survey(ending: Bool, besides vouchers: Set<String>) async throws(BackgroundError) -> [ConnectedWorker]
    {
        let reply = try await store.send("CLIENT", "LIST")
        if ending {
            let prefixes = [ClientName.waitingPrefix(watch.namespace), ClientName.workerPrefix(watch.namespace)]
            for client in clients(in: reply) where prefixes.contains(where: client.name.hasPrefix) {
                guard .seconds(client.idle) > watch.options.deadAfter, !vouchers.contains("\(client.id)") else {
                    continue
                }
                try await store.send("CLIENT", "KILL", "ID", "\(client.id)")
                watch.logger.info("Ended a silent connection of a worker, client \(client.id), \(client.name)")
            }
        }
        let all = workers(in: reply)
        try await watch.adoptQueues(of: all)
        return all
    }

    private func workers(in reply: RESPValue) -> [ConnectedWorker] {
        clients(in: reply).compactMap { ConnectedWorker($0, namespace: watch.namespace) }
    }

    private func clients(in reply: RESPValue) -> [ListedClient] {
        guard case .string(let bytes) = reply else { return [] }
        let database = watch.database
        return ClientList.parse(bytes).filter { $0.database == database }
    }

    // MARK: Carrying out

    private func carryOut(_ verdicts: Judge.Verdicts, _ listed: [Int64: ConnectedWorker]) async throws(BackgroundError)
    {
        for client in verdicts.cutOff {
            try await store.send("CLIENT", "KILL", "ID", "\(client)")
            watch.logger.warning(
                "Cut off a worker that was silent for too long, client \(client)",
                metadata: [LogKey.node: "\(listed[client]?.node ?? "")"]
            )
        }
        for start in stride(from: 0, to: verdicts.condemned.count, by: Self.step) {
            let page = Array(verdicts.condemned[start..<min(start + Self.step, verdicts.condemned.count)])
            for (condemned, reaped) in zip(page, try await store.reap(page)) { log(condemned, reaped) }
        }
    }

    private func log(_ condemned: Condemned, _ reaped: Reaped) {
        let where_: String
        switch reaped.outcome {
        case .spared: return
        case .ready: where_ = "its job runs again"
        case .suspects: where_ = "its job runs again alone, as a suspect"
        case .dead: where_ = "its job is dead, since it crashed too often or is to run at most once"
        case .cancelled: where_ = "its job was to be cancelled and is"
        case .over: where_ = "its job had ended before"
        case .gone: where_ = "its job has no hash"
        case .unreadable: where_ = "it had no readable hash"
        case .damaged(let sentence):
            return watch.notices.log(condemned.queue, sentence) {
                watch.logger.error("An attempt can't be ended: \($0)", metadata: metadata(condemned, reaped))
            }
        }
        watch.logger.warning(
            "Ended an attempt that nobody answers for; \(where_)",
            metadata: metadata(condemned, reaped)
        )
    }
}

extension Reaper {
    private func metadata(_ condemned: Condemned, _ reaped: Reaped) -> Logger.Metadata {
        var metadata: Logger.Metadata = [
            LogKey.attempt: "\(condemned.attempt)", LogKey.job: "\(reaped.job ?? "")",
            LogKey.queue: "\(condemned.queue)",
        ]
        if case .gone(_, let node, _) = condemned.judgement { metadata[LogKey.node] = "\(node)" }
        return metadata
    }
}

extension Judge.Record {
    /// nil where the hash is missing, of a wrong type, or lacks what a reader needs.
    fileprivate init?(_ reply: RESPValue) {
        guard let fields = reply.array, fields.count == 5, let client = fields[0].text, Int64(client) ?? -1 >= 0,
            let node = fields[1].text, fields[4].text != nil
        else { return nil }
        self.init(
            client: client,
            node: node,
            adoptions: fields[2].text ?? "",
            isAtMostOnce: fields[3].text == "amo"
        )
    }
}

extension RESPValue {
    /// nil where the bytes are no UTF-8: a text made of them would name something else.
    fileprivate var validText: String? {
        guard case .string(let bytes) = self else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }
}
