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
    /// The hidden argument in front of the worker's own.
    static let argument = "--run-one-job"
    private static let resultVariable = "BG_ISOLATED_RESULT"

    // MARK: The parent

    /// The command line that this process was started with, without the program's name.
    let arguments: [String]
    let killAfter: Duration
    let logger: Logger

    /// Runs a job in a process of its own; returns what the child made of it.
    ///
    /// - Throws: ``ProcessDied`` if it ended without saying so, `CancellationError` if the task was cancelled.
    func run(_ job: ClaimedJob) async throws -> Ending {
        let result = FileManager.default.temporaryDirectory.appending(path: "bg-job-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: result) }
        logger.notice(
            "The last try of a suspect runs in a process of its own",
            metadata: ["job": "\(job.id)", "class": "\(job.className ?? "")"]
        )
        let input = try JSONEncoder().encode(job)
        let outcome = try await Guardian.with(logger: logger) { guardian in
            let marker = guardian.marker.split(separator: "=", maxSplits: 1).map(String.init)
            return try await GuardedProcess(guardian: guardian, killAfter: killAfter).run(
                "/proc/self/exe",
                arguments: [Self.argument] + arguments,
                environment: .inherit.updating([
                    Environment.Key(stringLiteral: Self.resultVariable): result.path,
                    Environment.Key(stringLiteral: marker[0]): marker[1],
                    // The end of what it writes is kept: that is to be why it trapped, and not where.
                    "SWIFT_BACKTRACE": "enable=no",
                ]),
                input: [UInt8](input)
            )
        }
        // What its logger wrote.
        FileHandle.standardError.write(Data(outcome.message.utf8))
        guard case .exited(0) = outcome.status, let written = try? Data(contentsOf: result) else {
            throw ProcessDied(description: Self.words(outcome.status, outcome.message))
        }
        return try JSONDecoder().decode(Ending.self, from: written)
    }

    private static func words(_ status: TerminationStatus, _ message: String) -> String {
        let how =
            switch status {
            case .exited(let code): "exited with \(code)"
            case .signaled(let number): "was ended by signal \(number)"
            }
        return "the process of its own in which it ran \(how)\(message.isEmpty ? "" : ": \(message)")"
    }

    // MARK: The child

    /// Runs the job that stands on the standard input, leaves its ending where the parent looks for it, and exits.
    static func serve(_ jobs: JobRegistry, logger: Logger) async -> Never {
        do {
            guard let path = ProcessInfo.processInfo.environment[resultVariable] else {
                throw BackgroundError(.invalidArgument, "\(argument) is for the worker's own use.")
            }
            let job = try JSONDecoder().decode(ClaimedJob.self, from: FileHandle.standardInput.readToEnd() ?? Data())
            let stopped = RaisedOnce()
            let running = Task { await jobs.run(job, logger: logger) { stopped.isRaised } }
            let signals = ProcessSignals()
            signals.onStop { _ in
                stopped.raise()
                running.cancel()
            }
            let ending = await running.value
            withExtendedLifetime(signals) {}
            try JSONEncoder().encode(ending).write(to: URL(filePath: path), options: .atomic)
            exit(0)
        } catch {
            FileHandle.standardError.write(Data("bg-worker \(argument): \(error)\n".utf8))
            exit(70)
        }
    }
}
