/// What went wrong between this process and Redis, what became of the command, and what to do about it.
package struct RedisError: Error, Sendable, CustomStringConvertible {
    /// The kind of error. A struct over a private enum, so that a new kind breaks no caller.
    package struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String {
            case invalidURL, connectFailed, authenticationFailed, tlsFailed, timeout, connectionLost
            case protocolViolation, overloaded, cancelled, closed, server
        }

        private let kind: Kind

        /// The URL cannot be understood.
        package static let invalidURL = Code(kind: .invalidURL)
        /// No connection could be made, or Redis did not complete the handshake.
        package static let connectFailed = Code(kind: .connectFailed)
        /// Redis refused the user or the password, or wants one.
        package static let authenticationFailed = Code(kind: .authenticationFailed)
        /// The TLS files cannot be used, or the TLS handshake failed.
        package static let tlsFailed = Code(kind: .tlsFailed)
        /// Redis left a command unanswered for longer than the command time-out.
        package static let timeout = Code(kind: .timeout)
        /// The connection broke, or the session that the command was meant for is over.
        package static let connectionLost = Code(kind: .connectionLost)
        /// What came back is not the Redis protocol.
        package static let protocolViolation = Code(kind: .protocolViolation)
        /// Too many commands await their replies.
        package static let overloaded = Code(kind: .overloaded)
        /// The caller was cancelled.
        package static let cancelled = Code(kind: .cancelled)
        /// The client was closed.
        package static let closed = Code(kind: .closed)
        /// Redis answered with an error.
        package static let server = Code(kind: .server)

        package var description: String { kind.rawValue }
    }

    /// What became of the command: whether Redis may have carried it out.
    package enum Fate: Sendable, Hashable {
        /// It never left this process, so it may be sent again.
        case notSent
        /// It was written and no reply came: repeat it only where repeating is harmless.
        case unknown
        /// Redis replied to it.
        case answered
    }

    /// The kind of error.
    package let code: Code
    /// What happened and what to do. Never holds a password.
    package let message: String
    /// The error underneath, if there is one.
    package let cause: (any Error)?
    /// What became of the command.
    package let fate: Fate
    /// The first word of an error reply, such as `READONLY` or `NOSCRIPT`.
    package let serverCode: String?

    /// Makes an error.
    package init(
        _ code: Code,
        _ message: String,
        fate: Fate = .notSent,
        cause: (any Error)? = nil,
        serverCode: String? = nil
    ) {
        self.code = code
        self.message = message
        self.cause = cause
        self.fate = fate
        self.serverCode = serverCode
    }

    /// Whether the same may succeed later without anybody changing anything here.
    package var isTransient: Bool {
        switch code {
        case .connectFailed, .tlsFailed, .timeout, .connectionLost, .protocolViolation, .overloaded: true
        case .server: serverCode.map(ServerErrorAdvice.isTransient) ?? false
        default: false
        }
    }

    /// The code, the message and the cause.
    package var description: String {
        var text = "\(code): \(message)"
        if let cause { text += " (\(cause))" }
        return text
    }

    /// The same error for a command of another fate.
    func with(fate: Fate) -> RedisError {
        RedisError(code, message, fate: fate, cause: cause, serverCode: serverCode)
    }

    /// Reads an error reply: its code, and for the codes that say something of the server's state, what to do.
    ///
    /// - Parameter reply: The reply without the leading `-`, such as `READONLY You can't write …`.
    package static func server(_ reply: String) -> RedisError {
        let serverCode = ServerErrorAdvice.code(of: reply)
        let advice = ServerErrorAdvice.advice(for: serverCode, reply: reply)
        let message = advice.map { "Redis answered “\(reply)”. \($0)" } ?? "Redis answered “\(reply)”."
        return RedisError(.server, message, fate: .answered, serverCode: serverCode)
    }
}
