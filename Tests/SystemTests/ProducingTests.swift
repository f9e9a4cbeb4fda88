import BackgroundJobs
import Foundation
import TestSupport
import Testing

extension SystemTests {
    /// Point 2: a producer that has nothing but Redis commands.
    @Suite("A producer with two Redis commands", .serialized)
    struct Producing {
        @Test("has an idle worker run its job at once", arguments: ["bg", "onyx-background"])
        func atOnce(namespace: String) async throws {
            let stage = try await Stage(namespace: namespace)
            let worker = try await stage.worker("--queues", "high")
            // For jobs, for word of cancelled ones, and of those that others have put aside.
            try await eventually("the worker waits") {
                try await stage.records.clients(named: "\(namespace)-worker-wait:").count == 3
            }
            var waits: [Int] = []
            for _ in 0..<20 {
                let job = UUID().uuidString.lowercased()
                let time = try await stage.records.send([
                    ["TIME"],
                    [
                        "HSET", "\(namespace):jobs:\(job)", "que", "high", "cls", "Instant", "arg", #"{"n":1}"#, "qat",
                        "1",
                    ],
                    ["RPUSH", "\(namespace):ready:high", job],
                ])[0].texts.compactMap(Int.init)
                try await stage.ended([job])
                try await stage.drained("high")
                let attempt = try await checkRecords(of: job, worker, stage)
                waits.append(attempt - (time[0] * 1000 + time[1] / 1000))
            }
            // 5 ms on loopback is the promise; other tests may have the processor.
            #expect(waits.sorted()[10] <= (isFull ? 5 : 100), "waits in ms: \(waits)")
        }

        /// Every field of the protocol; returns when the attempt began.
        private func checkRecords(of job: String, _ worker: Program, _ stage: Stage) async throws -> Int {
            let (records, keys) = (stage.records, stage.records.keys)
            let fields = try await records.job(job)
            let attempt = try #require(fields["las"])
            #expect(Set(fields.keys) == ["que", "cls", "arg", "qat", "att", "las"])
            #expect(fields["att"] == "1")
            let ran = try await records.attempt(attempt)
            #expect(Set(ran.keys) == ["sta", "job", "wrk", "que", "fin", "time", "nod", "num"])
            #expect(ran["job"] == job)
            #expect(ran["que"] == "high")
            #expect(ran["num"] == "1")
            let client = try #require(try await records.clients(named: "\(stage.namespace)-worker:").first)
            #expect(ran["wrk"] == "\(client.id)")
            let node = try #require(ran["nod"])
            #expect(client.name == "\(stage.namespace)-worker:\(node):10:high")
            #expect(node.contains("-\(worker.pid)-"))
            let (start, end) = (Int(ran["sta"] ?? "") ?? 0, Int(ran["fin"] ?? "") ?? 0)
            #expect(start > 1_700_000_000_000 && end >= start)
            #expect(Double(ran["time"] ?? "") ?? -1 > 0)
            #expect(try await records("ZSCORE", keys.completed("high"), attempt).text == ran["fin"])
            #expect(try await records("SISMEMBER", keys.queues, "high").int == 1)
            #expect(try await records("GET", keys.protocolVersion).text == "1")
            try await stage.checkSettled([job], queue: "high")
            return start
        }
    }
}
