import BackgroundJobs
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// Row W3: the last try of a suspect runs in a process of its own.
    @Suite("The last try of a suspect", .serialized)
    struct Isolation {
        /// Puts a job among the suspects that its next crash would bury.
        private func suspect(_ stage: Stage, _ id: String, _ className: String, _ fields: String...) async throws {
            let keys = stage.records.keys
            let now = try await stage.records("TIME").texts[0] + "000"
            try await stage.records.send([
                ["HSET", keys.job(id), "que", "default", "cls", className, "qat", now, "crs", "3", "crt", now] + fields,
                ["RPUSH", keys.suspects("default"), id],
            ])
        }

        private func last(_ stage: Stage, _ id: String) async throws -> [String: String] {
            try await eventually("\(id) has an end") {
                guard let attempt = try await stage.records.attempts(of: id).last, attempt["fin"] != nil else {
                    return nil
                }
                return attempt
            }
        }

        @Test("ends as it does anywhere else: completed, retried, over its limit, cancelled")
        func ends() async throws {
            let stage = try await Stage()
            try await suspect(stage, "good", "Instant")
            try await suspect(stage, "failing", "Failing", "arg", #"{"message":"as ever"}"#)
            try await suspect(stage, "slow", "Sleeping", "arg", #"{"ms":600000}"#, "tmo", "3000", "ret", "0")
            try await suspect(stage, "stuck", "Blocking", "arg", #"{"ms":600000}"#, "tmo", "3000", "ret", "0")
            try await suspect(stage, "cancelled", "Sleeping", "arg", #"{"ms":600000}"#)
            let worker = try await stage.worker("--kill-after", "1")
            #expect(try await last(stage, "good")["err"] == nil)
            let failed = try await last(stage, "failing")
            #expect(failed["err"] == "Failure" && failed["msg"] == "as ever")
            #expect(try await stage.records.job("failing")["ers"] == "1", "and waits for its retry")
            #expect(try await last(stage, "slow")["err"] == "Timeout")
            #expect(try await last(stage, "stuck")["err"] == "Timeout")
            try await eventually("it runs") { stage.ledger.entries.contains { $0.job == "cancelled" } }
            #expect(try await stage.manager.cancel("cancelled") == .told)
            #expect(try await last(stage, "cancelled")["err"] == "Cancelled")
            let why = try String(contentsOfFile: stage.ledger.path + ".why", encoding: .utf8)
            #expect(Set(why.split(separator: "\n")) == ["slow timeout", "cancelled cancelled"], "they know why")
            let processes = Set(stage.ledger.entries.map(\.pid))
            #expect(processes.count == 5 && !processes.contains(worker.pid), "each in a process of its own")
            #expect(try await stage.records.job("slow")["crs"] == "3", "nobody crashed")
            #expect(worker.isRunning && worker.count(of: "ignore their cancellation") == 0)
        }

        @Test("that can't begin is a failure, not a crash")
        func cannotBegin() async throws {
            let stage = try await Stage()
            try await suspect(stage, "good", "Instant")
            let worker = try await stage.worker([], environment: ["TMPDIR": "/nowhere"])
            let attempt = try await last(stage, "good")
            #expect(attempt["err"] == "Spawn Failed" && attempt["msg"]?.contains("/nowhere") == true, "\(attempt)")
            #expect(try await stage.records.job("good")["crs"] == "3")
            #expect(worker.isRunning)
        }
    }
}
