public import ArgumentParser
public import BackgroundJobs
import Foundation

/// The options of every program that say which Redis it uses, and which part of it.
///
/// ```swift
/// struct Report: AsyncParsableCommand {
///     @OptionGroup var redis: RedisCommandOptions
///
///     func run() async throws {
///         try await withManager(redis: redis.redisOptions()) { try await $0.enqueue("Report") }
///     }
/// }
/// ```
public struct RedisCommandOptions: ParsableArguments {
    @Option(
        name: [.short, .customLong("redis")],
        help: ArgumentHelp(
            "Where Redis is.",
            discussion: """
                redis://[user[:password]@]host[:port][/database], rediss://… for TLS, or unix:///path/to.sock[?db=n]. \
                Without it REDIS_URL counts, then redis://127.0.0.1:6379/0. A password belongs in REDIS_URL: everybody on \
                the machine can read a command line.
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

    /// Makes options as if none were given.
    public init() {}

    /// Refuses half of a certificate.
    public func validate() throws {
        if (tlsCertificate == nil) != (tlsKey == nil) {
            throw ValidationError("--tls-cert and --tls-key go together: give both or neither.")
        }
    }

    /// The options with what the environment adds: REDIS_URL and BG_NAMESPACE, where they are not empty.
    public func redisOptions() -> RedisOptions {
        redisOptions(environment: ProcessInfo.processInfo.environment)
    }

    func redisOptions(environment: [String: String]) -> RedisOptions {
        var options = RedisOptions()
        if let url = redis ?? environment.nonEmpty("REDIS_URL") { options.url = url }
        if let namespace = namespace ?? environment.nonEmpty("BG_NAMESPACE") { options.namespace = namespace }
        options.tlsCAFile = tlsCA
        options.tlsCertificateFile = tlsCertificate
        options.tlsKeyFile = tlsKey
        return options
    }
}

extension [String: String] {
    fileprivate func nonEmpty(_ name: String) -> String? {
        self[name].flatMap { $0.isEmpty ? nil : $0 }
    }
}
