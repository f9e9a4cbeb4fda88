package import BackgroundJobs
import Logging

extension Stage {
    /// An inspector that says nothing of lost connections. To be closed.
    package func inspector() throws -> Inspector {
        try Inspector(
            redis: RedisOptions(url: url, namespace: namespace, connectTimeout: .seconds(10)),
            logger: Logger(label: "inspector", factory: { _ in SwiftLogNoOpLogHandler() })
        )
    }
}
