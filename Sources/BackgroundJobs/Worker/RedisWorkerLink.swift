import BackgroundRedis
package import Logging
package import NIOCore
import Synchronization

/// The link of a worker to Redis: one command connection, whose client ID vouches for every attempt, one blocked connection
/// a queue, and two that wait to be told which jobs are to be cancelled, and that jobs were set aside. Heartbeat, reports, give-back and adoption run on
/// the event loop, so a worker whose pool of threads is held by its jobs still answers for what it has.
package final class RedisWorkerLink: WorkerLink {
    /// How long a wait blocks: well below the silence after which its connection is taken for dead.
    private let blockTime: Duration

    private let store: RedisStore
    private let node: Node
    private let waiters: [String: RedisClient]
    private let cancelNotes: CancelNotes
    private let wakeNotes: WakeNotes
    private let connection: CommandConnection
    private let logger: Logger

    package init(
        redis: RedisOptions,
        node: Node,
        fibers: Int,
        queues: [String],
        heartbeat: Duration,
        deadAfter: Duration,
        scripts: Scripts = Scripts(),
        eventLoop: any EventLoop,
        logger: Logger
    ) throws(BackgroundError) {
        self.node = node
        self.logger = logger
        blockTime = min(.seconds(5), deadAfter / 3)
        let keys = Keys(namespace: redis.namespace)
        func name(_ fibers: Int) -> String {
            ClientName.worker(redis.namespace, node: node, fibers: fibers, queues: queues)
        }
        let beats = Heartbeats(
            keys: keys,
            node: node,
            queues: queues,
            name: name(fibers),
            stalledName: name(0),
            interval: heartbeat
        )
        let connection = CommandConnection(node: node, beats: beats, logger: logger)
        self.connection = connection
        let client = RedisClient(
            try redis.configuration(
                clientName: name(fibers),
                commandTimeout: deadAfter,
                heartbeatInterval: heartbeat,
                stallLimit: deadAfter / 2
            ),
            eventLoop: eventLoop,
            logger: logger,
            heartbeat: { beats.next(isStalled: connection.host?.linkBeats() ?? false) },
            prepare: { connection.prepare($0) },
            onDisconnect: { _ in connection.host?.linkBroke() }
        )
        store = RedisStore(client: client, namespace: redis.namespace, scripts: scripts)
        connection.store.withLock { [store] in $0 = store }
        let waiting = try redis.configuration(
            clientName: ClientName.waiting(redis.namespace, node: node),
            commandTimeout: blockTime + .seconds(2),
            heartbeatInterval: heartbeat
        )
        cancelNotes = CancelNotes(
            waiting,
            keys: keys,
            node: node,
            blockTime: blockTime,
            eventLoop: eventLoop,
            logger: logger,
            host: { connection.host }
        )
        wakeNotes = WakeNotes(
            waiting,
            keys: keys,
            name: Node.name(of: "\(node)"),
            queues: queues,
            blockTime: blockTime,
            eventLoop: eventLoop,
            logger: logger,
            host: { connection.host }
        )
        var waiters: [String: RedisClient] = [:]
        if queues.count <= WorkerMachine.mostWaits {
            for queue in queues {
                waiters[queue] = RedisClient(waiting, eventLoop: eventLoop, logger: logger.ofSideConnection)
            }
        }
        self.waiters = waiters
    }

    package func start(for host: any WorkerLinkHost) async throws(BackgroundError) {
        connection.attach(host)
        store.client.start()
        cancelNotes.start()
        do {
            try await store.client.waitUntilReady()
        } catch {
            throw BackgroundError(error)
        }
    }

    package func exchange(
        _ finishes: [Finish],
        _ claim: Claim,
        session number: UInt64,
        completion: @escaping @Sendable (@escaping Answer) -> Void
    ) {
        guard let session = store.client.session, session.number == number else {
            return store.client.eventLoop.execute {
                completion { () throws(BackgroundError) in
                    throw BackgroundError(.unavailable, "There is no connection to Redis at present.")
                }
            }
        }
        let voucher = Voucher(node: "\(node)", client: session.clientID, session: session.number)
        store.exchange(finishes, claim, as: voucher, completion: completion)
    }

    // MARK: Waits

    package func arm(_ queues: [String]) {
        for queue in queues {
            guard let waiter = waiters[queue] else { continue }
            var pipeline = Pipeline()
            pipeline.command(
                "BLMOVE",
                store.keys.ready(queue),
                store.keys.handoff(queue),
                "LEFT",
                "RIGHT",
                "\(Double(blockTime.milliseconds) / 1000)"
            )
            waiter.send(pipeline) { [self] result in waited(for: queue, result) }
        }
    }

    package func listen() { wakeNotes.listen() }

    private func waited(for queue: String, _ result: Result<[RESPValue], RedisError>) {
        guard let host = connection.host else { return }
        switch result {
        case .success(let replies):
            switch replies.first {
            case .string(let id):
                if host.linkWoke(queue) == .giveBack { giveBack(String(decoding: id, as: UTF8.self), to: queue) }
            case .error(let text) where !text.hasPrefix("UNBLOCKED"):
                host.linkWaitRefused(queue, because: BackgroundError(RedisError.server(text)))
            default:
                host.linkWaitEnded(queue)
            }
        case .failure(let error):
            guard error.code != .closed else { return }
            host.linkWaitRefused(queue, because: BackgroundError(error))
        }
    }

    /// No fiber is free: the ID goes back to the head of `ready`. If this call is lost, any claim or a watcher finds it.
    private func giveBack(_ id: String, to queue: String) {
        let call = store.call(store.scripts.recover, arguments: 2) { pipeline in
            pipeline.append(queue)
            pipeline.append(id)
        }
        guard let call else { return }
        store.client.send(call) { [logger] result in
            if case .failure(let error) = result {
                logger.debug("An ID stays in handoff for the next claim", metadata: [LogKey.error: "\(error)"])
            }
        }
    }

    package func note(_ notes: [AttemptNote]) {
        store.run(store.scripts.note, session: nil, arguments: RedisStore.argumentCount(notes)) {
            RedisStore.append(notes, to: &$0)
        } completion: { [logger] result in
            guard case .failure(let error) = result else { return }
            logger.debug("Progress was not written", metadata: [LogKey.error: "\(error)"])
        }
    }

    // MARK: After a rollback

    package func sweep(
        _ queues: [String],
        isKnown: @Sendable (String) -> Bool
    ) async throws(BackgroundError) -> [Reaped] {
        var reaped: [Reaped] = []
        for queue in queues {
            var cursor = "0"
            repeat {
                let page =
                    try await store.send("SSCAN", store.keys.processing(queue), cursor, "COUNT", "500").array ?? []
                cursor = page.first?.text ?? "0"
                let attempts = (page.last?.array ?? []).compactMap(\.text)
                reaped += try await sweep(attempts, of: queue, isKnown: isKnown)
            } while cursor != "0"
        }
        return reaped
    }

    private func sweep(
        _ attempts: [String],
        of queue: String,
        isKnown: @Sendable (String) -> Bool
    ) async throws(BackgroundError) -> [Reaped] {
        guard !attempts.isEmpty else { return [] }
        var pipeline = Pipeline()
        for attempt in attempts { pipeline.command("HMGET", store.keys.attempt(attempt), "wrk", "nod", "ado") }
        let records = try await store.send(pipeline)
        let revived = zip(attempts, records).compactMap { attempt, record -> Condemned? in
            guard let fields = record.array, fields.count == 3, fields[1].text == "\(node)", !isKnown(attempt),
                let client = fields[0].text
            else { return nil }
            let adoptions = fields[2].text ?? ""
            return Condemned(
                queue: queue,
                attempt: attempt,
                judgement: .gone(client: client, node: "\(node)", adoptions: adoptions)
            )
        }
        return try await store.reap(revived)
    }

    package func close() async {
        for waiter in waiters.values { await waiter.close() }
        await cancelNotes.close()
        await wakeNotes.close()
        await store.client.close()
        connection.detach()
    }

    package func settle() async {
        for client in waiters.values { await client.settle() }
        await cancelNotes.settle()
        await wakeNotes.settle()
        await store.client.settle()
    }
}
