import BackgroundJobs
import Foundation
import TestSupport
import Testing

extension CLI {
    @Suite("version, verbosity and quickstart") struct Version {
        @Test("--version is that of the library", arguments: ["bg-worker", "bg-watcher", "bg-cli"])
        func version(program: String) async throws {
            let ran = try await Program.run(program, ["--version"])
            #expect(ran.exit == .status(0) && ran.error == "" && ran.lines == [LibraryVersion.current])
        }

        @Test("-v tells the server and the time taken")
        func verbose() async throws {
            try await CLIBench.with { bench in
                let plain = try await bench.cli("queue", "list")
                #expect(plain.error == "There are no queues here yet.\n")
                let ran = try await bench.cli("queue", "list", "-v")
                #expect(ran.error.contains("namespace \(bench.namespace), "))
            }
        }

        @Test("quickstart explains itself, and refuses what it does not know")
        func quickstart() throws {
            let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../../cli/quickstart")
            func run(_ option: String) throws -> (status: Int32, output: String) {
                let process = Process()
                let (output, error) = (Pipe(), Pipe())
                process.executableURL = URL(filePath: "/usr/bin/env")
                process.arguments = ["bash", script.standardizedFileURL.path, option]
                process.standardOutput = output
                process.standardError = error
                try process.run()
                let text =
                    output.fileHandleForReading.readDataToEndOfFile() + error.fileHandleForReading.readDataToEndOfFile()
                process.waitUntilExit()
                return (process.terminationStatus, String(decoding: text, as: UTF8.self))
            }
            let help = try run("--help")
            #expect(help.status == 0 && help.output.contains("./cli/quickstart --keep"))
            let unknown = try run("--fast")
            #expect(unknown.status == 64 && unknown.output.contains("There is no option --fast"))
        }
    }
}
