import NIOCore

extension RedisClient {
    /// Sends commands and waits for their replies.
    ///
    /// Cancelling the task abandons its place in the queue, not the connection, and what was sent may be carried out.
    ///
    /// - Parameters:
    ///   - pipeline: The commands.
    ///   - session: The number of the session they are meant for; see ``send(_:session:completion:)``.
    /// - Returns: One reply for each command. Error replies are among them, not thrown.
    package func send(_ pipeline: Pipeline, session: UInt64? = nil) async throws(RedisError) -> [RESPValue] {
        let waiter = ReplyWaiter()
        let replies: ReplySink.Replies = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                if waiter.install(continuation) {
                    push(pipeline, session, .task(waiter))
                } else {
                    continuation.resume(returning: .failure(.cancelled(fate: .notSent)))
                }
            }
        } onCancel: {
            waiter.cancel(fate: .unknown)
        }
        return try replies.get()
    }

    /// Starts the client, and waits until the first handshake and its preparation have succeeded.
    ///
    /// - Parameter limit: How long to wait; for ever if nil, through failed attempts.
    /// - Throws: What can't be mended by waiting (wrong credentials, unusable TLS files) at once; the last error when the
    ///   limit is reached; `cancelled` when the task is; `closed` when the client is closed.
    package func waitUntilReady(for limit: Duration? = nil) async throws(RedisError) {
        start()
        let place = WaitingPlace()
        let result: Result<Void, RedisError> = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let number = mailbox.addWaiter(continuation)
                guard number != 0 else { return }
                if place.take(number) { return mailbox.giveUpWaiter(number, .cancelled(fate: .notSent)) }
                guard let limit else { return }
                let timer = eventLoop.scheduleTask(in: TimeAmount(limit)) { [mailbox] in
                    mailbox.giveUpWaiter(number, mailbox.lastError ?? Self.notReady(limit))
                }
                place.onLeave { timer.cancel() }
            }
        } onCancel: { [mailbox] in
            if let number = place.cancel() { mailbox.giveUpWaiter(number, .cancelled(fate: .notSent)) }
        }
        place.leave()
        try result.get()
    }

    private static func notReady(_ limit: Duration) -> RedisError {
        RedisError(.connectFailed, "There was no connection to Redis within \(limit). Check that it runs and the URL.")
    }
}
