import Foundation
import Logging
import Testing

@testable import BackgroundJobsCommands

extension Handlers {
    @Suite(.serialized) struct GuardianTests {
        /// A worker in a process of its own.
        private final class Harness {
            private let process = Process()
            let node = "node-\(UUID())"

            init(_ folder: ProgramFolder, count: Int, descriptors: Int = 1024) throws {
                process.executableURL = URL(fileURLWithPath: "/bin/sh")
                let script = "ulimit -n \(descriptors) && exec \"$0\" \"$@\""
                process.arguments = ["-c", script, harness, folder.path, node, "Nap", String(count)]
                try process.run()
            }

            deinit {
                end()
                for process in handlers {
                    kill(process, SIGKILL)
                }
            }

            var isRunning: Bool { process.isRunning }

            /// The handlers that still carry the mark.
            var handlers: [pid_t] { processes(with: "BG_NODE=\(node)") }

            /// Its guardian, if there is one that is another than `former`.
            func guardian(otherThan former: pid_t? = nil) -> pid_t? {
                let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
                return names.compactMap { pid_t($0) }.first { candidate in
                    guard candidate != former, isAlive(candidate),
                        let line = try? String(contentsOfFile: "/proc/\(candidate)/cmdline", encoding: .utf8),
                        let status = try? String(contentsOfFile: "/proc/\(candidate)/stat", encoding: .utf8)
                    else {
                        return false
                    }
                    let parent = status.split(separator: ")").last?.split(separator: " ").dropFirst().first
                    return line.contains("\0\(GuardianProcess.argument)\0") && parent == "\(process.processIdentifier)"
                }
            }

            func end() {
                kill(process.processIdentifier, SIGKILL)
            }
        }

        /// Some end at once and make room for others, so that there always is one being started; some stay.
        private static let mixed = "#!/bin/sh\n[ $(($$ % 3)) = 0 ] || exit 0\nsleep 300 &\nsleep 301\n"
        /// Shows no mark, so it is found by its process group only.
        private static let unmarked = "#!/bin/sh\necho $$ > $(dirname $0)/pid\nexec env -i sleep 300\n"
        /// Has left its process group, so it is found by its mark only.
        private static let departed = """
            #!/bin/sh
            setsid sh -c 'echo $$ > '$(dirname $0)'/pid; exec sleep 300' &
            sleep 300
            """

        @Test(arguments: 1...20) func nothingOutlivesAKilledWorkerByASecond(round: Int) async throws {
            let folder = try ProgramFolder()
            try folder.file("Nap", Self.mixed)
            let worker = try Harness(folder, count: 12)
            try await eventually { worker.handlers.isEmpty ? nil : () }
            // The random moment is the test.
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...200)))
            worker.end()
            // And so is the second: an earlier look might miss a handler that is only just being started.
            try await Task.sleep(for: .seconds(1))
            #expect(worker.handlers == [])
        }

        @Test(arguments: [unmarked, departed]) func handlersThatAreHarderToFind(script: String) async throws {
            let folder = try ProgramFolder()
            try folder.file("Nap", script)
            let worker = try Harness(folder, count: 1)
            let handler = try await eventually { folder.note("pid").flatMap { pid_t($0) } }
            worker.end()
            try await hasEnded(handler, within: .seconds(1))
        }

        @Test func aReplacedGuardianKnowsWhatRuns() async throws {
            let folder = try ProgramFolder()
            try folder.file("Nap", Self.unmarked)
            let worker = try Harness(folder, count: 1)
            let handler = try await eventually { folder.note("pid").flatMap { pid_t($0) } }
            let first = try #require(worker.guardian())
            kill(first, SIGKILL)
            let second = try await eventually { worker.guardian(otherThan: first) }
            #expect(isAlive(handler))
            worker.end()
            try await hasEnded(handler, within: .seconds(1))
            try await hasEnded(second)
        }

        @Test func aWorkerThatRunsOutOfDescriptorsLivesOn() async throws {
            let folder = try ProgramFolder()
            try folder.file("Nap", "#!/bin/sh\necho >> $(dirname $0)/runs\n")
            let worker = try Harness(folder, count: 20, descriptors: 40)
            try await eventually { (folder.note("runs")?.utf8.count ?? 0) > 300 ? () : nil }
            #expect(worker.isRunning)
        }

        @Test func noHandlerStartsWithoutAGuardian() async throws {
            let folder = try ProgramFolder()
            try folder.file("Nap")
            try await withRunner(folder) { runner, guardian in
                for _ in 1...5 {
                    let former = try #require(guardian.process)
                    kill(former, SIGKILL)
                    try await eventually { guardian.process == former ? nil : () }
                    try await runner.run(call("Nap"))
                    let present = try #require(guardian.process)
                    #expect(present != former && isAlive(present))
                }
            }
        }

        @Test func aStoppedGuardianIsReplaced() async throws {
            let folder = try ProgramFolder()
            try folder.file("Nap")
            try await withRunner(folder) { _, guardian in
                let former = try #require(guardian.process)
                kill(former, SIGSTOP)
                // Groups that don't exist, until the pipe is full.
                for _ in 0..<10_000 {
                    guardian.register(4_000_000)
                    guardian.unregister(4_000_000)
                }
                try await eventually { guardian.process.flatMap { $0 == former ? nil : () } }
            }
        }

        @Test func itEndsAfterTheWorkerOnly() async throws {
            let folder = try ProgramFolder()
            try folder.file("Nap")
            let process = try await withRunner(folder) { runner, guardian in
                let process = try #require(guardian.process)
                for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
                    kill(process, number)
                }
                #expect(getsid(process) == process)
                try await runner.run(call("Nap"))
                #expect(guardian.process == process && isAlive(process))
                return process
            }
            // Dismissed, it has left before the closure's end.
            #expect(!isAlive(process))
        }

        @Test func itOutlastsACancelledWorker() async throws {
            let folder = try ProgramFolder()
            let script = """
                #!/bin/sh
                cd $(dirname $0)
                trap 'kill -0 $(cat guardian) && echo yes > end; exit 0' TERM
                echo > up
                sleep 300 &
                wait
                """
            try folder.file("Nap", script)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await withRunner(folder) { runner, guardian in
                        try "\(guardian.process ?? 0)\n".write(
                            toFile: folder.path + "/guardian",
                            atomically: true,
                            encoding: .utf8
                        )
                        await #expect(throws: CancellationError.self) { try await runner.run(call("Nap")) }
                    }
                }
                try await eventually { folder.note("up").map { _ in () } }
                group.cancelAll()
                try await group.waitForAll()
            }
            #expect(folder.note("end") == "yes")
            try await hasEnded(try #require(folder.note("guardian").flatMap { pid_t($0) }))
        }

        @Test(arguments: ["/bin/true", "/bin/cat", "/no/such/file"]) func aProgramThatIsNoGuardian(path: String) async {
            await #expect(throws: Guardian.Failure.self) {
                try await Guardian.with(executable: path, logger: Logger(label: "test")) { _ in }
            }
        }
    }
}
