import Foundation

/// What a child says of itself.
struct Usage: Codable, Sendable {
    /// CPU time since its worker or watcher began, in seconds.
    var cpu: Double
    /// Memory in use, in MB.
    var memory: Double
    /// How long jobs took from their call to their first line, in ms, since it was asked last.
    var p50: Double
    var p99: Double
    var most: Double
}

/// A worker or watcher in a process of its own: this very program, started once more.
///
/// Each line that it is sent it answers with its usage; it stops when its standard input ends, thus also when this process
/// is gone.
final class Child: Sendable {
    private let process: Process
    private let input: FileHandle
    private let output: FileHandle

    init(_ arguments: [String]) throws {
        let (input, output) = (Pipe(), Pipe())
        process = Process()
        process.executableURL = URL(fileURLWithPath: Bundle.main.executablePath ?? CommandLine.arguments[0])
        process.arguments = arguments
        process.standardInput = input
        process.standardOutput = output
        self.input = input.fileHandleForWriting
        self.output = output.fileHandleForReading
        // Else a child that is started later would hold this one's input open.
        for handle in [self.input, self.output] { _ = fcntl(handle.fileDescriptor, F_SETFD, FD_CLOEXEC) }
        try process.run()
    }

    deinit {
        // One that a benchmark has left behind when it failed: it must not work for the next one.
        if process.isRunning { Foundation.kill(process.processIdentifier, SIGKILL) }
    }

    /// Asks for its usage.
    func usage() async throws -> Usage {
        try input.write(contentsOf: Data("\n".utf8))
        return try await answer()
    }

    /// Waits until it has ended by itself.
    func end() async throws -> Usage {
        let usage = try await answer()
        try await leave()
        return usage
    }

    /// Has it stop, and waits.
    @discardableResult
    func stop() async throws -> Usage {
        try input.close()
        return try await end()
    }

    /// Ends it at once, whatever it does.
    func kill() async {
        Foundation.kill(process.processIdentifier, SIGKILL)
        await blocking { self.process.waitUntilExit() }
    }

    private func leave() async throws {
        await blocking { self.process.waitUntilExit() }
        guard process.terminationStatus == 0 else {
            throw Failure("\(process.arguments ?? []) ended with \(process.terminationStatus).")
        }
    }

    private func answer() async throws -> Usage {
        let line = await blocking { self.readLine() }
        guard !line.isEmpty else {
            try await leave()
            throw Failure("\(process.arguments ?? []) has ended.")
        }
        return try JSONDecoder().decode(Usage.self, from: line)
    }

    private func readLine() -> Data {
        var line = Data()
        var byte: UInt8 = 0
        while read(output.fileDescriptor, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
        return line
    }

    /// Waits on a thread that is not one of Swift's pool.
    private func blocking<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            Thread { continuation.resume(returning: body()) }.start()
        }
    }
}

/// A measurement that is none.
struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
