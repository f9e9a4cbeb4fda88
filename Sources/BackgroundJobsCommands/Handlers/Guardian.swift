@preconcurrency import Glibc
public import Logging
internal import Subprocess
internal import Synchronization

#if canImport(System)
internal import System
#else
internal import SystemPackage
#endif

/// Sees to it that no handler program outlives its worker, even one that is ended by SIGKILL.
///
/// A second, small process holds the reading end of a pipe from the worker. It is told of the process group of each
/// handler. When the pipe ends without a farewell, the worker is gone, and it ends them all (``GuardianProcess``).
///
/// 1. No handler starts before the guardian has said that it is there (``ready()``).
/// 2. A worker may be ended between the start of a handler and telling of it. So each handler carries ``marker`` in its
///    environment, where the guardian finds it.
/// 3. A process group is reported as ended while its leader is still to be reaped: until then the system gives its number
///    to nobody else, so the guardian never ends a stranger.
/// 4. If the guardian dies, another takes its place and is told of the groups that are running.
public final class Guardian: Sendable {
    /// Why there is no guardian.
    package struct Failure: Error, CustomStringConvertible {
        package var description: String
    }

    private enum Phase {
        /// There is none; `pipe` is open while one is being started.
        case absent(pipe: CInt?)
        case present(pipe: CInt, process: pid_t)
        /// None will come any more.
        case over
    }

    private struct State {
        var phase = Phase.absent(pipe: nil)
        var groups: Set<pid_t> = []
        var waiters: [Int: CheckedContinuation<Void, any Error>] = [:]
        var lastWaiter = 0

        var pipe: CInt? {
            switch phase {
            case .absent(let pipe): pipe
            case .present(let pipe, _): pipe
            case .over: nil
            }
        }

        mutating func takeWaiters() -> [CheckedContinuation<Void, any Error>] {
            defer { waiters = [:] }
            return Array(waiters.values)
        }
    }

    private let state = Mutex(State())
    private let executable: String
    private let logger: Logger
    /// The mark of this worker's handlers, `NAME=value`: random, so that it is found on nothing else.
    let marker: String

    private init(executable: String, logger: Logger) {
        self.executable = executable
        self.logger = logger
        marker = GuardianProcess.marker(String(UInt64.random(in: .min ... .max), radix: 36))
    }

    /// Becomes the guardian, and never returns, where the program was started as one.
    ///
    /// Call this first in `main`, before anything is opened or started: the guardian is the worker's own program, run
    /// again with a hidden argument.
    public static func runIfAsked() {
        let arguments = CommandLine.arguments
        if arguments.count == 3, arguments[1] == GuardianProcess.argument {
            GuardianProcess(marker: arguments[2]).run()
        }
    }

    /// Runs a closure with a guardian at its side.
    ///
    /// Writing to a program that doesn't read would end this process: SIGPIPE is ignored from here on.
    ///
    /// - Parameters:
    ///   - executable: A program whose `main` calls ``runIfAsked()``. By default the one that is running, even where its
    ///     file has been replaced meanwhile.
    ///   - logger: Told when a guardian had to be replaced.
    /// - Throws: What `body` throws, or `Guardian.Failure` where no guardian can be started.
    public static func with<Result: Sendable>(
        executable: String = "/proc/self/exe",
        logger: Logger,
        _ body: (Guardian) async throws -> Result
    ) async throws -> Result {
        signal(SIGPIPE, SIG_IGN)
        let guardian = Guardian(executable: executable, logger: logger)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await guardian.supervise() }
            defer { guardian.dismiss() }
            try await guardian.ready()
            return try await body(guardian)
        }
    }

    /// Waits until there is a living guardian: at once but for the short while in which one is replaced.
    func ready() async throws {
        let waiter = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result: Swift.Result<Void, any Error>? = state.withLock { state in
                    if Task.isCancelled {
                        return .failure(CancellationError())
                    }
                    switch state.phase {
                    case .present:
                        return .success(())
                    case .over:
                        return .failure(Failure(description: "no guardian for handler programs"))
                    case .absent:
                        state.waiters[waiter] = continuation
                        return nil
                    }
                }
                if let result {
                    continuation.resume(with: result)
                }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: waiter) }?.resume(throwing: CancellationError())
        }
    }

    /// Tells the guardian of a process group that has just been started.
    func register(_ group: pid_t) {
        state.withLock { state in
            state.groups.insert(group)
            Self.tell("+\(group)\n", state)
        }
    }

    /// Tells the guardian that a process group has ended. Its leader must not have been reaped yet.
    func unregister(_ group: pid_t) {
        state.withLock { state in
            state.groups.remove(group)
            Self.tell("-\(group)\n", state)
        }
    }

    /// The guardian's process, for tests.
    var process: pid_t? {
        state.withLock { state in
            guard case .present(_, let process) = state.phase else {
                return nil
            }
            return process
        }
    }

    // MARK: - Starting and replacing

    /// Keeps a guardian running until it is dismissed.
    private func supervise() async {
        var wasEverPresent = false
        var failures = 0
        while !Task.isCancelled, !isOver {
            let (wasPresent, reason) = await runGuardian()
            if isOver {
                return
            }
            wasEverPresent = wasEverPresent || wasPresent
            failures = wasPresent ? 0 : failures + 1
            logger.warning("The guardian of the handler programs ended", metadata: ["reason": "\(reason)"])
            if !wasEverPresent, failures == 3 {
                return end(because: "the guardian of the handler programs can't be started: \(reason)")
            }
            try? await Task.sleep(for: .milliseconds(min(50 << min(failures, 7), 5000)))
        }
        end(because: "the worker is ending")
    }

    /// The life of one guardian: whether it was ever there, and why it ended.
    private func runGuardian() async -> (wasPresent: Bool, reason: String) {
        guard let room = try? SpawnRoom(), let pipe = Pipe.open() else {
            return (false, "no descriptors are left")
        }
        guard adopt(pipe: pipe.write) else {
            close(pipe.read)
            return (false, "dismissed")
        }
        defer { lose() }
        do {
            let outcome = try await run(
                configuration,
                input: .fileDescriptor(FileDescriptor(rawValue: pipe.read), closeAfterSpawningProcess: true),
                output: .sequence,
                error: .discarded
            ) { execution in
                room.leave()
                let process = execution.processIdentifier
                var output = execution.standardOutput.makeAsyncIterator()
                let greeting = try await output.next()?.withUnsafeBytes { Array($0) } ?? []
                let isPresent = greeting == Array(GuardianProcess.greeting.utf8)
                if isPresent {
                    welcome(process.value)
                } else if !Task.isCancelled {
                    try? execution.send(signal: .kill)
                }
                try await ProcessExits.shared.end(of: process)
                lose()
                return isPresent
            }
            return (outcome.closureResult, "\(outcome.terminationStatus)")
        } catch {
            return (false, "\(error)")
        }
    }

    private var configuration: Configuration {
        var options = PlatformOptions()
        // Ctrl-C at the terminal is for the worker: the guardian ends after it, never before.
        options.createSession = true
        // Where the worker is cancelled its handlers are still ending: the guardian leaves when the pipe does. So the
        // first step of its teardown is to wait, with a signal that is none.
        options.teardownSequence = [
            .send(signal: Signal(rawValue: 0), allowedDurationToNextStep: .seconds(24 * 3600))
        ]
        return Configuration(
            executable: .path(FilePath(executable)),
            arguments: Arguments(
                executablePathOverride: CommandLine.arguments.first,
                remainingValues: [GuardianProcess.argument, marker]
            ),
            // A worker that is itself a handler's child carries the mark of another guardian, which would end this one.
            environment: .inherit.updating([.init(stringLiteral: GuardianProcess.variable): nil]),
            platformOptions: options
        )
    }

    private var isOver: Bool {
        state.withLock { state in
            guard case .over = state.phase else {
                return false
            }
            return true
        }
    }

    /// Takes the pipe to a guardian that is about to be started, and writes down what it has to know.
    private func adopt(pipe: CInt) -> Bool {
        state.withLock { state in
            guard case .absent = state.phase else {
                close(pipe)
                return false
            }
            state.phase = .absent(pipe: pipe)
            Self.tell(state.groups.map { "+\($0)\n" }.joined(), state)
            return true
        }
    }

    /// The guardian has said that it is there.
    private func welcome(_ process: pid_t) {
        let waiters = state.withLock { state in
            if case .absent(let pipe?) = state.phase {
                state.phase = .present(pipe: pipe, process: process)
            }
            return state.takeWaiters()
        }
        for waiter in waiters {
            waiter.resume()
        }
    }

    /// The guardian is gone.
    private func lose() {
        state.withLock { state in
            if let pipe = state.pipe {
                close(pipe)
                state.phase = .absent(pipe: nil)
            }
        }
    }

    /// Lets the guardian go.
    private func dismiss() {
        state.withLock { state in
            // Without a farewell it ends what is still running.
            if state.groups.isEmpty {
                Self.tell(GuardianProcess.farewell, state)
            }
        }
        end(because: "the worker is ending")
    }

    private func end(because reason: String) {
        let waiters = state.withLock { state in
            if let pipe = state.pipe {
                close(pipe)
            }
            state.phase = .over
            return state.takeWaiters()
        }
        for waiter in waiters {
            waiter.resume(throwing: Failure(description: reason))
        }
    }

    private static func tell(_ text: String, _ state: borrowing State) {
        guard let pipe = state.pipe, write(pipe, text, text.utf8.count) < 0, errno == EAGAIN else {
            return
        }
        // Thousands of lines unread: it is stopped or stuck, and as good as dead. It is replaced when it is.
        if case .present(_, let process) = state.phase {
            kill(process, SIGKILL)
        }
    }
}
