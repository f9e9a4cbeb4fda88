package import BackgroundRedis

/// Where Redis is and which namespace of it is used.
public struct RedisOptions: Sendable {
    /// `redis://[user[:password]@]host[:port][/database]`, `rediss://…` for TLS, or `unix:///path/to.sock[?db=n]`.
    public var url: String
    /// The first part of every key, and of every client name.
    public var namespace: String
    /// PEM file of the certificate authorities to trust instead of the system's (only with `rediss://`).
    public var tlsCAFile: String?
    /// PEM file of the client's certificate chain.
    public var tlsCertificateFile: String?
    /// PEM file of the client's private key.
    public var tlsKeyFile: String?
    /// How long connecting may take, the handshake included, and how long enqueuing waits for a connection before it throws.
    public var connectTimeout: Duration

    /// Makes options.
    ///
    /// - Parameters:
    ///   - url: where Redis is.
    ///   - namespace: the first part of every key: `A-Z a-z 0-9 _ . : - { }`, at most 64 bytes.
    ///   - connectTimeout: how long connecting may take.
    public init(
        url: String = "redis://127.0.0.1:6379/0",
        namespace: String = "bg",
        tlsCAFile: String? = nil,
        tlsCertificateFile: String? = nil,
        tlsKeyFile: String? = nil,
        connectTimeout: Duration = .seconds(1)
    ) {
        self.url = url
        self.namespace = namespace
        self.tlsCAFile = tlsCAFile
        self.tlsCertificateFile = tlsCertificateFile
        self.tlsKeyFile = tlsKeyFile
        self.connectTimeout = connectTimeout
    }

    /// The settings of one connection.
    package func configuration(
        clientName: String,
        commandTimeout: Duration = .seconds(5),
        heartbeatInterval: Duration = .seconds(5),
        maximumBackoff: Duration = .seconds(5),
        stallLimit: Duration? = nil
    ) throws(BackgroundError) -> RedisConfiguration {
        try Names.checkNamespace(namespace)
        let parsed: RedisURL
        do {
            parsed = try RedisURL(url)
        } catch {
            throw BackgroundError(error)
        }
        return RedisConfiguration(
            url: parsed,
            clientName: clientName,
            tls: RedisTLS(caFile: tlsCAFile, certificateFile: tlsCertificateFile, keyFile: tlsKeyFile),
            connectTimeout: connectTimeout,
            commandTimeout: commandTimeout,
            heartbeatInterval: heartbeatInterval,
            maximumBackoff: maximumBackoff,
            stallLimit: stallLimit
        )
    }
}
