import BackgroundJobs
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// `bg-worker --handlers DIR` (issue "The programs", row W19).
    @Suite("Handler programs of a worker", .serialized)
    struct HandlerPrograms {
        /// A stage with a folder of handlers and a worker that runs them.
        private func withWorker(
            _ handlers: [String: String],
            _ arguments: String...,
            body: (Stage, Program, _ folder: String) async throws -> Void
        ) async throws {
            let stage = try await Stage()
            let folder = stage.server.directory + "/handlers"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            for (name, text) in handlers {
                try Data(("#!/bin/sh\n" + text).utf8).write(to: URL(fileURLWithPath: folder + "/" + name))
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder + "/" + name)
            }
            let worker = try Program(
                "bg-worker",
                ["--redis", stage.server.url, "--handlers", folder, "--heartbeat", "0.2", "--dead-after", "2"]
                    + arguments
            )
            try await worker.logged("Working on")
            try await body(stage, worker, folder)
        }

        private func note(_ path: String) async throws -> String {
            try await eventually("\(path) is written") {
                let text = try? String(contentsOfFile: path, encoding: .utf8)
                return text?.hasSuffix("\n") == true ? text?.dropLast().description : nil
            }
        }

        @Test("get arguments and surroundings, and succeed by exit 0")
        func success() async throws {
            let script = """
                arguments=$(cat)
                echo "$BG_CLASS $BG_JOB_ID $BG_ATTEMPT_ID $BG_ATTEMPT $BG_QUEUE $arguments" > "$0.out"
                """
            try await withWorker(["Greets.sh": script]) { stage, _, folder in
                let job = try await stage.manager.enqueue("Greets", arguments: #"{"name":"Ada; rm -rf /"}"#).id
                let said = try await note(folder + "/Greets.sh.out")
                try await stage.drained()
                let attempt = try #require(try await stage.records.job(job)["las"])
                #expect(said == #"Greets \#(job) \#(attempt) 1 default {"name":"Ada; rm -rf /"}"#)
                #expect(try await stage.records.completed() == 1)
                try await stage.checkSettled([job])
            }
        }

        @Test("fail by any other exit, with the end of what they said")
        func failure() async throws {
            let script = "yes 'many lines' | head -c 10000 >&2; echo 'the end of it' >&2; exit 3"
            try await withWorker(["Fails": script, "Dies": "kill -9 $$"]) { stage, worker, _ in
                let once = JobOptions(retries: 0)
                let jobs = [
                    try await stage.enqueue("Fails", options: once)[0],
                    try await stage.enqueue("Dies", options: once)[0],
                    try await stage.enqueue("Nobody", options: once)[0],
                ]
                try await eventually("all are dead") { Set(try await stage.records.dead()) == Set(jobs) }
                let failed = try await stage.records.attempts(of: jobs[0])[0]
                #expect(failed["err"] == "Exit 3")
                let message = try #require(failed["msg"])
                #expect(message.hasPrefix("many lines") || message.contains("\nmany lines"))
                #expect(message.trimmingCharacters(in: .newlines).hasSuffix("the end of it"))
                #expect((4000...4096).contains(message.utf8.count))
                #expect(try await stage.records.attempts(of: jobs[1])[0]["err"] == "Signal 9")
                #expect(try await stage.records.attempts(of: jobs[2])[0]["err"] == "Unknown Class")
                #expect(worker.isRunning)
                try await stage.checkSettled(jobs)
            }
        }

        /// Row W19.
        @Test("and all that they started are gone one second after their worker was killed")
        func killedWorker() async throws {
            let script = """
                sleep 600 &
                echo "$$ $!" > "$0.$BG_JOB_ID"
                wait
                """
            try await withWorker(["Naps": script]) { stage, worker, folder in
                var processes: [Int32] = []
                for job in try await stage.enqueue("Naps", count: 5) {
                    processes += try await note("\(folder)/Naps.\(job)").split(separator: " ").compactMap { Int32($0) }
                }
                #expect(processes.count == 10 && processes.allSatisfy(isAlive))
                worker.kill()
                let killed = Ledger.now
                try await eventually("they are gone") { !processes.contains(where: isAlive) }
                let seconds = Double(Ledger.now - killed) / 1e9
                #expect(seconds < (isFull ? 1 : 2), "\(seconds) s; other tests may have the processor")
            }
        }

        @Test("end with their job when the worker gives it back")
        func stoppedWorker() async throws {
            let script = "echo $$ > \"$0.pid\"; sleep 600"
            try await withWorker(["Naps": script]) { stage, worker, folder in
                let job = try await stage.enqueue("Naps")[0]
                let process = try #require(Int32(try await note(folder + "/Naps.pid")))
                worker.signal(SIGTERM)
                try await worker.logged("Stopping")
                worker.signal(SIGTERM)
                #expect(try await worker.exit(within: .seconds(20)) == .status(0))
                #expect(!isAlive(process))
                #expect(
                    try await stage.records("LRANGE", stage.records.keys.ready("default"), "0", "-1").texts == [job]
                )
                #expect(try await stage.records.attempts(of: job).map { $0["err"] } == ["Shutdown"])
            }
        }

        /// Writes its process number, and ends when it is told to: at once, after a while, or not at all.
        private static let handlers = [
            "Listens": "trap 'exit 0' TERM; echo half way >&2; echo $$ > \"$0.pid\"; while :; do sleep 0.1; done",
            "Tidies": """
            trap 'sleep 1; echo done > "$0.tidied"; exit 0' TERM
            echo $$ > "$0.pid"
            while :; do sleep 0.1; done
            """,
            "Ignores": "trap '' TERM; echo $$ > \"$0.pid\"; while :; do sleep 0.1; done",
        ]

        @Test("are ended at their time limit, by force if need be", arguments: ["Listens", "Ignores"])
        func timeLimit(name: String) async throws {
            try await withWorker(Self.handlers, "--kill-after", "0.5") { stage, worker, folder in
                let options = JobOptions(retries: 0, timeout: .seconds(1))
                let job = try await stage.enqueue(name, options: options)[0]
                let process = try #require(Int32(try await note("\(folder)/\(name).pid")))
                try await eventually("it is dead") { try await stage.records.dead() == [job] }
                #expect(!isAlive(process))
                let attempt = try await stage.records.attempts(of: job)[0]
                #expect(attempt["err"] == "Timeout")
                #expect(attempt["msg"]?.hasSuffix(": half way") == (name == "Listens"))
                #expect(worker.count(of: "Abandoned") == 0)
                try await stage.checkSettled([job])
            }
        }

        @Test("are ended when their job is cancelled", arguments: ["Listens", "Ignores"])
        func cancelled(name: String) async throws {
            try await withWorker(Self.handlers, "--kill-after", "0.5") { stage, worker, folder in
                let job = try await stage.enqueue(name)[0]
                let process = try #require(Int32(try await note("\(folder)/\(name).pid")))
                #expect(try await stage.manager.cancel(job) == .told)
                try await stage.drained()
                #expect(!isAlive(process))
                let attempt = try await stage.records.attempts(of: job)[0]
                #expect(attempt["err"] == "Cancelled")
                #expect(attempt["msg"] == (name == "Listens" ? "half way" : nil))
                #expect(worker.count(of: "Abandoned") == 0)
            }
        }

        @Test("have --kill-after to end when the worker stops")
        func tidies() async throws {
            try await withWorker(Self.handlers, "--timeout", "0.1", "--kill-after", "20") { stage, worker, folder in
                let job = try await stage.enqueue("Tidies")[0]
                _ = try await note(folder + "/Tidies.pid")
                worker.signal(SIGTERM)
                // Not after twenty seconds, but when the program has ended.
                #expect(try await worker.exit(within: .seconds(15)) == .status(0))
                #expect(try await note(folder + "/Tidies.tidied") == "done")
                #expect(try await stage.records.attempts(of: job).map { $0["err"] } == ["Shutdown"])
                #expect(try await stage.records.ready() == 1)
            }
        }

        private func isAlive(_ process: Int32) -> Bool {
            // A zombie has ended; whoever is its parent may take its time.
            guard let status = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
                let name = status.lastIndex(of: ")")
            else { return false }
            return !status[name...].hasPrefix(") Z")
        }
    }
}
