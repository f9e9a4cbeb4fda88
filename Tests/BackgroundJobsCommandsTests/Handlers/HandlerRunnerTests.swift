import BackgroundJobs
import Foundation
import Testing

@testable import BackgroundJobsCommands

extension Handlers {
    @Suite struct RunnerTests {
        private func outcome(_ folder: ProgramFolder, _ call: HandlerCall) async throws -> HandlerFailure? {
            try await withRunner(folder) { runner, _ in
                do {
                    try await runner.run(call)
                    return nil
                } catch let failure as HandlerFailure {
                    return failure
                }
            }
        }

        @Test(
            arguments: [
                ("exit 0", nil), ("exit 3", "Exit 3"), ("exit 255", "Exit 255"), ("kill -9 $$", "Signal 9"),
                ("kill -15 $$", "Signal 15"), ("echo to stdout; exec >&-; exit 1", "Exit 1"),
                ("exec 2>&-; exit 2", "Exit 2"),
            ]
        )
        func endings(script: String, name: String?) async throws {
            let folder = try ProgramFolder()
            try folder.file("Nap.sh", "#!/bin/sh\n\(script)\n")
            let failure = try await outcome(folder, call("Nap"))
            #expect(failure == name.map { HandlerFailure(name: $0, message: "") })
        }

        @Test func theEndOfStandardErrorIsTheMessage() async throws {
            let folder = try ProgramFolder()
            try folder.file("Nap", "#!/bin/sh\nseq 1 200000 >&2\nprintf 'boom \\033[1m\\n' >&2\nexit 7\n")
            let failure = try #require(try await outcome(folder, call("Nap")))
            #expect(failure.name == "Exit 7")
            #expect(failure.message.hasSuffix("\n199999\n200000\nboom \\u{1B}[1m"))
            #expect(failure.message.utf8.count <= 4096 && failure.message.utf8.count > 4000)
        }

        @Test func argumentsArriveByteForByte() async throws {
            let folder = try ProgramFolder()
            try folder.file("Nap", "#!/bin/sh\ncat > $(dirname $0)/input\n")
            let bytes = (0..<(2 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
            let failure = try await outcome(folder, call("Nap", arguments: bytes))
            #expect(failure == nil)
            #expect(FileManager.default.contents(atPath: folder.path + "/input").map { Array($0) } == bytes)
        }

        @Test(arguments: ["exit 0", "exec <&-; exec true", "head -c 10 > /dev/null", "sleep 0.2"])
        func argumentsNeedNotBeRead(script: String) async throws {
            let folder = try ProgramFolder()
            try folder.file("Nap", "#!/bin/sh\n\(script)\n")
            #expect(try await outcome(folder, call("Nap", arguments: [UInt8](repeating: 0, count: 2 << 20))) == nil)
        }

        @Test func theProgramKnowsItsJob() async throws {
            let folder = try ProgramFolder()
            try folder.file("Nap", "#!/bin/sh\nenv | grep ^BG_ | sort > $(dirname $0)/env\n")
            #expect(try await outcome(folder, call("Nap")) == nil)
            let lines = try #require(folder.note("env")).split(separator: "\n").filter { !$0.hasPrefix("BG_GUARDIAN=") }
            #expect(
                lines == [
                    "BG_ATTEMPT=2", "BG_ATTEMPT_ID=attempt-1", "BG_CLASS=Nap", "BG_JOB_ID=job-1", "BG_NODE=node-1",
                    "BG_QUEUE=mail",
                ]
            )
        }

        @Test func theProgramInheritsNoDescriptors() async throws {
            let folder = try ProgramFolder()
            try folder.file("Nap", "#!/bin/sh\nls /proc/$$/fd > $(dirname $0)/fds\n:\n")
            #expect(try await outcome(folder, call("Nap")) == nil)
            // Shells keep what they need themselves, such as their script, at 10 and above.
            let descriptors = try #require(folder.note("fds")).split(separator: "\n").compactMap { Int($0) }
            #expect(descriptors.filter { $0 < 10 } == [0, 1, 2])
        }

        @Test func aGrandchildDoesNotHoldUpTheJob() async throws {
            let folder = try ProgramFolder()
            try folder.file("Nap", "#!/bin/sh\nsleep 300 &\necho $! > $(dirname $0)/pid\nexit 0\n")
            let begin = ContinuousClock.now
            #expect(try await outcome(folder, call("Nap")) == nil)
            #expect(ContinuousClock.now - begin < .seconds(60))
            try await hasEnded(try #require(folder.note("pid").flatMap { pid_t($0) }))
        }

        @Test func aTalkativeGrandchildOutsideTheGroupDoesNotHoldUpTheJob() async throws {
            let folder = try ProgramFolder()
            let script = """
                #!/bin/sh
                pid=$(dirname $0)/pid
                setsid sh -c "echo \\$\\$ > $pid; exec yes >&2" &
                until [ -s $pid ]; do sleep 0.01; done
                exit 5
                """
            try folder.file("Nap", script)
            let failure = try await outcome(folder, call("Nap"))
            #expect(failure?.name == "Exit 5", "\(String(describing: failure?.name))")
            if let process = folder.note("pid").flatMap({ pid_t($0) }) {
                kill(process, SIGKILL)
            }
        }

        @Test func cancellationLetsTheProgramTidyUp() async throws {
            let folder = try ProgramFolder()
            let script = """
                #!/bin/sh
                trap 'echo tidied > $(dirname $0)/end; exit 0' TERM
                sleep 300 &
                echo $! > $(dirname $0)/up
                wait
                """
            try folder.file("Nap", script)
            let grandchild = try await cancelled(folder, killAfter: .seconds(60))
            #expect(folder.note("end") == "tidied")
            try await hasEnded(grandchild)
        }

        @Test func whatACancelledProgramHasSaidIsKept() async throws {
            let folder = try ProgramFolder()
            let script = "#!/bin/sh\necho half way >&2\necho $$ > $(dirname $0)/up\nexec sleep 300\n"
            try folder.file("Nap", script)
            try await withRunner(folder) { runner, _ in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        let stopped = await #expect(throws: ProgramStopped.self) { try await runner.run(call("Nap")) }
                        #expect(stopped?.failureMessage == "half way")
                    }
                    _ = try await eventually { folder.note("up") }
                    group.cancelAll()
                    try await group.waitForAll()
                }
            }
        }

        @Test func cancellationEndsAProgramThatDoesNotListen() async throws {
            let folder = try ProgramFolder()
            try folder.file("Nap", "#!/bin/sh\ntrap '' TERM\necho $$ > $(dirname $0)/up\nwhile :; do sleep 60; done\n")
            try await hasEnded(try await cancelled(folder, killAfter: .milliseconds(100)))
        }

        /// Cancels a job once its program has written a process number to `up`, and returns that.
        private func cancelled(_ folder: ProgramFolder, killAfter: Duration) async throws -> pid_t {
            try await withRunner(folder, killAfter: killAfter) { runner, _ in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        await #expect(throws: CancellationError.self) { try await runner.run(call("Nap")) }
                    }
                    let process = try await eventually { folder.note("up").flatMap { pid_t($0) } }
                    group.cancelAll()
                    try await group.waitForAll()
                    return process
                }
            }
        }

        @Test func aHundredAtOnce() async throws {
            let folder = try ProgramFolder()
            try folder.folder("up")
            mkfifo(folder.path + "/go", 0o600)
            let go = open(folder.path + "/go", O_RDWR | O_NONBLOCK | O_CLOEXEC)
            defer { close(go) }
            // Each waits for a line of its own: all of them are there before the first may end.
            try folder.file("Nap", "#!/bin/sh\ncd $(dirname $0)\n: > up/$BG_ATTEMPT_ID\nread line < go\n")
            try await withRunner(folder) { runner, _ in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 1...100 {
                        group.addTask { try await runner.run(call("Nap", attemptID: "a\(number)")) }
                    }
                    try await eventually {
                        let up = try? FileManager.default.contentsOfDirectory(atPath: folder.path + "/up").count
                        return up == 100 ? () : nil
                    }
                    let lines = String(repeating: "\n", count: 100)
                    #expect(write(go, lines, lines.utf8.count) == 100)
                    try await group.waitForAll()
                }
            }
        }

        @Test(
            arguments: [
                ("gone", "Handler Missing", "No such file"), ("chmod", "Handler Not Executable", "not an executable"),
                ("link", "Handler Refused", "a link out of the directory"), ("open", "Handler Refused", "anybody may"),
                ("binary", "Handler Not Executable", "neither a program"),
                ("interpreter", "Handler Not Executable", "interpreter"),
            ]
        )
        func aProgramThatChangedSinceTheStart(change: String, name: String, message: String) async throws {
            let folder = try ProgramFolder()
            try folder.file("Nap", change == "binary" ? "no magic" : "#!/no/such/interpreter\n")
            let failure = try await withRunner(folder) { runner, _ in
                let path = folder.path + "/Nap"
                switch change {
                case "gone": try FileManager.default.removeItem(atPath: path)
                case "chmod": chmod(path, 0o644)
                case "open": chmod(path, 0o757)
                case "link":
                    try FileManager.default.removeItem(atPath: path)
                    try folder.link("Nap", to: "/bin/true")
                default: break
                }
                return await #expect(throws: HandlerFailure.self) { try await runner.run(call("Nap")) }
            }
            #expect(failure?.name == name)
            #expect(failure?.message.contains(message) == true, "\(failure?.message ?? "")")
        }

        @Test func anUnknownClass() async throws {
            let folder = try ProgramFolder()
            try folder.file("Nap")
            #expect(try await outcome(folder, call("../Nap"))?.name == "Unknown Class")
        }
    }
}
