import BackgroundRedis
import Logging
import NIOCore
import Synchronization

/// What is done on each new command connection before anything else may use it.
final class CommandConnection: Sendable {
    private struct Former {
        var client: Int64
        var run: String
    }

    let store = Mutex<RedisStore?>(nil)
    private let node: Node
    private let beats: Heartbeats
    private let logger: Logger
    private let attached = Mutex<(any WorkerLinkHost)?>(nil)
    /// Connections on which something was sent that may still arrive: all but the present one are ended before it adopts.
    private let formers = Mutex<[Former]>([])

    init(node: Node, beats: Heartbeats, logger: Logger) {
        self.node = node
        self.beats = beats
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
        let scripts = [store.scripts.exchange, store.scripts.recover, store.scripts.adopt, store.scripts.note]
        var opening = store.loading(scripts)
        opening.command("INFO", "server")
        opening.append(contentsOf: beats.queues)
        return session.send(opening).flatMap { [self] replies in
            do {
                store.remember(scripts, try replies.prefix(scripts.count).map { try $0.get().text ?? "" })
                let info = ServerInfo(try replies[scripts.count].get().text ?? "")
                beats.learn(info["server_time_usec"])
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
        pipeline.append(contentsOf: beats.record)
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
