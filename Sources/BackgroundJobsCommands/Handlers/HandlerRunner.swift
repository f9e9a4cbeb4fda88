@preconcurrency import Glibc
internal import Subprocess
internal import Synchronization

#if canImport(System)
internal import System
#else
internal import SystemPackage
#endif

/// Runs handler programs: one process, and one process group, for each attempt.
///
/// 1. Waits for a guardian, then starts the program: without a shell, without arguments, in the worker's working directory,
///    and with no other descriptors than the standard ones.
/// 2. Writes the job's arguments to its standard input. It may read them or not.
/// 3. Keeps the end of what it writes to stderr. Its stdout is discarded: a handler's results belong where its callers look
///    for them, and what it has to say belongs on stderr.
/// 4. When the program has ended, ends with SIGKILL what is left of its process group, so that no grandchild holds up the job or
///    goes on behind the worker's back; then tells the guardian, then reaps.
/// 5. Cancelled, it sends SIGTERM to the group, and SIGKILL after a while.
package struct HandlerRunner: Sendable {
    private let directory: HandlerDirectory
    private let environment: HandlerEnvironment
    private let guardian: Guardian
    private let killAfter: Duration

    /// - Parameters:
    ///   - node: The worker's node name; handlers see it as `BG_NODE`.
    ///   - killAfter: What a cancelled program has between SIGTERM and SIGKILL.
    package init(directory: HandlerDirectory, node: String, guardian: Guardian, killAfter: Duration = .seconds(10)) {
        self.directory = directory
        self.guardian = guardian
        self.killAfter = killAfter
        environment = HandlerEnvironment(node: node, marker: guardian.marker)
    }

    /// Runs one attempt, and returns when it has succeeded: exit code 0.
    ///
    /// - Throws: ``HandlerFailure``, or `CancellationError` if the task was cancelled, whatever the program made of the signal.
    package func run(_ call: HandlerCall) async throws {
        let program = try directory.program(for: call.className)
        try await guardian.ready()
        try Task.checkCancellation()
        let (status, message) = try await execute(program, call)
        try Task.checkCancellation()
        switch status {
        case .exited(0):
            return
        case .exited(let code):
            throw HandlerFailure(name: "Exit \(code)", message: message)
        case .signaled(let number):
            throw HandlerFailure(name: "Signal \(number)", message: message)
        }
    }

    private func execute(_ program: String, _ call: HandlerCall) async throws -> (TerminationStatus, String) {
        var options = PlatformOptions()
        options.processGroupID = 0
        options.teardownSequence = [
            .send(signal: .terminate, toProcessGroup: true, allowedDurationToNextStep: killAfter)
        ]
        let configuration = Configuration(
            executable: .path(FilePath(program)),
            environment: environment.environment(for: call),
            platformOptions: options
        )
        let room = try SpawnRoom()
        do {
            let outcome = try await Subprocess.run(
                configuration,
                input: .inputWriter,
                output: .discarded,
                error: .sequence
            ) { execution in
                room.leave()
                return try await attend(execution, call.arguments)
            }
            return (outcome.terminationStatus, outcome.closureResult.message)
        } catch let error as SubprocessError {
            throw Self.failure(program, error)
        }
    }

    /// Stays with a program until it has ended, and returns the end of its stderr.
    private func attend(
        _ execution: Execution<CustomWriteInput, DiscardedOutput, SequenceOutput>,
        _ arguments: [UInt8]
    ) async throws -> StandardErrorTail {
        let group = execution.processIdentifier.value
        guardian.register(group)
        // Its leader is not reaped before this function has returned, so the number still is the group's.
        defer {
            kill(-group, SIGKILL)
            guardian.unregister(group)
        }
        let hasEnded = Flag()
        return try await withThrowingTaskGroup(of: StandardErrorTail?.self) { tasks in
            tasks.addTask {
                await Self.feed(arguments, to: execution.standardInputWriter)
                return nil
            }
            tasks.addTask {
                await Self.tail(of: execution.standardError, hasEnded)
            }
            try await ProcessExits.shared.end(of: execution.processIdentifier)
            kill(-group, SIGKILL)
            hasEnded.raise()
            var tail = StandardErrorTail()
            for try await result in tasks {
                tail = result ?? tail
            }
            return tail
        }
    }

    private static func feed(_ arguments: [UInt8], to input: StandardInputWriter) async {
        // A program that doesn't read, or closes its input, is free to: what it makes of the job is in its exit code.
        // One that is being cancelled doesn't get to see the end of half its arguments.
        let written = try? await input.write(arguments)
        if written == nil || written == arguments.count {
            try? await input.finish()
        }
    }

    private static func tail(of output: SubprocessOutputSequence, _ hasEnded: Flag) async -> StandardErrorTail {
        var tail = StandardErrorTail()
        // A grandchild that has left the process group may go on writing for ever.
        var patience = 1 << 20
        do {
            for try await chunk in output {
                chunk.withUnsafeBytes { tail.append($0) }
                patience -= hasEnded.isRaised ? chunk.count : 0
                if patience < 0 {
                    break
                }
            }
        } catch {
            // What has been read is what there is to show.
        }
        return tail
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

/// A flag that tasks share, raised once.
private final class Flag: Sendable {
    private let raised = Atomic(false)

    var isRaised: Bool { raised.load(ordering: .relaxed) }

    func raise() { raised.store(true, ordering: .relaxed) }
}
