import Foundation
import Synchronization

/// One of this package's executables as a process of its own, with a log file.
///
/// It ends when this object goes, and when the test process does, even by SIGKILL.
package final class Program: Sendable {
    package enum Exit: Sendable, Equatable {
        case status(Int32)
        case signal(Int32)
    }

    private struct State {
        var exit: Exit?
        /// The writing end of a pipe that is held open as long as the process is to live.
        var lifeline: Int32
    }

    package let name: String
    package let pid: Int32
    /// Where its standard output and standard error go.
    package let logPath: String
    private let state: Mutex<State>

    /// Starts an executable that was built beside the tests.
    ///
    /// - Parameters:
    ///   - environment: what is added to the environment of the tests, less what would change its settings.
    ///   - limits: settings of the shell's `ulimit`, such as `["-n 20"]`.
    package init(
        _ name: String,
        _ arguments: [String] = [],
        environment: [String: String] = [:],
        limits: [String] = []
    ) throws {
        self.name = name
        logPath = "/tmp/bg-\(name)-\(UInt32.random(in: 0 ... .max)).log"
        let executable = Self.folder + "/" + name
        guard FileManager.default.isExecutableFile(atPath: executable) else {
            throw RedisServer.Failure(description: "\(executable) is missing: swift build --product \(name)")
        }
        // The shell becomes the program. Before, it leaves behind a process that reads the lifeline, whose end it sees
        // when the test process is gone, however it went.
        let script =
            limits.map { "ulimit \($0)\n" }.joined() + """
                program=$$
                ( exec >/dev/null 2>&1; (cat <&3; kill -9 $program) & )
                exec "$@" 3<&-
                """
        let (lifelineEnd, lifeline) = try Self.pipe()
        defer { close(lifelineEnd) }
        do {
            pid = try Spawn.run(
                ["/bin/sh", "-c", script, "sh", executable] + arguments,
                environment: Self.environment(adding: environment),
                log: logPath,
                lifeline: lifelineEnd
            )
        } catch {
            close(lifeline)
            throw error
        }
        state = Mutex(State(lifeline: lifeline))
    }

    deinit {
        kill()
        try? FileManager.default.removeItem(atPath: logPath)
    }

    // MARK: Signals and the end

    /// Sends a signal, unless the process has ended.
    package func signal(_ number: Int32) {
        state.withLock { state in
            _ = Self.look(at: pid, &state)
            if state.exit == nil { Foundation.kill(pid, number) }
        }
    }

    /// Ends the process as `kill -9` does, and waits until it is gone.
    package func kill() {
        state.withLock { state in
            if state.exit == nil {
                Foundation.kill(pid, SIGKILL)
                state.exit = Self.exit(from: Self.wait(for: pid, options: 0) ?? SIGKILL)
            }
            if state.lifeline >= 0 { close(state.lifeline) }
            state.lifeline = -1
        }
    }

    /// Whether the process runs.
    package var isRunning: Bool { state.withLock { Self.look(at: pid, &$0) == nil } }

    /// Waits for the process to end.
    package func exit(within limit: Duration = .seconds(60)) async throws -> Exit {
        try await eventually("\(name) ends\n\(log.suffix(3000))", within: limit) {
            state.withLock { Self.look(at: pid, &$0) }
        }
    }

    // MARK: What it says

    /// All that it has written so far.
    package var log: String {
        (try? Data(contentsOf: URL(fileURLWithPath: logPath))).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// How many lines of the log hold this text.
    package func count(of text: String) -> Int {
        log.split(separator: "\n").count { $0.contains(text) }
    }

    /// Waits for a line with this text in it.
    ///
    /// - Parameter count: how many such lines.
    @discardableResult
    package func logged(_ text: String, count: Int = 1, within limit: Duration = .seconds(60)) async throws -> String {
        do {
            return try await eventually("“\(text)” in the log of \(name)", within: limit) {
                let lines = log.split(separator: "\n").filter { $0.contains(text) }
                if lines.count >= count { return String(lines[count - 1]) }
                if !isRunning { throw TookTooLong(description: "\(name) ended before it said “\(text)”") }
                return nil
            }
        } catch {
            throw TookTooLong(description: "\(error); the log ends:\n\(log.suffix(3000))")
        }
    }

    // MARK: Starting

    /// The folder that the executables and the tests are built in.
    package static let folder: String = {
        #if os(Linux)
        let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        #else
        let tests = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }?.bundleURL ?? Bundle.main.bundleURL
        #endif
        return tests.deletingLastPathComponent().path
    }()

    private static func environment(adding own: [String: String]) -> [String] {
        var all = ProcessInfo.processInfo.environment
        for name in ["REDIS_URL", "BG_NAMESPACE"] { all[name] = nil }
        all.merge(own) { $1 }
        return all.map { "\($0)=\($1)" }
    }

    private static func pipe() throws -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [0, 0]
        guard Foundation.pipe(&ends) == 0 else { throw RedisServer.Failure(description: "no pipe: errno \(errno)") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static func look(at pid: Int32, _ state: inout State) -> Exit? {
        if state.exit == nil, let status = wait(for: pid, options: WNOHANG) { state.exit = exit(from: status) }
        return state.exit
    }

    private static func wait(for pid: Int32, options: Int32) -> Int32? {
        var status: Int32 = 0
        var result: Int32
        repeat { result = waitpid(pid, &status, options) } while result < 0 && errno == EINTR
        return result == pid ? status : nil
    }

    private static func exit(from status: Int32) -> Exit {
        status & 0x7F == 0 ? .status((status >> 8) & 0xFF) : .signal(status & 0x7F)
    }
}
