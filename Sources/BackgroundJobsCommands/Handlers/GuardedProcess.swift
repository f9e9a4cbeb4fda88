internal import BackgroundJobs
@preconcurrency import Glibc
internal import Subprocess
internal import Synchronization

#if canImport(System)
internal import System
#else
internal import SystemPackage
#endif

/// A process of its own, and a process group of its own, that does not outlive its worker.
///
/// 1. Waits for a guardian, then starts the program: in the worker's working directory, and with no other descriptors than
///    the standard ones.
/// 2. Writes to its standard input. It may read that or not.
/// 3. Keeps the end of what it writes to stderr. Its stdout is discarded: results belong where callers look for them, and
///    what it has to say belongs on stderr.
/// 4. When the program has ended, ends with SIGKILL what is left of its process group, so that no grandchild holds up the job or
///    goes on behind the worker's back; then tells the guardian, then reaps.
/// 5. Cancelled, it sends SIGTERM to the group, and SIGKILL after a while.
struct GuardedProcess: Sendable {
    typealias Outcome = (status: TerminationStatus, message: String)

    let guardian: Guardian
    /// What a cancelled program has between SIGTERM and SIGKILL.
    let killAfter: Duration

    /// Runs a program to its end.
    ///
    /// - Returns: how it ended, and the end of what it wrote to stderr.
    /// - Throws: `SubprocessError` if it could not be run. `CancellationError` if the task was cancelled, whatever the program
    ///   made of the signal, or ``ProgramStopped`` if it had written to stderr by then.
    func run(
        _ program: String,
        arguments: [String] = [],
        environment: Environment,
        input: [UInt8]
    ) async throws -> Outcome {
        try await guardian.ready()
        try Task.checkCancellation()
        var options = PlatformOptions()
        options.processGroupID = 0
        options.teardownSequence = [
            .send(signal: .terminate, toProcessGroup: true, allowedDurationToNextStep: killAfter)
        ]
        let configuration = Configuration(
            executable: .path(FilePath(program)),
            arguments: Arguments(arguments),
            environment: environment,
            platformOptions: options
        )
        let room = try SpawnRoom()
        let outcome = try await Subprocess.run(
            configuration,
            input: .inputWriter,
            output: .discarded,
            error: .sequence
        ) { execution in
            room.leave()
            return try await attend(execution, input)
        }
        let message = outcome.closureResult.message
        if Task.isCancelled, !message.isEmpty { throw ProgramStopped(failureMessage: message) }
        try Task.checkCancellation()
        return (outcome.terminationStatus, message)
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
        let hasEnded = RaisedOnce()
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

    private static func tail(of output: SubprocessOutputSequence, _ hasEnded: RaisedOnce) async -> StandardErrorTail {
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
}

/// A flag that tasks share, raised once.
final class RaisedOnce: Sendable {
    private let raised = Atomic(false)

    var isRaised: Bool { raised.load(ordering: .relaxed) }

    func raise() { raised.store(true, ordering: .relaxed) }
}
