import BackgroundRedis
import Foundation
import Logging
import NIOCore
import Synchronization

/// Listens to the list of notes of a producer, on a connection of its own that is made when the first job is awaited.
///
/// A note that was on its way when the connection broke is lost. So on each new connection all that is awaited is asked for
/// before it waits, and again a few times in the time for which the producer is noted with a job.
final class RedisNotes: NoteSource {
    private static let blockTime = Duration.seconds(5)
    /// How many jobs are asked for in one call, and how many notes are taken at once.
    private static let chunk = 500

    let listener: Listener
    private let client: RedisClient
    private let asking: Asking
    private let wait: Pipeline
    private let drain: Pipeline
    private let logger: Logger
    private let isListening = Mutex(false)

    /// - Parameter time: how long the producer is noted with a job, unless it asks again.
    init(
        _ redis: RedisOptions,
        store: RedisStore,
        eventLoop: any EventLoop,
        logger: Logger,
        time: Duration = .seconds(60)
    ) throws(BackgroundError) {
        let listener = Listener(token: .randomUUID(), time: time)
        self.listener = listener
        self.logger = logger
        let asking = Asking(store: store, listener: listener, chunk: Self.chunk)
        self.asking = asking
        let list = store.keys.notes(listener.token)
        var wait = Pipeline()
        wait.command("BLPOP", list, "\(Self.blockTime.components.seconds)")
        self.wait = wait
        var drain = Pipeline()
        drain.command("LPOP", list, "\(Self.chunk)")
        self.drain = drain
        client = RedisClient(
            try redis.configuration(
                clientName: ClientName.awaiting(redis.namespace),
                commandTimeout: Self.blockTime + .seconds(2),
                maximumBackoff: .seconds(1)
            ),
            eventLoop: eventLoop,
            logger: logger,
            prepare: { asking.prepare($0) }
        )
    }

    func listen(for host: any NoteHost) {
        let isFirst = isListening.withLock { isListening in
            defer { isListening = true }
            return !isListening
        }
        guard isFirst else { return }
        asking.host = host
        client.eventLoop.execute { self.next(host) }
    }

    func close() async { await client.close() }

    /// Waits for a note, unless nothing is awaited any more.
    private func next(_ host: any NoteHost) {
        let goesOn = isListening.withLock { isListening in
            isListening = host.isAwaiting
            return isListening
        }
        guard goesOn else { return }
        if let session = client.session, asking.isDue {
            // Whether or not it is answered: the next time comes, and a connection that breaks asks by itself.
            asking.prepare(session).whenComplete { _ in self.waitForNote(host) }
        } else {
            waitForNote(host)
        }
    }

    private func waitForNote(_ host: any NoteHost) {
        client.send(wait) { [self] result in
            switch result {
            case .success(let replies): heard(replies.first?.array?.last, replies.first, host)
            case .failure(let error): failed(error, host)
            }
        }
    }

    private func heard(_ note: RESPValue?, _ reply: RESPValue?, _ host: any NoteHost) {
        if case .error(let text)? = reply, !text.hasPrefix("UNBLOCKED") {
            return failed(RedisError.server(text), host)
        }
        guard let note else { return next(host) }
        tell(note, host)
        client.send(drain) { [self] result in
            switch result {
            case .success(let replies):
                let notes = replies.first?.array ?? []
                for note in notes { tell(note, host) }
                // As many as were asked for: there may be more.
                if notes.count == Self.chunk { heard(.array([]), nil, host) } else { next(host) }
            case .failure(let error): failed(error, host)
            }
        }
    }

    private func tell(_ note: RESPValue, _ host: any NoteHost) {
        guard let text = note.text else { return }
        guard let end = JobEnd(note: text) else {
            return logger.warning("A note about a job can't be read and is passed over")
        }
        host.heard(end)
    }

    private func failed(_ error: RedisError, _ host: any NoteHost) {
        guard error.code != .closed else { return }
        if error.code == .server, !error.maySoonBeAnswered {
            host.failed(BackgroundError(error))
        }
        client.eventLoop.scheduleTask(in: .milliseconds(100)) { self.next(host) }
    }
}

/// Who is told. It owns the source of the notes, and not the other way round.
private struct Listening {
    weak var host: (any NoteHost)?
}

/// Asks how the awaited jobs have ended, and has the producer noted with those that have not.
private final class Asking: Sendable {
    private let store: RedisStore
    private let listener: Listener
    private let chunk: Int
    private let listening = Mutex(Listening())
    private let again = Mutex(ContinuousClock.now)

    init(store: RedisStore, listener: Listener, chunk: Int) {
        self.store = store
        self.listener = listener
        self.chunk = chunk
    }

    var host: (any NoteHost)? {
        get { listening.withLock { $0.host } }
        set { listening.withLock { $0.host = newValue } }
    }

    var isDue: Bool { again.withLock { $0 <= .now } }

    /// The script is loaded each time, since somebody may have flushed it.
    func prepare(_ session: RedisSession) -> EventLoopFuture<Void> {
        let loading = store.loading([store.scripts.await])
        return session.send(loading).flatMapThrowing { [self] replies in
            store.remember([store.scripts.await], [try replies.first?.get().text ?? ""])
        }.flatMap { self.now(session) }
    }

    private func now(_ session: RedisSession) -> EventLoopFuture<Void> {
        again.withLock { $0 = .now + listener.time / 3 }
        let host = host
        return ask(host?.awaited[...] ?? [], host, session)
    }

    private func ask(
        _ jobs: ArraySlice<String>,
        _ host: (any NoteHost)?,
        _ session: RedisSession
    ) -> EventLoopFuture<Void> {
        let asked = Array(jobs.prefix(chunk))
        let call = store.call(store.scripts.await, arguments: 2 + asked.count) {
            RedisStore.append(asked, self.listener, to: &$0)
        }
        guard !asked.isEmpty, let call else { return session.eventLoop.makeSucceededVoidFuture() }
        return session.send(call).flatMapThrowing { [self] replies in
            let answers = try RedisStore.answers(try (replies.first ?? .null).orThrow(), of: asked)
            for (job, answer) in zip(asked, answers) {
                switch answer {
                case .success(let end?): host?.heard(end)
                case .success(nil): break
                case .failure(let error): host?.failed(job, error)
                }
            }
            return jobs.dropFirst(chunk)
        }.flatMap { self.ask($0, host, session) }
    }
}
