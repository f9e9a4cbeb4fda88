import Logging

/// The keys of log metadata, in one place so that the names can't drift.
package enum LogKey {
    package static let job = "job"
    package static let attempt = "attempt"
    package static let number = "number"
    package static let queue = "queue"
    package static let className = "class"
    package static let node = "node"
    package static let periodic = "periodic"
    package static let error = "error"
    package static let milliseconds = "ms"
}

extension Logger {
    /// For connections beside a program's main one, which tells of an outage for all of them.
    var ofSideConnection: Logger {
        var logger = self
        if (Level.info...Level.warning).contains(logLevel) { logger.logLevel = .error }
        return logger
    }
}
