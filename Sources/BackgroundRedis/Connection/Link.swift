import DequeModule
import NIOCore

/// What a ``Link`` tells of itself, on the event loop.
protocol LinkDelegate: AnyObject {
    /// Bytes have come. If false, they must not be looked at.
    func linkMayRead(_ link: Link) -> Bool
    /// Commands have been answered that counted as pending.
    func link(_ link: Link, answered commandCount: Int)
    /// The link is of no use any more.
    func link(_ link: Link, failedWith error: RedisError)
}

/// One connection: writes commands, and matches what comes back with who waits for it, in order.
///
/// Lives on the event loop alone.
final class Link: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    weak var delegate: (any LinkDelegate)? {
        didSet { if let failure { delegate?.link(self, failedWith: failure) } }
    }
    private let reader = RESPReader()
    private var context: ChannelHandlerContext?
    private var written = Deque<Slot>()
    /// The replies so far to the first of `written`.
    private var partial: [RESPValue] = []
    private var finished: [(sink: ReplySink, replies: [RESPValue])] = []
    private var finishedCount = 0
    private var redirection: String?
    private var failure: RedisError?
    private var isClosed = false

    /// Since when the oldest unanswered command has waited.
    var oldest: NIODeadline? { written.first?.since }

    /// The error reply among those to a pipeline of which not all came.
    var partialError: String? {
        for case .error(let reply) in partial { return reply }
        return nil
    }

    // MARK: writing

    /// Writes one pipeline at once.
    func send(_ pipeline: Pipeline, _ sink: ReplySink) {
        precondition(pipeline.isComplete, "A command lacks arguments.")
        guard !isClosed, failure == nil else {
            return sink.deliver(.failure(RedisError(.connectionLost, "This connection is over.")))
        }
        guard pipeline.commandCount > 0 else { return sink.deliver(.success([])) }
        let slot = Slot(
            commandCount: pipeline.commandCount,
            byteCount: pipeline.byteCount,
            session: 0,
            since: .now(),
            isCounted: false,
            sink: sink
        )
        write(ByteBuffer(bytes: pipeline.bytes), CollectionOfOne(slot))
    }

    /// Writes the pipelines of many slots as one.
    func write(_ bytes: ByteBuffer, _ slots: some Collection<Slot>) {
        written.append(contentsOf: slots)
        context?.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
    }

    /// Succeeds when the socket is closed.
    var closed: EventLoopFuture<Void>? { context?.channel.closeFuture }

    /// Ends the connection. What was read and not delivered is dropped.
    ///
    /// - Returns: What was written and not answered.
    func close() -> Deque<Slot> {
        isClosed = true
        defer { written = [] }
        context?.close(promise: nil)
        return written
    }

    // MARK: reading

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosed, failure == nil, delegate?.linkMayRead(self) ?? true else { return }
        var violation: RedisError?
        unwrapInboundIn(data).withUnsafeReadableBytes { bytes in
            do throws(RedisError) {
                try reader.feed(bytes) { value throws(RedisError) in try take(value) }
            } catch {
                violation = error
            }
        }
        deliver()
        if let violation {
            fail(violation)
        } else if let redirection {
            fail(RedisError(.connectionLost, "Redis answered “\(redirection)”: reconnecting.", fate: .unknown))
        }
    }

    private func take(_ value: RESPValue) throws(RedisError) {
        guard let slot = written.first else { throw RESPReader.violation("a reply that nobody asked for") }
        if case .error(let reply) = value, ServerErrorAdvice.wantsReconnect(reply) { redirection = reply }
        if slot.commandCount == 1 {
            finish(slot, [value])
        } else {
            partial.append(value)
            guard partial.count == slot.commandCount else { return }
            finish(slot, partial)
            partial = []
        }
    }

    private func finish(_ slot: Slot, _ replies: [RESPValue]) {
        written.removeFirst()
        finished.append((slot.sink, replies))
        if slot.isCounted { finishedCount += slot.commandCount }
    }

    /// Hands out the replies of one read. They are taken off the pending count before, for who gets one may send again.
    private func deliver() {
        guard !finished.isEmpty else { return }
        let count = finishedCount
        finishedCount = 0
        if count > 0 { delegate?.link(self, answered: count) }
        var batch: [(sink: ReplySink, replies: [RESPValue])] = []
        swap(&batch, &finished)
        for (sink, replies) in batch { sink.deliver(.success(replies)) }
        // Keeps the storage for the next read.
        batch.removeAll(keepingCapacity: batch.capacity <= 4096)
        if finished.isEmpty { swap(&batch, &finished) }
    }

    // MARK: ending

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(Transport.broken(by: error))
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(RedisError(.connectionLost, "Redis closed the connection.", fate: .unknown))
        context.fireChannelInactive()
    }

    private func fail(_ error: RedisError) {
        guard !isClosed, failure == nil else { return }
        failure = error
        context?.close(promise: nil)
        delegate?.link(self, failedWith: error)
    }
}
