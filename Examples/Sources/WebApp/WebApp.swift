import BackgroundJobs
import BackgroundJobsTesting
import ExampleJobs
import Foundation
import Hummingbird
import Logging
import ServiceLifecycle

/// A web application that enqueues jobs. With `REDIS_URL` it does so to Redis, where a worker runs them; without, it runs them
/// itself, in memory.
///
///     swift run --package-path Examples WebApp
///     curl -X POST 127.0.0.1:8080/sign-up/ada@example.org
///     curl -X POST 127.0.0.1:8080/words -d 'to be or not to be'
@main
struct WebApp {
    static func main() async throws {
        let logger = Logger(label: "web-app")
        if let url = ProcessInfo.processInfo.environment["REDIS_URL"] {
            let manager = try Manager(redis: RedisOptions(url: url), middleware: producerMiddleware, logger: logger)
            try await serve(manager, [], logger)
            await manager.close()
        } else {
            let options = WorkerOptions(queues: try .strict(["mail", "default", "low"]), fibers: 10)
            let worker = try MemoryWorker(options, jobs: exampleJobs(), middleware: producerMiddleware, logger: logger)
            try await serve(worker.manager, [worker], logger)
        }
    }

    private static func serve(_ manager: Manager, _ services: [any Service], _ logger: Logger) async throws {
        let application = Application(
            router: routes(manager),
            configuration: .init(address: .hostname("127.0.0.1", port: 8080)),
            services: services,
            logger: logger
        )
        try await application.runService()
    }
}

func routes(_ manager: Manager) -> Router<BasicRequestContext> {
    let router = Router()
    router.post("sign-up/:address") { _, context in
        let job = try await signUp(try context.parameters.require("address"), manager)
        return EditedResponse(status: .accepted, response: "\(job)\n")
    }
    router.post("words") { request, _ in
        let body = try await request.body.collect(upTo: 100_000)
        do {
            return try await wordCount(of: String(buffer: body), manager)
        } catch let error as BackgroundError where error.code == .timedOut {
            throw HTTPError(.gatewayTimeout, message: error.message)
        }
    }
    return router
}
