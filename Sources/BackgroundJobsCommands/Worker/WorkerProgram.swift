import ArgumentParser
public import BackgroundJobs
import Foundation
import Logging

/// The worker's command line as a library call: with your jobs registered it is your worker program.
///
/// ```swift
/// import BackgroundJobs
/// import BackgroundJobsCommands
///
/// @main struct MyWorker {
///     static func main() async {
///         var jobs = JobRegistry()
///         jobs.register(Nap.self)
///         await WorkerProgram.main(jobs: jobs)
///     }
/// }
/// ```
public enum WorkerProgram {
    /// Reads the command line, works until the process is told to stop, and exits.
    ///
    /// - Parameters:
    ///   - jobs: the jobs it can run; `--demo` and `--handlers` add theirs.
    ///   - arguments: the command line without the program's name; nil: the process's own.
    public static func main(jobs: JobRegistry = JobRegistry(), arguments: [String]? = nil) async -> Never {
        Guardian.runIfAsked()
        await WorkerCommand.$jobs.withValue(jobs) { () async -> Void in await WorkerCommand.runAndExit(arguments) }
        Foundation.exit(0)
    }
}

extension WorkerCommand {
    mutating func run() async throws {
        if try printConfig.show(redis.redisOptions()) { return }
        var jobs = Self.jobs
        let options = try options()
        let redis = redis.redisOptions()
        let logger = log.logger(label: "bg-worker")
        if demo { DemoJobs.register(in: &jobs) }
        jobs.endPeriodics(on: redis, logger: logger)
        if IsolatedJob.isAsked { await IsolatedJob.serve(jobs, options, redis: redis, logger: logger) }
        let node = Node(name: options.name)
        jobs.isolation =
            IsolatedJob(
                arguments: Array(CommandLine.arguments.dropFirst()),
                node: "\(node)",
                killAfter: options.killAfter,
                logger: logger
            ).run
        guard let path = handlers else {
            if jobs.classes.isEmpty { throw ValidationError(Self.nothingToRun) }
            return try await work(options, redis, node, jobs, logger)
        }
        let directory = try Self.directory(path)
        for skipped in directory.skipped { logger.notice("Not a handler: \(skipped.name): \(skipped.reason)") }
        try await Guardian.with(logger: logger) { [self, jobs] guardian in
            let runner = HandlerRunner(
                directory: directory,
                node: "\(node)",
                guardian: guardian,
                killAfter: options.killAfter
            )
            let all = Self.adding(runner, for: directory, to: jobs)
            logger.info("Handlers: \(directory.classes.keys.sorted().joined(separator: ", "))")
            try await work(options, redis, node, all, logger)
        }
    }

    private static func directory(_ path: String) throws -> HandlerDirectory {
        do {
            return try HandlerDirectory(path: path)
        } catch {
            throw ValidationError("--handlers: \(error)")
        }
    }

    private static func adding(_ runner: HandlerRunner, for directory: HandlerDirectory, to jobs: JobRegistry)
        -> JobRegistry
    {
        var jobs = jobs
        for name in directory.classes.keys.sorted() where !jobs.classes.contains(name) {
            jobs.register(name, program: { try await runner.run(HandlerCall(arguments: $0, context: $1)) })
        }
        return jobs
    }

    private static let nothingToRun = """
        There is nothing this worker could run. Give --handlers DIR (each executable file in DIR handles the class of its \
        name), or --demo to try it out, or register your jobs in a worker program of your own (README).
        """

    private func work(
        _ options: WorkerOptions,
        _ redis: RedisOptions,
        _ node: Node,
        _ jobs: JobRegistry,
        _ logger: Logger
    ) async throws {
        let worker = try Worker(options, redis: redis, node: node, jobs: jobs, logger: logger)
        // A task that ignores its cancellation can't be waited for: its attempt has ended, so the process may go.
        worker.onStragglers = { stall in
            let failure = stall.map { CommandFailure($0) }
            if let message = failure?.message { LineQueue.error.add("Error: \(message)\n", as: .text) }
            Foundation.exit(failure?.code ?? 0)
        }
        let watcher =
            withWatcher
            ? try Watcher(
                WatcherOptions(
                    queues: nil,
                    deadAfter: options.deadAfter,
                    heartbeat: options.heartbeat,
                    allowsEviction: options.allowsEviction
                ),
                redis: redis,
                name: options.name,
                isBesideWorker: true,
                logger: logger
            ) : nil
        let signals = ProcessSignals()
        signals.onStop { isFirst in isFirst ? worker.stop() : worker.releaseNow() }
        signals.on(SIGTSTP) { worker.quiet() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            if let watcher { group.addTask { try await watcher.run() } }
            group.addTask {
                defer { watcher?.stop() }
                try await worker.run()
            }
            do {
                // Not waitForAll(), which throws only when all have ended: a watcher that may not work must not be missed.
                while try await group.next() != nil {}
            } catch {
                worker.stop()
                watcher?.stop()
                throw error
            }
        }
        withExtendedLifetime(signals) {}
    }
}

extension HandlerCall {
    init(arguments: [UInt8], context: JobContext) {
        self.init(
            jobID: context.jobID,
            attemptID: context.attemptID,
            queue: context.queue,
            className: context.className,
            attempt: context.attempt,
            arguments: arguments,
            periodic: context.periodic
        )
    }
}

extension HandlerFailure: NamedFailure {
    package var failureName: String { name }
    package var failureMessage: String { message }
}
