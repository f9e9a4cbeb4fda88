package import Logging
package import NIOCore

/// A client with one connection to Redis, which it makes, watches over and makes again.
///
/// 1. `send` appends the commands to a mailbox; the push that finds it empty wakes the event loop.
/// 2. The event loop writes all that is in the mailbox as one buffer: concurrent senders share round trips.
/// 3. Replies are matched with their senders in order, on the event loop.
/// 4. When the connection breaks, all that was written fails with the fate `unknown`, since Redis may have carried it
///    out; nothing is ever written twice.
/// 5. After a pause with jitter another connection is made: AUTH, CLIENT SETNAME, SELECT, CLIENT ID, then `prepare`,
///    and only then the commands that wait.
///
/// A client has to be closed before the event loop's group is shut down.
package final class RedisClient: Sendable {
    /// Runs on the event loop after each handshake, before anybody else may send.
    package typealias Prepare = @Sendable (RedisSession) -> EventLoopFuture<Void>

    /// The event loop that the connection lives on and that completions are called on.
    package let eventLoop: any EventLoop
    let mailbox: Mailbox
    private let driver: LoopBound

    /// Makes a client. It connects when it is started or first used.
    ///
    /// - Parameters:
    ///   - configuration: Where Redis is, and the limits.
    ///   - eventLoop: The loop to live on; nothing else should keep it busy.
    ///   - logger: Gets a line for each change, none for a command.
    ///   - heartbeat: What to write each heartbeat interval, made on the event loop; one `PING` by default. Its replies
    ///     are not looked at.
    ///   - prepare: What to do on each new connection before anybody else may send. If it fails, the connection is
    ///     dropped and another made; but if it fails because Redis is loading or busy, it is repeated on the same one.
    ///   - onDisconnect: Is told on the event loop when a connection that was ready is lost.
    package init(
        _ configuration: RedisConfiguration,
        eventLoop: any EventLoop,
        logger: Logger,
        heartbeat: (@Sendable () -> Pipeline)? = nil,
        prepare: Prepare? = nil,
        onDisconnect: (@Sendable (RedisError) -> Void)? = nil
    ) {
        self.eventLoop = eventLoop
        mailbox = Mailbox(maximumPending: configuration.maximumPendingCommands)
        driver = LoopBound(
            ConnectionDriver(
                configuration,
                eventLoop: eventLoop,
                mailbox: mailbox,
                logger: logger,
                heartbeat: heartbeat,
                prepare: prepare,
                onDisconnect: onDisconnect
            )
        )
    }

    deinit {
        guard !mailbox.hasEnded else { return }
        eventLoop.execute { [driver] in _ = driver.value.close() }
    }

    /// Begins to connect, if nothing has yet.
    package func start() {
        eventLoop.execute { [driver] in driver.value.start() }
    }

    /// Ends the connection for good. What awaits a reply fails with `closed`; so does all that is sent later.
    package func close() async {
        // Closing reports no errors: there is nothing left that could fail.
        try? await eventLoop.flatSubmit { [driver] in driver.value.close() }.get()
    }

    /// Waits, after ``close()``, until a connection that was being made then has come to something: no longer than the connect
    /// time-out. Before that the event loop may not end.
    package func settle() async {
        try? await eventLoop.flatSubmit { [driver] in driver.value.settle() }.get()
    }

    /// Drops the connection there is and makes another.
    ///
    /// - Parameter reason: Why, for the log and for those whose commands fail by it.
    package func disconnect(reason: String) {
        eventLoop.execute { [driver] in
            driver.value.disconnect(
                RedisError(.connectionLost, "The connection was dropped: \(reason).", fate: .unknown)
            )
        }
    }

    /// The connection that commands go out on, if there is one that is ready.
    package var session: RedisSession? { mailbox.session }

    /// Sends commands.
    ///
    /// Without a connection they wait for the next one, but no longer than the connect time-out and not beyond a failed
    /// attempt.
    ///
    /// - Parameters:
    ///   - pipeline: The commands.
    ///   - session: The number of the session they are meant for. If it is not the current one they fail with
    ///     `connectionLost`, fate `notSent`, and are never written on another.
    ///   - completion: Is called once, on the event loop, with one reply for each command or with the error.
    package func send(
        _ pipeline: Pipeline,
        session: UInt64? = nil,
        completion: @escaping @Sendable (Result<[RESPValue], RedisError>) -> Void
    ) {
        push(pipeline, session, .closure(completion))
    }

    func push(_ pipeline: Pipeline, _ session: UInt64?, _ sink: ReplySink) {
        precondition(pipeline.isComplete, "A command lacks arguments.")
        guard pipeline.commandCount > 0 else { return deliver(.success([]), to: sink) }
        switch mailbox.push(pipeline, session: session, sink: sink) {
        case .queued: break
        case .queuedFirst: eventLoop.execute { [driver] in driver.value.drain() }
        case .refused(let error): deliver(.failure(error), to: sink)
        }
    }

    private func deliver(_ replies: ReplySink.Replies, to sink: ReplySink) {
        switch sink {
        case .task(let waiter): waiter.complete(replies)
        case .closure, .promise, .nobody: eventLoop.execute { sink.deliver(replies) }
        }
    }
}

/// The driver, used on its event loop alone.
///
/// Sendable because every use checks that. Not NIO's box: that one dies on the event loop, and a client may outlive the
/// group of its loop once it is closed.
private final class LoopBound: @unchecked Sendable {
    private let driver: ConnectionDriver

    init(_ driver: sending ConnectionDriver) {
        self.driver = driver
    }

    var value: ConnectionDriver {
        driver.eventLoop.preconditionInEventLoop()
        return driver
    }
}
