import NIOCore
import NIOPosix
import NIOSSL

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Makes channels to Redis: TCP, Unix sockets, TLS.
enum Transport {
    /// Resolves the name and connects. The pipeline of the channel ends with a ``Link``.
    ///
    /// - Throws: `tlsFailed` if the TLS files cannot be used.
    static func connect(
        _ configuration: RedisConfiguration,
        eventLoop: any EventLoop
    ) throws(RedisError) -> EventLoopFuture<any Channel> {
        let tls = configuration.url.isTLS ? try TLSClient(configuration) : nil
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(TimeAmount(configuration.connectTimeout))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls { try channel.pipeline.syncOperations.addHandler(tls.makeHandler()) }
                    try channel.pipeline.syncOperations.addHandler(Link())
                }
            }
        switch configuration.url.address {
        case .unix(let path):
            return bootstrap.connect(unixDomainSocketPath: path)
        case .host(let host, let port):
            return withKeepalive(bootstrap).connect(host: host, port: port)
        }
    }

    /// Has the kernel notice within half a minute that the other side is gone without a word.
    private static func withKeepalive(_ bootstrap: ClientBootstrap) -> ClientBootstrap {
        let idle = 15
        let interval = 5
        let count = 3
        let bootstrap =
            bootstrap
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(tcp(TCP_KEEPINTVL), value: interval)
            .channelOption(tcp(TCP_KEEPCNT), value: count)
        #if os(Linux)
        // Keepalive probes are only sent while nothing is unacknowledged; this is the limit for the other case.
        return
            bootstrap
            .channelOption(tcp(TCP_KEEPIDLE), value: idle)
            .channelOption(tcp(TCP_USER_TIMEOUT), value: (idle + interval * count) * 1000)
        #else
        return bootstrap.channelOption(tcp(TCP_KEEPALIVE), value: idle)
        #endif
    }

    private static func tcp(_ name: CInt) -> ChannelOptions.Types.SocketOption {
        ChannelOptions.Types.SocketOption(level: .tcp, name: NIOBSDSocket.Option(rawValue: name))
    }

    // MARK: errors

    /// The error for a connection that could not be made.
    static func failed(_ url: RedisURL, _ error: any Error) -> RedisError {
        if let error = error as? RedisError { return error }
        if isTLSError(error) { return tlsError(error) }
        return RedisError(
            .connectFailed,
            "Cannot connect to Redis at \(url): \(reason(error)). Check that Redis runs there and that the URL is right.",
            cause: error
        )
    }

    /// The error for a connection that broke.
    static func broken(by error: any Error) -> RedisError {
        if let error = error as? RedisError { return error }
        if case NIOSSLError.uncleanShutdown = error {
            return RedisError(.connectionLost, "Redis closed the connection.", fate: .unknown)
        }
        if isTLSError(error) { return tlsError(error) }
        return RedisError(.connectionLost, "The connection broke: \(reason(error)).", fate: .unknown, cause: error)
    }

    private static func isTLSError(_ error: any Error) -> Bool {
        error is NIOSSLError || error is BoringSSLError || error is NIOSSLExtraError
    }

    private static func tlsError(_ error: any Error) -> RedisError {
        RedisError(
            .tlsFailed,
            "The TLS connection failed. Check that the port is one for TLS, that the certificate names this host, "
                + "and that the authority that signed it is trusted (a file of authorities can be given).",
            fate: .unknown,
            cause: error
        )
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            if let failure = error.connectionErrors.last { return reason(failure.error) }
            return "the host name is unknown"
        case let error as IOError:
            switch error.errnoCode {
            case ECONNREFUSED: return "connection refused"
            case ENOENT: return "there is no such socket"
            case EACCES: return "permission denied"
            case ECONNRESET: return "reset by the other side"
            case ETIMEDOUT: return "no answer"
            case EHOSTUNREACH, ENETUNREACH: return "the host cannot be reached"
            default: return "errno \(error.errnoCode)"
            }
        case ChannelError.connectTimeout: return "no answer in time"
        default: return "\(error)"
        }
    }
}
