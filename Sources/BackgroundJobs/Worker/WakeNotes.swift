import BackgroundRedis
import Logging
import NIOCore
import Synchronization

/// Waits, on a connection of its own and while the worker has room, to be woken for jobs that do not come by way of `ready`:
/// those that other workers put aside since they are for this node, or not for theirs, or suspects that they could not run.
///
/// A note is no more than a hint: the claim that follows finds the jobs. Whoever can't make use of a note passes it on, and
/// listens no more to notes for anybody for a while, so that it comes to all others.
final class WakeNotes: Sendable {
    private struct State {
        var isListening = false
        var isClosed = false
        /// Until then it hears only what is meant for its name.
        var deafUntil: ContinuousClock.Instant?
    }

    /// A note that was passed on so often was for nobody.
    private static let mostHops = 32

    private let client: RedisClient
    private let named: [(key: String, queue: String)]
    private let general: [(key: String, queue: String)]
    private let blockTime: Duration
    private let host: @Sendable () -> (any WorkerLinkHost)?
    private let logger: Logger
    private let notices = NoticeLog()
    private let state = Mutex(State())

    init(
        _ configuration: RedisConfiguration,
        keys: Keys,
        name: String,
        queues: [String],
        blockTime: Duration,
        eventLoop: any EventLoop,
        logger: Logger,
        host: @escaping @Sendable () -> (any WorkerLinkHost)?
    ) {
        named = queues.map { (keys.wake(Place(queue: $0, kind: .on, name: name)), $0) }
        general = queues.map { (keys.wake($0), $0) }
        self.blockTime = blockTime
        self.host = host
        self.logger = logger
        client = RedisClient(configuration, eventLoop: eventLoop, logger: logger.ofSideConnection)
    }

    func close() async {
        state.withLock { $0.isClosed = true }
        await client.close()
    }

    func settle() async { await client.settle() }

    /// Listens, unless it does already, or the worker has no room or something to do first. Then it is called again.
    func listen() {
        guard let queues = host()?.linkListens(), !queues.isEmpty else { return }
        let isDeaf: Bool? = state.withLock { state in
            guard !state.isListening, !state.isClosed else { return nil }
            state.isListening = true
            return state.deafUntil.map { $0 > .now } ?? false
        }
        guard let isDeaf else { return }
        let keys = (named + (isDeaf ? [] : general)).filter { queues.contains($0.queue) }.map(\.key)
        var wait = Pipeline()
        wait.command(["BLPOP"] + keys + ["\(Double(blockTime.milliseconds) / 1000)"])
        client.send(wait) { [self] result in heard(result) }
    }

    private func heard(_ result: Result<[RESPValue], RedisError>) {
        state.withLock { $0.isListening = false }
        switch result {
        case .success(let replies):
            switch replies.first {
            case .array(let note):
                if let key = note.first?.text, let text = note.last?.text { take(text, from: key) }
                listen()
            case .error(let text) where !text.hasPrefix("UNBLOCKED"):
                notices.log("wake", text) {
                    logger.warning("Can't wait to be woken for jobs that were set aside: \($0)")
                }
                client.eventLoop.scheduleTask(in: .seconds(1)) { self.listen() }
            default:
                listen()
            }
        case .failure(let error):
            if error.code != .closed { client.eventLoop.scheduleTask(in: .milliseconds(100)) { self.listen() } }
        }
    }

    /// The form of a note: how often it was passed on, and `on`, `suspect` or `avoid <name>`.
    private func take(_ note: String, from key: String) {
        guard let queue = (named + general).first(where: { $0.key == key })?.queue, let host = host() else { return }
        let words = note.split(separator: " ").map(String.init)
        let reason = words.dropFirst().first
        switch host.linkNoted(queue, isSuspect: reason == "suspect", avoids: reason == "avoid" ? words.last : nil) {
        case .claim:
            break
        case .busy:
            pass(note, on: key)
        case .unfit:
            state.withLock { $0.deafUntil = .now + blockTime }
            let hops = min(words.first.flatMap { Int($0) } ?? 0, Self.mostHops) + 1
            if hops <= Self.mostHops { pass("\(hops) " + words.dropFirst().joined(separator: " "), on: key) }
        }
    }

    private func pass(_ note: String, on key: String) {
        var pipeline = Pipeline()
        pipeline.command("RPUSH", key, note)
        pipeline.command("EXPIRE", key, "60")
        client.send(pipeline) { [logger] result in
            // Then somebody finds the job at its next claim, within five seconds.
            if case .failure(let error) = result {
                logger.debug("A note was not passed on", metadata: [LogKey.error: "\(error)"])
            }
        }
    }
}
