import BackgroundJobs
import Foundation
import Logging
internal import Subprocess

/// The last try of a suspect: the worker program, run again for that one job, so that a job that takes its process down
/// takes no other along.
///
/// The parent keeps the attempt: it vouches for it, ends the child when it is cancelled, and reports how it ended. The child
/// is handed the job on its standard input, and leaves what became of it in a file.
struct IsolatedJob: Sendable {
    /// Tells a child that it is one, and where the result goes.
    static let resultVariable = "BG_ISOLATED_RESULT"
    /// What the file begins with once the job has.
    private static let begun = "begun\n"
    /// With what the child exits: the job completed; or how it ended stands in the file.
    private static let completed: Int32 = 30
    private static let ended: Int32 = 31

    /// What a child is handed.
    private struct Input: Codable {
        var job: ClaimedJob
        var node: String
    }

    /// Whether this process was started for one job.
    static var isAsked: Bool { ProcessInfo.processInfo.environment[resultVariable] != nil }

    // MARK: The parent

    /// The command line that this process was started with, without the program's name.
    let arguments: [String]
    let node: String
    let killAfter: Duration
    let logger: Logger

    /// Runs a job in a process of its own; returns what the child made of it.
    ///
    /// - Throws: ``ProcessDied`` if it ended without saying so, `CancellationError` if the task was cancelled, anything else
    ///   if the job did not begin.
    func run(
        _ job: ClaimedJob,
        cancellation: @escaping @Sendable () -> JobContext.Cancellation?
    ) async throws -> Conclusion {
        // Made here, so that it is not the job's fault if it can't be.
        let path = FileManager.default.temporaryDirectory.appending(path: "bg-job-\(UUID().uuidString)").path
        guard FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600]) else {
            throw HandlerFailure(
                name: "Spawn Failed",
                message: "\(path): can't be written: \(String(cString: strerror(errno)))"
            )
        }
        defer { for file in [path, Self.reason(path)] { try? FileManager.default.removeItem(atPath: file) } }
        logger.notice(
            "The last try of a suspect runs in a process of its own",
            metadata: ["job": "\(job.id)", "class": "\(job.className ?? "")"]
        )
        let input = try JSONEncoder().encode(Input(job: job, node: node))
        let outcome: GuardedProcess.Outcome
        do {
            // A task of its own, so that the reason is there before the signal; it is awaited here.
            let work = Task { try await inProcess(path, input) }
            outcome = try await withTaskCancellationHandler {
                try await work.value
            } onCancel: {
                // A child that finds nothing takes it for a shutdown.
                let why = Data((cancellation() ?? .shutdown).rawValue.utf8)
                _ = FileManager.default.createFile(
                    atPath: Self.reason(path),
                    contents: why,
                    attributes: [.posixPermissions: 0o600]
                )
                work.cancel()
            }
        } catch let stopped as ProgramStopped {
            FileHandle.standardError.write(Data(stopped.failureMessage.utf8))
            throw CancellationError()
        }
        // What its logger wrote.
        FileHandle.standardError.write(Data(outcome.message.utf8))
        let written = String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
        switch outcome.status {
        case .exited(Self.completed):
            return Conclusion(ending: .completed, fields: [:])
        case .exited(Self.ended) where written.hasPrefix(Self.begun):
            return try JSONDecoder().decode(Conclusion.self, from: Data(written.dropFirst(Self.begun.count).utf8))
        case let status where written.hasPrefix(Self.begun):
            throw ProcessDied(description: Self.words(status, outcome.message))
        case let status:
            throw HandlerFailure(name: "Spawn Failed", message: Self.words(status, outcome.message))
        }
    }

    /// Where a child is told why it is to end.
    private static func reason(_ path: String) -> String { path + ".why" }

    private func inProcess(_ path: String, _ input: Data) async throws -> GuardedProcess.Outcome {
        try await Guardian.with(logger: logger) { guardian in
            let marker = guardian.marker.split(separator: "=", maxSplits: 1).map(String.init)
            return try await GuardedProcess(guardian: guardian, killAfter: killAfter).run(
                "/proc/self/exe",
                arguments: arguments,
                environment: .inherit.updating([
                    Environment.Key(stringLiteral: Self.resultVariable): path,
                    Environment.Key(stringLiteral: marker[0]): marker[1],
                    // The end of what it writes is kept: that is to be why it trapped, and not where.
                    "SWIFT_BACKTRACE": "enable=no",
                ]),
                input: [UInt8](input)
            )
        }
    }

    private static func words(_ status: TerminationStatus, _ message: String) -> String {
        let how =
            switch status {
            case .exited(let code): "exited with \(code)"
            case .signaled(let number): "was ended by signal \(number)"
            }
        // Room for what is said of the job's fate, within the limit of a message.
        let shown = message.utf8.count > 3500 ? String(decoding: message.utf8.suffix(3500), as: UTF8.self) : message
        return "the process of its own in which it ran \(how)\(shown.isEmpty ? "" : ": \(shown)")"
    }

    // MARK: The child

    /// Runs the job that stands on the standard input, leaves its ending where the parent looks for it, and exits.
    static func serve(
        _ jobs: JobRegistry,
        _ options: WorkerOptions,
        redis: RedisOptions,
        logger: Logger
    ) async -> Never {
        do {
            let path = ProcessInfo.processInfo.environment[resultVariable] ?? ""
            // For what the job starts it has no meaning.
            unsetenv(resultVariable)
            let result = try FileHandle(forWritingTo: URL(filePath: path))
            let input = try JSONDecoder().decode(Input.self, from: FileHandle.standardInput.readToEnd() ?? Data())
            try result.write(contentsOf: Data(begun.utf8))
            let stopped = RaisedOnce()
            // Not a child: a signal cancels it from outside any task. It is awaited below.
            let manager = SharedManager(redis, middleware: jobs.enqueueMiddleware)
            let running = Task {
                await jobs.perform(
                    input.job,
                    node: input.node,
                    maximumResult: options.maximumResult,
                    logger: logger,
                    manager: { try manager.get() },
                    cancellation: {
                        guard stopped.isRaised else { return nil }
                        let why = FileManager.default.contents(atPath: reason(path)) ?? Data()
                        return JobContext.Cancellation(rawValue: String(decoding: why, as: UTF8.self)) ?? .shutdown
                    }
                ).conclusion
            }
            let signals = ProcessSignals()
            signals.onStop { _ in
                stopped.raise()
                running.cancel()
            }
            let conclusion = await running.value
            withExtendedLifetime(signals) {}
            await manager.close()
            if conclusion.ending == .completed, conclusion.fields.isEmpty { exit(completed) }
            try result.write(contentsOf: JSONEncoder().encode(conclusion))
            exit(ended)
        } catch {
            FileHandle.standardError.write(Data("a job's own process: \(error)\n".utf8))
            exit(70)
        }
    }
}
