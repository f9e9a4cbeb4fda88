/// How TLS connections are verified. The host name in the server's certificate is always checked.
package struct RedisTLS: Sendable, Hashable {
    /// A PEM file of the certificate authorities to trust instead of the system's.
    package var caFile: String?
    /// A PEM file with the certificate that this client shows, and its chain.
    package var certificateFile: String?
    /// A PEM file with the private key of that certificate.
    package var keyFile: String?

    /// Makes the settings; without a file, the system's authorities are trusted and no certificate is shown.
    package init(caFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil) {
        self.caFile = caFile
        self.certificateFile = certificateFile
        self.keyFile = keyFile
    }
}

/// How a ``RedisClient`` connects and how patient it is.
package struct RedisConfiguration: Sendable {
    /// Where Redis is.
    package var url: RedisURL
    /// The name that every connection gives itself with `CLIENT SETNAME`, or none.
    package var clientName: String?
    /// The TLS files, used for `rediss://`.
    package var tls: RedisTLS
    /// How long name lookup, TCP, TLS and handshake may take together, and how long a command waits for a connection.
    package var connectTimeout: Duration
    /// How long a written command may stay unanswered before the connection is given up.
    package var commandTimeout: Duration
    /// How often a heartbeat is written, whatever else is under way.
    package var heartbeatInterval: Duration
    /// How many commands may await their replies.
    package var maximumPendingCommands: Int
    /// The longest pause between two attempts to connect.
    package var maximumBackoff: Duration
    /// The gap in this process's own running time after which the connection is closed unread, or nil for never.
    package var stallLimit: Duration?

    /// Makes a configuration. All durations and counts have to be positive.
    ///
    /// A client for blocking commands needs a `commandTimeout` that is longer than they may block.
    package init(
        url: RedisURL,
        clientName: String? = nil,
        tls: RedisTLS = .init(),
        connectTimeout: Duration = .seconds(1),
        commandTimeout: Duration = .seconds(5),
        heartbeatInterval: Duration = .seconds(5),
        maximumPendingCommands: Int = 100_000,
        maximumBackoff: Duration = .seconds(5),
        stallLimit: Duration? = nil
    ) {
        precondition(connectTimeout > .zero, "connectTimeout must be positive")
        precondition(commandTimeout > .zero, "commandTimeout must be positive")
        precondition(heartbeatInterval > .zero, "heartbeatInterval must be positive")
        precondition(maximumPendingCommands > 0, "maximumPendingCommands must be positive")
        precondition(maximumBackoff > .zero, "maximumBackoff must be positive")
        precondition(stallLimit.map { $0 > .zero } ?? true, "stallLimit must be positive")
        self.url = url
        self.clientName = clientName
        self.tls = tls
        self.connectTimeout = connectTimeout
        self.commandTimeout = commandTimeout
        self.heartbeatInterval = heartbeatInterval
        self.maximumPendingCommands = maximumPendingCommands
        self.maximumBackoff = maximumBackoff
        self.stallLimit = stallLimit
    }
}
