import Logging

/// The keys of what is logged, in one place so that they cannot drift.
enum LogKey {
    static let redis = "redis"
    static let session = "redis_session"
    static let error = "error"
}

/// What the driver logs: each change once, the first failure of a row aloud and the others quietly.
extension ConnectionDriver {
    func reportOpen(_ session: RedisSession) {
        let metadata: Logger.Metadata = [LogKey.session: "\(session.number)"]
        // Whoever was told of a loss is told of its end.
        logger.log(level: hasReportedFailure ? .notice : .debug, "Connected to Redis", metadata: metadata)
        hasReportedFailure = false
        hasReportedRefusal = false
    }

    /// The losses of a connection that breaks again and again are told of once a second.
    private var isFrequent: Bool {
        let now = ContinuousClock.now
        if let reportedAt, reportedAt.duration(to: now) < .seconds(1) { return true }
        reportedAt = now
        return false
    }

    func reportDrop(_ error: RedisError, wasOpen: Bool, isEnd: Bool) {
        if isEnd, error.code == .closed { return logger.debug("Closed the connection to Redis") }
        // Whoever waits for the connection is thrown the error, and tells.
        if isEnd { return logger.debug("Cannot use Redis", metadata: [LogKey.error: "\(error)"]) }
        report(wasOpen ? "Lost the connection to Redis" : "Cannot connect to Redis", error)
    }

    func reportPause(_ error: RedisError?) {
        report("Redis is not ready yet", error)
    }

    private func report(_ message: Logger.Message, _ error: RedisError?) {
        let metadata: Logger.Metadata = [LogKey.error: "\(error?.description ?? "none")"]
        // A connection was lost, and then Redis wants another password: a failure that goes on, and news all the same.
        let isRefusal = error?.code == .authenticationFailed || error?.serverCode != nil
        let isNews = !hasReportedFailure || isRefusal && !hasReportedRefusal
        let isAloud = isNews && !isFrequent
        logger.log(level: isAloud ? .warning : .debug, message, metadata: metadata)
        hasReportedFailure = hasReportedFailure || isAloud
        if isAloud, isRefusal { hasReportedRefusal = true }
    }
}
