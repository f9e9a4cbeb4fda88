import BackgroundRedis
package import Logging
package import NIOCore
import Synchronization

/// The link of a worker to Redis: one command connection, whose client ID vouches for every attempt, and one blocked
/// connection a queue. Heartbeat, give-back and adoption run on the event loop, so a worker whose pool of threads is held
/// by its jobs still answers for what it has.
package final class RedisWorkerLink: WorkerLink {
    /// How long a wait blocks: well below the silence after which its connection is taken for dead.
    private let blockTime: Duration

    private let store: RedisStore
    private let node: Node
    private let waiters: [String: RedisClient]
    private let link: Link
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
        var beat = Pipeline()
        beat.command(["SADD", keys.queues] + queues)
        let link = Link(node: node, beat: beat, logger: logger)
        self.link = link
        let client = RedisClient(
            try redis.configuration(
                clientName: ClientName.worker(redis.namespace, node: node, fibers: fibers, queues: queues),
                commandTimeout: deadAfter,
                heartbeatInterval: heartbeat,
                stallLimit: deadAfter / 2
            ),
            eventLoop: eventLoop,
            logger: logger,
            heartbeat: { [beat] in beat },
            prepare: { link.prepare($0) },
            onDisconnect: { _ in link.host?.linkBroke() }
        )
        store = RedisStore(client: client, namespace: redis.namespace, scripts: scripts)
        link.store.withLock { [store] in $0 = store }
        var waiters: [String: RedisClient] = [:]
        if queues.count <= WorkerMachine.mostWaits {
            for queue in queues {
                waiters[queue] = RedisClient(
                    try redis.configuration(
                        clientName: ClientName.waiting(redis.namespace, node: node),
                        commandTimeout: blockTime + .seconds(2),
                        heartbeatInterval: heartbeat
                    ),
                    eventLoop: eventLoop,
                    logger: logger
                )
            }
        }
        self.waiters = waiters
    }

    package func start(for host: any WorkerLinkHost) async throws(BackgroundError) {
        link.attach(host)
        store.client.start()
        do {
            try await store.client.waitUntilReady()
        } catch {
            throw BackgroundError(error)
        }
    }

    package func exchange(
        _ finishes: [Finish],
        _ claim: Claim,
        session number: UInt64
    ) async throws(BackgroundError) -> Exchange {
        guard let session = store.client.session, session.number == number else {
            throw BackgroundError(.unavailable, "There is no connection to Redis at present.")
        }
        let voucher = Voucher(node: "\(node)", client: session.clientID, session: session.number)
        return try await store.exchange(finishes, claim, as: voucher)
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

    private func waited(for queue: String, _ result: Result<[RESPValue], RedisError>) {
        guard let host = link.host else { return }
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

    package func stopWaiting() async {
        for waiter in waiters.values { await waiter.close() }
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
        await stopWaiting()
        await store.client.close()
        link.detach()
    }
}

/// What is done on each new command connection before anything else may use it.
private final class Link: Sendable {
    private struct Former {
        var client: Int64
        var run: String
    }

    let store = Mutex<RedisStore?>(nil)
    private let node: Node
    /// The first heartbeat, which makes the queues known.
    private let beat: Pipeline
    private let logger: Logger
    private let attached = Mutex<(any WorkerLinkHost)?>(nil)
    /// Connections on which something was sent that may still arrive: all but the present one are ended before it adopts.
    private let formers = Mutex<[Former]>([])

    init(node: Node, beat: Pipeline, logger: Logger) {
        self.node = node
        self.beat = beat
        self.logger = logger
    }

    var host: (any WorkerLinkHost)? { attached.withLock { $0 } }
    func attach(_ host: any WorkerLinkHost) { attached.withLock { $0 = host } }
    func detach() { attached.withLock { $0 = nil } }

    /// 1. Loads the scripts and asks which run of the server this is. 2. Ends the former connection, so that nothing sent
    /// on it can still arrive; not if the server was started again: then it is gone, and the ID may be another's.
    /// 3. Adopts.
    func prepare(_ session: RedisSession) -> EventLoopFuture<Void> {
        guard let store = store.withLock({ $0 }), let host else {
            return session.eventLoop.makeFailedFuture(BackgroundError(.unavailable, "The worker has stopped."))
        }
        let scripts = [store.scripts.exchange, store.scripts.recover, store.scripts.adopt]
        var opening = store.loading(scripts)
        opening.command("INFO", "server")
        opening.append(contentsOf: beat)
        return session.send(opening).flatMap { [self] replies in
            do {
                store.remember(scripts, try replies.prefix(scripts.count).map { try $0.get().text ?? "" })
                let info = ServerInfo(try replies[scripts.count].get().text ?? "")
                return endFormers(info.runID, session).flatMap { self.adopt(info.runID, session, store, host) }
            } catch {
                return session.eventLoop.makeFailedFuture(error)
            }
        }
    }

    private func endFormers(_ run: String, _ session: RedisSession) -> EventLoopFuture<Void> {
        let former = formers.withLock { formers in
            defer {
                if formers.last?.client != session.clientID || formers.last?.run != run {
                    formers.append(Former(client: session.clientID, run: run))
                }
            }
            return formers.filter { $0.run == run && $0.client != session.clientID }
        }
        guard !former.isEmpty else { return session.eventLoop.makeSucceededVoidFuture() }
        var pipeline = Pipeline()
        for former in former { pipeline.command("CLIENT", "KILL", "ID", "\(former.client)") }
        return session.send(pipeline).map { [logger] replies in
            // One that has gone by itself is answered with an integer, or by older servers with "No such client".
            for case .error(let text) in replies where !text.contains("No such client") {
                logger.warning("A former connection could not be ended", metadata: [LogKey.error: "\(text)"])
            }
        }
    }

    private func adopt(
        _ run: String,
        _ session: RedisSession,
        _ store: RedisStore,
        _ host: any WorkerLinkHost
    ) -> EventLoopFuture<Void> {
        let whole = host.linkIsAdopting()
        let voucher = Voucher(node: "\(node)", client: session.clientID)
        let parts = whole.parts(of: 500)
        var pipeline = Pipeline()
        for part in parts {
            let call = store.call(store.scripts.adopt, arguments: part.argumentCount) {
                part.append(to: &$0, as: voucher)
            }
            if let call { pipeline.append(contentsOf: call) }
        }
        return session.send(pipeline).flatMapThrowing { [self] replies in
            var adopted = Adopted(verdicts: [:], granted: [])
            for (part, reply) in zip(parts, replies) {
                let answer = try Adopted(try reply.get(), of: part)
                adopted.verdicts.merge(answer.verdicts) { first, _ in first }
                adopted.granted += answer.granted
            }
            // Those of another run went with their server.
            let hasRolledBack = formers.withLock { formers in
                defer { formers = [Former(client: session.clientID, run: run)] }
                return formers.contains { $0.run != run }
            }
            host.linkAdopted(
                adopted,
                session: session.number,
                mayHaveRolledBack: hasRolledBack
            )
        }
    }
}

extension Adoption {
    /// The same in parts, so that no script has too much to do at once.
    fileprivate func parts(of size: Int) -> [Adoption] {
        var parts = stride(from: 0, to: attempts.count, by: size).map { start in
            Adoption(
                queues: queues,
                attempts: Array(attempts[start..<min(start + size, attempts.count)]),
                offered: []
            )
        }
        parts += stride(from: 0, to: offered.count, by: size).map { start in
            Adoption(queues: queues, attempts: [], offered: Array(offered[start..<min(start + size, offered.count)]))
        }
        return parts.isEmpty ? [Adoption(queues: queues, attempts: [], offered: [])] : parts
    }
}
