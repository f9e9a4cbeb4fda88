import BackgroundRedis
import Logging
import NIOCore
import Synchronization

/// Waits on a connection of its own to be told which of a worker's attempts are to be cancelled.
///
/// What `cancel` writes for the worker can be lost with the connection on which it was on its way. So on each new connection
/// the jobs of all running attempts are looked at, before it waits; and once more when what was under way on the former
/// one is over, since a server that has not noticed its end hands notes to it for that long.
final class CancelNotes: Sendable {
    private let client: RedisClient
    private let look: CancelLook
    private let host: @Sendable () -> (any WorkerLinkHost)?
    private let wait: Pipeline
    private let logger: Logger
    private let notices = NoticeLog()

    init(
        _ configuration: RedisConfiguration,
        keys: Keys,
        node: Node,
        blockTime: Duration,
        eventLoop: any EventLoop,
        logger: Logger,
        host: @escaping @Sendable () -> (any WorkerLinkHost)?
    ) {
        self.host = host
        self.logger = logger
        var wait = Pipeline()
        wait.command("BLPOP", keys.cancel("\(node)"), "\(Double(blockTime.milliseconds) / 1000)")
        self.wait = wait
        let look = CancelLook(keys: keys, blockTime: blockTime, host: host)
        self.look = look
        client = RedisClient(
            configuration,
            eventLoop: eventLoop,
            logger: logger.ofSideConnection,
            prepare: { look.prepare($0) }
        )
    }

    func start() { next() }

    func close() async { await client.close() }

    func settle() async { await client.settle() }

    private func next() {
        if let session = client.session, look.isDue { _ = look.now(session) }
        client.send(wait) { [self] result in heard(result) }
    }

    private func heard(_ result: Result<[RESPValue], RedisError>) {
        switch result {
        case .success(let replies):
            switch replies.first {
            case .array(let note):
                if let attempt = note.last?.text { host()?.linkCancelled(attempt) }
                next()
            case .error(let text) where !text.hasPrefix("UNBLOCKED"):
                notices.log("cancel", text) { logger.warning("Can't wait to be told of cancelled jobs: \($0)") }
                nextLater(.seconds(1))
            default:
                next()
            }
        case .failure(let error):
            if error.code != .closed { nextLater(.milliseconds(100)) }
        }
    }

    private func nextLater(_ pause: TimeAmount) {
        client.eventLoop.scheduleTask(in: pause) { self.next() }
    }
}

/// Looks which of the running attempts' jobs are to be cancelled.
private final class CancelLook: Sendable {
    /// How many jobs are asked for in one go.
    private static let chunk = 500

    private let keys: Keys
    private let blockTime: Duration
    private let host: @Sendable () -> (any WorkerLinkHost)?
    /// When to look again.
    private let again = Mutex<ContinuousClock.Instant?>(nil)

    init(keys: Keys, blockTime: Duration, host: @escaping @Sendable () -> (any WorkerLinkHost)?) {
        self.keys = keys
        self.blockTime = blockTime
        self.host = host
    }

    func prepare(_ session: RedisSession) -> EventLoopFuture<Void> {
        again.withLock { $0 = .now + blockTime }
        return now(session)
    }

    /// Whether it is time for the second look; true once.
    var isDue: Bool {
        again.withLock { again in
            guard let time = again, time <= .now else { return false }
            again = nil
            return true
        }
    }

    func now(_ session: RedisSession) -> EventLoopFuture<Void> {
        look(host()?.linkRuns()[...] ?? [], session)
    }

    private func look(
        _ runs: ArraySlice<(attempt: String, job: String)>,
        _ session: RedisSession
    ) -> EventLoopFuture<Void> {
        guard !runs.isEmpty else { return session.eventLoop.makeSucceededVoidFuture() }
        let asked = runs.prefix(Self.chunk)
        var pipeline = Pipeline()
        for run in asked { pipeline.command("HGET", keys.job(run.job), "cnl") }
        return session.send(pipeline).flatMapThrowing { [self] replies in
            for (run, reply) in zip(asked, replies) {
                // A damaged job is no reason to give up the connection; a Redis that is loading is one to look again.
                if case .error(let text) = reply, !text.hasPrefix("WRONGTYPE") { _ = try reply.get() }
                if reply.text == "1" { host()?.linkCancelled(run.attempt) }
            }
        }.flatMap { [self] in look(runs.dropFirst(Self.chunk), session) }
    }
}
