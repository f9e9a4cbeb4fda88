import Foundation

/// One of this package's executables as a process of its own, with a log file.
///
/// It ends when this object goes, and when the test process does, even by SIGKILL.
package final class Program: Sendable {
    package enum Exit: Sendable, Equatable {
        case status(Int32)
        case signal(Int32)
    }

    package let name: String
    /// Where its standard output and standard error go.
    package let logPath: String
    private let child: ChildProcess

    package var pid: Int32 { child.pid }

    /// Starts an executable that was built beside the tests.
    ///
    /// - Parameters:
    ///   - environment: what is added to the environment of the tests, less what would change its settings.
    ///   - limits: settings of the shell's `ulimit`, such as `["-n 20"]`.
    package convenience init(
        _ name: String,
        _ arguments: [String] = [],
        environment: [String: String] = [:],
        limits: [String] = []
    ) throws {
        try self.init(name, arguments, environment: environment, preparation: limits.map { "ulimit \($0)" })
    }

    /// Starts an executable that was built beside the tests by way of another program.
    ///
    /// - Parameter words: that program's path, and what it is told before the path of the executable.
    package convenience init(
        _ name: String,
        _ arguments: [String],
        under words: [String],
        limits: [String] = []
    ) throws {
        try self.init(name, arguments, environment: [:], preparation: limits.map { "ulimit \($0)" }, under: words)
    }

    private init(
        _ name: String,
        _ arguments: [String],
        environment: [String: String],
        preparation: [String],
        under words: [String] = []
    ) throws {
        self.name = name
        logPath = Files.path(name) + ".log"
        let executable = Self.folder + "/" + name
        guard FileManager.default.isExecutableFile(atPath: executable) else {
            throw RedisServer.Failure(description: "\(executable) is missing: swift build --product \(name)")
        }
        child = try ChildProcess(
            words + [executable] + arguments,
            environment: Self.environment(adding: environment),
            log: logPath,
            preparation: preparation
        )
    }

    deinit {
        kill()
        Files.remove(logPath)
    }

    // MARK: Signals and the end

    /// Sends a signal, unless the process has ended.
    package func signal(_ number: Int32) { child.signal(number) }

    /// Ends the process as `kill -9` does, and waits until it is gone.
    package func kill() { child.kill() }

    /// Whether the process runs.
    package var isRunning: Bool { child.exit == nil }

    /// Waits for the process to end.
    package func exit(within limit: Duration = .seconds(60)) async throws -> Exit {
        do {
            return try await eventually("\(name) ends", within: limit) { child.exit.map(Exit.init) }
        } catch {
            throw TookTooLong(description: "\(error); the log ends:\n\(log.suffix(3000))")
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

    // MARK: Programs that soon end

    /// What a program wrote, and how it ended.
    package struct Outcome: Sendable {
        package let exit: Exit
        package let output: String
        package let error: String

        /// The lines of standard output.
        package var lines: [String] { output.split(separator: "\n").map(String.init) }
    }

    /// Runs an executable that was built beside the tests to its end.
    ///
    /// - Parameters:
    ///   - input: what it reads from standard input.
    ///   - limit: how long it may take.
    package static func run(
        _ name: String,
        _ arguments: [String],
        environment: [String: String] = [:],
        input: String = "",
        within limit: Duration = .seconds(60)
    ) async throws -> Outcome {
        let path = Files.path(name)
        defer { for kind in ["in", "out"] { Files.remove("\(path).\(kind)") } }
        try Data(input.utf8).write(to: URL(fileURLWithPath: "\(path).in"))
        let program = try Program(
            name,
            arguments,
            environment: environment,
            preparation: ["exec <\(path).in >\(path).out"]
        )
        let exit = try await program.exit(within: limit)
        let output = try Data(contentsOf: URL(fileURLWithPath: "\(path).out"))
        return Outcome(exit: exit, output: String(decoding: output, as: UTF8.self), error: program.log)
    }

    // MARK: Starting

    /// The path of a program that is installed; nil: there is none.
    package static func find(_ program: String) -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        return path.split(separator: ":").map { "\($0)/\(program)" }.first {
            FileManager.default.isExecutableFile(atPath: $0)
        }
    }

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
}

extension Program.Exit {
    init(_ exit: ChildProcess.Exit) {
        switch exit {
        case .status(let status): self = .status(status)
        case .signal(let signal): self = .signal(signal)
        }
    }
}
