import NIOCore

/// The steps from nothing to a session: connect, shake hands, prepare.
extension ConnectionDriver: LinkDelegate {
    func connect() {
        attempt += 1
        let attempt = attempt
        // Covers the handshake too.
        schedule(after: configuration.connectTimeout) { driver in
            driver.attemptFailed(driver.timedOut(while: "connecting", driver.configuration.connectTimeout), .ordinary)
        }
        let future: EventLoopFuture<any Channel>
        do throws(RedisError) {
            future = try Transport.connect(configuration, eventLoop: eventLoop)
        } catch {
            return attemptFailed(error, .configuration)
        }
        making = future.map { _ in }.recover { _ in }
        future.assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success(let channel) where attempt == self.attempt: connected(channel)
            case .success(let channel): channel.close(promise: nil)
            case .failure(let error) where attempt == self.attempt:
                attemptFailed(Transport.failed(configuration.url, error), .ordinary)
            case .failure: break
            }
        }
    }

    private func connected(_ channel: any Channel) {
        do {
            let link = try channel.pipeline.syncOperations.handler(type: Link.self)
            self.link = link
            if stall.isEnabled { _ = stall.gap(at: .now) }
            startTicking()
            // May report a failure at once.
            link.delegate = self
            perform(machine.connected(), nil)
        } catch {
            attemptFailed(Transport.failed(configuration.url, error), .ordinary)
        }
    }

    func shakeHands() {
        guard let link else { return }
        if stepTimer == nil {
            // A later try on the same connection.
            schedule(after: configuration.connectTimeout) { driver in
                driver.attemptFailed(
                    driver.timedOut(while: "shaking hands", driver.configuration.connectTimeout),
                    .ordinary
                )
            }
        }
        let promise = eventLoop.makePromise(of: [RESPValue].self)
        promise.futureResult.assumeIsolated().whenSuccess { [self] replies in
            guard link === self.link else { return }
            switch handshake.outcome(of: replies) {
            case .done(let clientID): shookHands(link, clientID)
            case .notYet(let error): notYet(error)
            case .refused(let error): attemptFailed(error, .configuration)
            case .failed(let error): attemptFailed(error, .ordinary)
            }
        }
        link.send(handshake.pipeline, .promise(promise))
    }

    private func shookHands(_ link: Link, _ clientID: Int64) {
        lastSession += 1
        session = RedisSession(number: lastSession, clientID: clientID, link: link, eventLoop: eventLoop)
        perform(machine.handshakeSucceeded(), nil)
    }

    func prepareSession() {
        stopStepTimer()
        guard let session, let prepare else { return perform(machine.prepared(), nil) }
        schedule(after: configuration.commandTimeout) { driver in
            driver.attemptFailed(driver.timedOut(while: "preparing", driver.configuration.commandTimeout), .ordinary)
        }
        prepare(session).hop(to: eventLoop).assumeIsolated().whenComplete { [self] result in
            guard session.number == self.session?.number else { return }
            switch result {
            case .success:
                stopStepTimer()
                perform(machine.prepared(), nil)
            case .failure(let error as RedisError) where ServerErrorAdvice.isPassing(error.serverCode ?? ""):
                notYet(error)
            case .failure(let error):
                attemptFailed(
                    error as? RedisError
                        ?? RedisError(.connectFailed, "Preparing the connection failed.", cause: error),
                    .ordinary
                )
            }
        }
    }

    private func notYet(_ error: RedisError) {
        stopStepTimer()
        attemptFailed(error, .notYet)
    }

    private func timedOut(while doing: String, _ limit: Duration) -> RedisError {
        RedisError(
            .connectFailed,
            "Redis at \(configuration.url) did not answer within \(limit) while \(doing). Check that Redis runs there "
                + "and that the URL is right, rediss:// for a TLS port."
        )
    }

    // MARK: LinkDelegate

    func linkMayRead(_ link: Link) -> Bool {
        link === self.link && !noticeGap()
    }

    func link(_ link: Link, answered commandCount: Int) {
        mailbox.answered(commandCount)
    }

    func link(_ link: Link, failedWith error: RedisError) {
        guard link === self.link else { return }
        switch machine.state {
        case .ready: connectionLost(error)
        case .handshaking where link.partialError != nil:
            // What a server says before it hangs up is better than that it did.
            attemptFailed(handshake.failure(ofFirstStep: link.partialError ?? ""), .ordinary)
        case .idle, .connecting, .handshaking, .loading, .preparing, .backingOff, .ended:
            attemptFailed(error, .ordinary)
        }
    }
}
