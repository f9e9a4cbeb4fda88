package import NIOCore

/// One connection that has shaken hands: it has authenticated, chosen its database and named itself.
package struct RedisSession: Sendable {
    /// Which connection of its client this is: 1, 2, 3 …, never reused.
    package let number: UInt64
    /// What Redis calls the connection, in `CLIENT LIST` for example. Redis counts anew when it restarts.
    package let clientID: Int64
    /// The event loop that the connection lives on.
    package let eventLoop: any EventLoop
    private let link: NIOLoopBound<Link>

    init(number: UInt64, clientID: Int64, link: Link, eventLoop: any EventLoop) {
        self.number = number
        self.clientID = clientID
        self.eventLoop = eventLoop
        self.link = NIOLoopBound(link, eventLoop: eventLoop)
    }

    /// Sends commands on this very connection, also while it is being prepared and nobody else may send.
    ///
    /// - Returns: One reply for each command. Fails with a ``RedisError``: `connectionLost`, fate `notSent`, if this
    ///   connection is over.
    package func send(_ pipeline: Pipeline) -> EventLoopFuture<[RESPValue]> {
        let promise = eventLoop.makePromise(of: [RESPValue].self)
        if eventLoop.inEventLoop {
            link.value.send(pipeline, .promise(promise))
        } else {
            eventLoop.execute { link.value.send(pipeline, .promise(promise)) }
        }
        return promise.futureResult
    }
}
