import DequeModule
import Logging
import NIOCore

/// Carries out what ``ConnectionStateMachine`` decides: connects, shakes hands, prepares, writes, drops, tries again.
///
/// Lives on the event loop alone. What waits for it is in the ``Mailbox``, which any thread may reach.
final class ConnectionDriver {
    let configuration: RedisConfiguration
    let eventLoop: any EventLoop
    let mailbox: Mailbox
    var logger: Logger
    let heartbeat: (@Sendable () -> Pipeline)?
    let prepare: RedisClient.Prepare?
    let onDisconnect: (@Sendable (RedisError) -> Void)?
    let handshake: Handshake

    var machine: ConnectionStateMachine
    /// When a lost or found connection was last told of aloud.
    var reportedAt: ContinuousClock.Instant?
    /// The connection there is, from the moment it is made until it is dropped.
    var link: Link?
    /// The session of `link`, once it has shaken hands.
    var session: RedisSession?
    var lastSession: UInt64 = 0
    /// Which attempt to connect is the current one: what comes of an older one is closed.
    var attempt: UInt64 = 0
    /// Is done when the last attempt to connect has come to something, also if nobody waits for it any more.
    var making: EventLoopFuture<Void>?
    /// Runs out when the step under way has taken too long, or when it is time for the next.
    var stepTimer: Scheduled<Void>?
    var expiryTimer: Scheduled<Void>?
    var ticker: Scheduled<Void>?
    var ticks = 0
    var stall: StallDetector
    var readyAt = ContinuousClock.now
    var hasReportedFailure = false
    var hasReportedRefusal = false

    private var spareBytes = ByteBuffer()
    private var spareSlots: [Slot] = []

    init(
        _ configuration: RedisConfiguration,
        eventLoop: any EventLoop,
        mailbox: Mailbox,
        logger: Logger,
        heartbeat: (@Sendable () -> Pipeline)?,
        prepare: RedisClient.Prepare?,
        onDisconnect: (@Sendable (RedisError) -> Void)?
    ) {
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.mailbox = mailbox
        self.logger = logger
        self.logger[metadataKey: LogKey.redis] = "\(configuration.url)"
        self.heartbeat = heartbeat
        self.prepare = prepare
        self.onDisconnect = onDisconnect
        handshake = Handshake(configuration)
        machine = ConnectionStateMachine(maximumBackoff: configuration.maximumBackoff)
        stall = StallDetector(limit: configuration.stallLimit, now: .now)
    }

    /// Connects, unless that is under way already.
    func start() {
        perform(machine.start(), nil)
    }

    /// Writes all that waits, as one buffer with one flush. Without a connection, sees to it that there will be one.
    func drain() {
        start()
        guard !noticeGap() else { return }
        guard let link, mailbox.take(&spareBytes, &spareSlots) else { return armExpiry() }
        let now = NIODeadline.now()
        for index in spareSlots.indices { spareSlots[index].since = now }
        link.write(spareBytes, spareSlots)
        spareSlots.removeAll(keepingCapacity: spareSlots.capacity <= 4096)
        // Allocates anew if the channel could not write all at once and still holds the buffer.
        if spareBytes.capacity <= 1 << 20 { spareBytes.clear() } else { spareBytes = ByteBuffer() }
    }

    /// Drops the connection there is and makes another.
    func disconnect(_ error: RedisError) {
        switch machine.state {
        case .ready: connectionLost(error)
        case .connecting, .handshaking, .loading, .preparing: attemptFailed(error, .ordinary)
        case .idle, .backingOff, .ended: break
        }
    }

    /// Ends it for good.
    func close() -> EventLoopFuture<Void> {
        let closed = link?.closed
        perform(machine.close(), RedisError(.closed, "The Redis client was closed. Make a new one to go on."))
        return closed ?? eventLoop.makeSucceededVoidFuture()
    }

    /// Is done when nothing of it is under way on the event loop.
    func settle() -> EventLoopFuture<Void> { making ?? eventLoop.makeSucceededVoidFuture() }

    // MARK: carrying out

    func perform(_ action: ConnectionStateMachine.Action, _ error: RedisError?) {
        switch action {
        case .nothing: break
        case .connect: connect()
        case .shakeHands: shakeHands()
        case .prepare: prepareSession()
        case .open: open()
        case .pause(let limit): pause(limit, error)
        case .backOff(let limit): backOff(limit, error)
        case .end: drop(error, isEnd: true)
        }
    }

    func attemptFailed(_ error: RedisError, _ failure: ConnectionStateMachine.Failure) {
        perform(machine.attemptFailed(failure), error)
    }

    func connectionLost(_ error: RedisError) {
        let lasted = readyAt.duration(to: .now)
        perform(machine.lost(afterSteadyTime: lasted > .milliseconds(200)), error)
    }

    private func open() {
        guard let session else { return }
        readyAt = .now
        reportOpen(session)
        mailbox.open(session)
        drain()
    }

    /// Keeps the connection to a Redis that cannot do it yet, and tries the step again a little later.
    private func pause(_ limit: Duration, _ error: RedisError?) {
        reportPause(error)
        schedule(after: .random(upTo: limit)) { driver in driver.perform(driver.machine.pauseElapsed(), nil) }
    }

    private func backOff(_ limit: Duration, _ error: RedisError?) {
        drop(error, isEnd: false)
        schedule(after: .random(upTo: limit)) { driver in driver.perform(driver.machine.backoffElapsed(), nil) }
        armExpiry()
    }

    private func drop(_ error: RedisError?, isEnd: Bool) {
        let error = error ?? RedisError(.connectionLost, "The connection broke.", fate: .unknown)
        let wasOpen = mailbox.session != nil
        attempt += 1
        stepTimer?.cancel()
        ticker?.cancel()
        session = nil
        let unanswered = link?.close() ?? []
        link = nil
        // The gate first, so that whoever is told of the loss below and sends again finds it shut.
        let unsent = isEnd ? mailbox.end(error) : mailbox.shut(error, failingAll: !wasOpen)
        mailbox.answered(unanswered.reduce(0) { $0 + ($1.isCounted ? $1.commandCount : 0) })
        reportDrop(error, wasOpen: wasOpen, isEnd: isEnd)
        for slot in unanswered { slot.sink.deliver(.failure(error.with(fate: .unknown))) }
        for slot in unsent { slot.sink.deliver(.failure(unsentError(slot, error))) }
        if wasOpen { onDisconnect?(error) }
    }

    private func unsentError(_ slot: Slot, _ error: RedisError) -> RedisError {
        slot.session == 0 || error.code == .closed ? error.with(fate: .notSent) : Mailbox.sessionOver(slot.session)
    }
}
