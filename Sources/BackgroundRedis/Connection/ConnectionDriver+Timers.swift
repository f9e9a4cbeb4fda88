import NIOCore

/// All that the driver does by the clock.
extension ConnectionDriver {
    // MARK: steps

    /// Sets the timer of the step under way.
    func schedule(after delay: Duration, _ body: @escaping (ConnectionDriver) -> Void) {
        stepTimer?.cancel()
        stepTimer = eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(delay)) { [self] in
            stepTimer = nil
            body(self)
        }
    }

    func stopStepTimer() {
        stepTimer?.cancel()
        stepTimer = nil
    }

    // MARK: ticks

    /// The one timer of an open connection: a divisor of the heartbeat interval that is fine enough for the limits.
    private var tickInterval: (time: TimeAmount, perHeartbeat: Int) {
        let beat = configuration.heartbeatInterval
        var finest = min(beat, configuration.commandTimeout / 10)
        if let limit = configuration.stallLimit { finest = min(finest, limit / 4) }
        finest = max(finest, .milliseconds(1))
        let ticks = max(1, Int((beat / finest).rounded(.up)))
        return (TimeAmount(beat / ticks), ticks)
    }

    func startTicking() {
        let (time, perHeartbeat) = tickInterval
        ticks = 0
        scheduleTick(time, perHeartbeat)
    }

    private func scheduleTick(_ time: TimeAmount, _ perHeartbeat: Int) {
        ticker = eventLoop.assumeIsolated().scheduleTask(in: time) { [self] in
            guard link != nil, !noticeGap(), !noticeSilence() else { return }
            ticks += 1
            if ticks % perHeartbeat == 0 { beat() }
            if link != nil { scheduleTick(time, perHeartbeat) }
        }
    }

    /// Drops the connection if this process has not run for longer than it may; what waits in the socket is not read.
    ///
    /// - Returns: Whether it has.
    func noticeGap() -> Bool {
        guard stall.isEnabled, let gap = stall.gap(at: .now), link != nil else { return false }
        disconnect(
            RedisError(
                .connectionLost,
                "This process did not run for \(gap), so what Redis said meanwhile is out of date: reconnecting.",
                fate: .unknown
            )
        )
        return true
    }

    /// Drops the connection if the oldest command has waited for too long: its state is unknown from then on.
    private func noticeSilence() -> Bool {
        guard let oldest = link?.oldest, .now() - oldest > TimeAmount(configuration.commandTimeout) else {
            return false
        }
        disconnect(
            RedisError(
                .timeout,
                "Redis left a command unanswered for \(configuration.commandTimeout), so the connection was given up. "
                    + "Check whether Redis is overloaded or the network is down.",
                fate: .unknown
            )
        )
        return true
    }

    /// Writes a heartbeat, whatever waits before it. Any reply proves that the connection lives, so none is looked at.
    private func beat() {
        switch machine.state {
        case .ready: link?.send(heartbeat?() ?? Self.ping, .nobody)
        case .loading, .preparing: link?.send(Self.ping, .nobody)
        case .idle, .connecting, .handshaking, .backingOff, .ended: break
        }
    }

    private static let ping: Pipeline = {
        var pipeline = Pipeline()
        pipeline.command("PING")
        return pipeline
    }()

    // MARK: waiting commands

    /// Sees to it that nothing waits for a connection for longer than the connect time-out.
    func armExpiry() {
        guard expiryTimer == nil else { return }
        let patience = TimeAmount(configuration.connectTimeout)
        let (expired, oldest) = mailbox.expire(.now() - patience)
        if let oldest {
            expiryTimer = eventLoop.assumeIsolated().scheduleTask(deadline: oldest + patience) { [self] in
                expiryTimer = nil
                armExpiry()
            }
        }
        let error =
            mailbox.lastError
            ?? RedisError(
                .connectFailed,
                "There was no connection to Redis at \(configuration.url) within \(configuration.connectTimeout)."
            )
        for slot in expired { slot.sink.deliver(.failure(error.with(fate: .notSent))) }
    }
}

extension Duration {
    static func random(upTo limit: Duration) -> Duration {
        .microseconds(Int64.random(in: 0...max(1, Int64(limit / .microseconds(1)))))
    }
}
