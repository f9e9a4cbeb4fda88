@preconcurrency import Glibc
internal import Subprocess

#if canImport(System)
internal import System
#else
internal import SystemPackage
#endif

/// Runs handler programs: one process for each attempt, without a shell and without arguments. The job's arguments are its
/// standard input.
package struct HandlerRunner: Sendable {
    private let directory: HandlerDirectory
    private let environment: HandlerEnvironment
    private let process: GuardedProcess

    /// - Parameters:
    ///   - node: The worker's node name; handlers see it as `BG_NODE`.
    ///   - killAfter: What a cancelled program has between SIGTERM and SIGKILL.
    package init(directory: HandlerDirectory, node: String, guardian: Guardian, killAfter: Duration = .seconds(10)) {
        self.directory = directory
        process = GuardedProcess(guardian: guardian, killAfter: killAfter)
        environment = HandlerEnvironment(node: node, marker: guardian.marker)
    }

    /// Runs one attempt, and returns when it has succeeded: exit code 0.
    ///
    /// - Throws: ``HandlerFailure``; or, if the task was cancelled, whatever the program made of the signal, `CancellationError`,
    ///   or ``ProgramStopped`` with what it had written to stderr by then.
    package func run(_ call: HandlerCall) async throws {
        let program = try directory.program(for: call.className)
        let (status, message) = try await execute(program, call)
        switch status {
        case .exited(0):
            return
        case .exited(let code):
            throw HandlerFailure(name: "Exit \(code)", message: message)
        case .signaled(let number):
            throw HandlerFailure(name: "Signal \(number)", message: message)
        }
    }

    private func execute(_ program: String, _ call: HandlerCall) async throws -> GuardedProcess.Outcome {
        do {
            return try await process.run(
                program,
                environment: environment.environment(for: call),
                input: call.arguments
            )
        } catch let error as SubprocessError {
            throw Self.failure(program, error)
        }
    }

    /// What to call it when a program could not be run at all.
    private static func failure(_ program: String, _ error: SubprocessError) -> HandlerFailure {
        switch error.underlyingError {
        case .noSuchFileOrDirectory? where FileStatus(program) != nil:
            // Subprocess says so of whatever may be different with another path, as when it isn't allowed.
            HandlerFailure(
                name: "Handler Not Executable",
                message: "\(program): it, or the interpreter it names, can't be run"
            )
        case .noSuchFileOrDirectory?:
            HandlerFailure(name: "Handler Missing", message: "\(program): no such file")
        case Errno(rawValue: ENOEXEC)?:
            HandlerFailure(
                name: "Handler Not Executable",
                message: "\(program): neither a program for this machine nor a script that names its interpreter (#!)"
            )
        case let reason:
            HandlerFailure(name: "Spawn Failed", message: "\(program): \(reason.map { "\($0)" } ?? "\(error)")")
        }
    }
}
