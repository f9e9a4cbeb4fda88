import Foundation
import Synchronization

/// A process that ends when this object goes, and when the test process does, even by SIGKILL.
///
/// Its signal mask and dispositions are those of a fresh shell: the threads that run tests block signals, and a child would
/// inherit that. (Foundation's `Process` can't do it; it also holds a process for running as long as anybody has
/// inherited a socket of its own.)
package final class ChildProcess: Sendable {
    package enum Exit: Sendable, Equatable {
        case status(Int32)
        case signal(Int32)
    }

    private struct State {
        var exit: Exit?
        /// The writing end of a pipe that is held open as long as the process is to live.
        var lifeline: Int32
    }

    package let pid: Int32
    private let state: Mutex<State>

    /// - Parameters:
    ///   - words: the program's path and its arguments.
    ///   - log: the file that gets standard output and standard error.
    ///   - preparation: lines of the shell that becomes the program.
    package init(_ words: [String], environment: [String], log: String, preparation: [String] = []) throws {
        // The shell becomes the program. Before, it leaves behind a process that reads the lifeline, whose end it sees
        // when the test process is gone, however it went.
        let script =
            preparation.map { $0 + "\n" }.joined() + """
                program=$$
                ( exec >/dev/null 2>&1; (cat <&3; kill -9 $program) & )
                exec "$@" 3<&-
                """
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw RedisServer.Failure(description: "no pipe: errno \(errno)") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { close(ends[0]) }
        do {
            pid = try Self.spawn(["/bin/sh", "-c", script, "sh"] + words, environment, log: log, lifeline: ends[0])
        } catch {
            close(ends[1])
            throw error
        }
        state = Mutex(State(lifeline: ends[1]))
    }

    deinit {
        kill()
    }

    /// How it ended; nil while it runs.
    package var exit: Exit? { state.withLock { look(&$0) } }

    /// Sends a signal, unless the process has ended.
    func signal(_ number: Int32) {
        state.withLock { state in
            if look(&state) == nil { Foundation.kill(pid, number) }
        }
    }

    /// Ends the process as `kill -9` does, and waits until it is gone.
    package func kill() {
        state.withLock { state in
            if look(&state) == nil {
                Foundation.kill(pid, SIGKILL)
                state.exit = exit(from: wait(0) ?? SIGKILL)
            }
            if state.lifeline >= 0 { close(state.lifeline) }
            state.lifeline = -1
        }
    }

    private func look(_ state: inout State) -> Exit? {
        if state.exit == nil, let status = wait(WNOHANG) { state.exit = exit(from: status) }
        return state.exit
    }

    private func wait(_ options: Int32) -> Int32? {
        var status: Int32 = 0
        var result: Int32
        repeat { result = waitpid(pid, &status, options) } while result < 0 && errno == EINTR
        return result == pid ? status : nil
    }

    private func exit(from status: Int32) -> Exit {
        status & 0x7F == 0 ? .status((status >> 8) & 0xFF) : .signal(status & 0x7F)
    }

    private static func spawn(
        _ words: [String],
        _ environment: [String],
        log: String,
        lifeline: Int32
    ) throws -> Int32 {
        #if os(Linux)
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        #else
        var actions: posix_spawn_file_actions_t?
        var attributes: posix_spawnattr_t?
        #endif
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        posix_spawn_file_actions_adddup2(&actions, lifeline, 3)

        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF))

        var arguments = words.map { strdup($0) } + [nil]
        var variables = environment.map { strdup($0) } + [nil]
        defer { for text in arguments + variables { free(text) } }
        var pid: pid_t = 0
        let failure = posix_spawn(&pid, words[0], &actions, &attributes, &arguments, &variables)
        guard failure == 0 else {
            throw RedisServer.Failure(description: "\(words[0]) was not started: \(String(cString: strerror(failure)))")
        }
        return pid
    }
}
