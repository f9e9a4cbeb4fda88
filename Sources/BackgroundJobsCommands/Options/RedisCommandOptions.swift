import ArgumentParser
import BackgroundJobs
import Foundation

/// The options of every program that say which Redis it uses, and which part of it.
struct RedisCommandOptions: ParsableArguments {
    @Option(
        name: [.short, .customLong("redis")],
        help: ArgumentHelp(
            "Where Redis is.",
            discussion: """
                redis://[user[:password]@]host[:port][/database], rediss://… for TLS, or unix:///path/to.sock[?db=n]. \
                Without it BG_REDIS or REDIS_URL counts, then redis://127.0.0.1:6379/0. A password belongs there, or into a \
                file (--config): everybody on the machine can read a command line.
                """,
            valueName: "url"
        )
    )
    var redis: String?

    @Option(
        name: [.short, .long],
        help: ArgumentHelp("The first part of every key. Without it BG_NAMESPACE counts, then bg.", valueName: "name")
    )
    var namespace: String?

    @Option(
        name: .customLong("tls-ca"),
        help: ArgumentHelp("The certificate authorities to trust instead of the system's, PEM.", valueName: "file"),
        completion: .file()
    )
    var tlsCA: String?

    @Option(
        name: .customLong("tls-cert"),
        help: ArgumentHelp("The certificate that is shown to Redis, PEM; needs --tls-key.", valueName: "file"),
        completion: .file()
    )
    var tlsCertificate: String?

    @Option(
        name: .customLong("tls-key"),
        help: ArgumentHelp("That certificate's private key, PEM.", valueName: "file"),
        completion: .file()
    )
    var tlsKey: String?

    @Option(
        help: ArgumentHelp(
            """
            How long connecting to Redis may take, the handshake included; bg-cli waits as long for a Redis that is away. \
            (default: 5s)
            """,
            valueName: "time"
        ),
        transform: DurationArgument.parser()
    )
    var connectTimeout = DurationArgument(.seconds(5))

    /// Refuses files for TLS with a URL that does without: who gives them believes that the connection is encrypted.
    func checkEncryption(_ url: String) throws {
        guard tlsCA != nil || tlsCertificate != nil, !url.lowercased().hasPrefix("rediss:") else { return }
        throw ValidationError("The --tls options go with a rediss:// URL; this one is not encrypted.")
    }

    /// Refuses half of a certificate, files that would not be used, and a time that is none.
    func validate() throws {
        if (tlsCertificate == nil) != (tlsKey == nil) {
            throw ValidationError("--tls-cert and --tls-key go together: give both or neither.")
        }
        try checkEncryption(redisOptions().url)
        for (name, file) in [("ca", tlsCA), ("cert", tlsCertificate), ("key", tlsKey)] {
            guard let file, !FileManager.default.isReadableFile(atPath: file) else { continue }
            let reason = FileManager.default.fileExists(atPath: file) ? "it can't be read" : "there is no such file"
            throw ValidationError("--tls-\(name) \(file): \(reason).")
        }
        guard (.milliseconds(10) ... .seconds(3600)).contains(connectTimeout.duration) else {
            throw ValidationError("--connect-timeout lies between 10ms and 1h.")
        }
    }

    /// The options with what the environment adds: REDIS_URL and BG_NAMESPACE, where they are not empty.
    func redisOptions() -> RedisOptions {
        redisOptions(environment: ProcessInfo.processInfo.environment)
    }

    func redisOptions(environment: [String: String]) -> RedisOptions {
        var options = RedisOptions()
        if let url = redis ?? environment.nonEmpty("REDIS_URL") { options.url = url }
        if let namespace = namespace ?? environment.nonEmpty("BG_NAMESPACE") { options.namespace = namespace }
        options.tlsCAFile = tlsCA
        options.tlsCertificateFile = tlsCertificate
        options.tlsKeyFile = tlsKey
        options.connectTimeout = connectTimeout.duration
        return options
    }
}
