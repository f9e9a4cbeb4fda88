import Foundation
import Logging
import Testing

@testable import BackgroundJobsCommands

/// Everything about handler programs.
@Suite struct Handlers {}

/// A folder of handler programs that is gone when the test is over.
final class ProgramFolder: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("handlers-\(UUID())").path
        try FileManager.default.createDirectory(
            atPath: path,
            withIntermediateDirectories: false,
            attributes: [.posixPermissions: 0o755]
        )
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func file(_ name: String, _ text: String = "#!/bin/sh\n", mode: Int = 0o755) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path + "/" + name))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path + "/" + name)
    }

    func folder(_ name: String, mode: Int = 0o755) throws {
        try FileManager.default.createDirectory(atPath: path + "/" + name, withIntermediateDirectories: false)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path + "/" + name)
    }

    func link(_ name: String, to target: String) throws {
        try FileManager.default.createSymbolicLink(atPath: path + "/" + name, withDestinationPath: target)
    }

    /// What a handler has written to a file beside it; `nil` as long as that isn't complete, which a newline says.
    func note(_ name: String) -> String? {
        guard let text = try? String(contentsOfFile: path + "/" + name, encoding: .utf8), text.hasSuffix("\n") else {
            return nil
        }
        return String(text.dropLast())
    }
}

/// The worker-like program that is built beside the tests, and whose executable serves as the guardian.
let harness = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    .deletingLastPathComponent().appendingPathComponent("handler-harness").path

func withRunner<Result: Sendable>(
    _ folder: ProgramFolder,
    killAfter: Duration = .seconds(10),
    _ body: (HandlerRunner, Guardian) async throws -> Result
) async throws -> Result {
    let directory = try HandlerDirectory(path: folder.path)
    return try await Guardian.with(executable: harness, logger: Logger(label: "test")) { guardian in
        let runner = HandlerRunner(directory: directory, node: "node-1", guardian: guardian, killAfter: killAfter)
        return try await body(runner, guardian)
    }
}

func call(_ className: String, arguments: [UInt8] = Array("{}".utf8), attemptID: String = "attempt-1") -> HandlerCall {
    HandlerCall(
        jobID: "job-1",
        attemptID: attemptID,
        queue: "mail",
        className: className,
        attempt: 2,
        arguments: arguments
    )
}

struct TookTooLong: Error {}

/// Looks until there is a value.
func eventually<Value>(within limit: Duration = .seconds(20), _ look: () -> Value?) async throws -> Value {
    let deadline = ContinuousClock.now + limit
    while true {
        if let value = look() {
            return value
        }
        guard ContinuousClock.now < deadline else {
            throw TookTooLong()
        }
        try await Task.sleep(for: .milliseconds(5))
    }
}

func isAlive(_ process: pid_t) -> Bool {
    // A zombie has ended; whoever is its parent here may take its time.
    guard let status = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
        let name = status.lastIndex(of: ")")
    else {
        return false
    }
    return !status[name...].hasPrefix(") Z")
}

func hasEnded(_ process: pid_t, within limit: Duration = .seconds(20)) async throws {
    try await eventually(within: limit) { isAlive(process) ? nil : () }
}

/// The processes whose environment has an entry.
func processes(with entry: String) -> [pid_t] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { pid_t($0) }.filter { process in
        guard let environment = FileManager.default.contents(atPath: "/proc/\(process)/environ") else {
            return false
        }
        return environment.split(separator: 0).contains { $0.elementsEqual(entry.utf8) }
    }
}
