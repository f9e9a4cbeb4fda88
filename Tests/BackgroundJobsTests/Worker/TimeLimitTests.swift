import BackgroundJobs
import Foundation
import TestSupport
import Testing

@Suite("A time limit", .timeLimit(.minutes(20)))
struct TimeLimitTests {
    @Test("cancels the attempt, which fails with Timeout, and is retried as the job's options say")
    func honoured() async throws {
        try await withWorkshop { shop in
            try await shop.worker().withRunning {
                let begun = ContinuousClock.now
                let job = try await shop.enqueue("Limited")
                #expect(try await shop.errors(of: job) == ["Timeout"])
                #expect(begun.duration(to: .now) >= .milliseconds(200))
                let attempt = try await shop.records.attempts(of: job)[0]
                #expect(attempt["msg"] == "it ran longer than its time limit of 0.2 seconds")
                #expect(try #require(attempt["time"].flatMap(Double.init)) >= 200)
                let scheduled = try await shop.records("ZRANGE", shop.records.keys.scheduled("default"), "0", "-1")
                #expect(scheduled.texts == [job])
                #expect(try await shop.records.job(job)["ers"] == "1")
                #expect(try await shop.records.stats()["timeout"] == 1)
                // Once, and not in the task that was cancelled.
                try await eventually("it was told") { Limited.notes.all.contains { $0.contains(job) } }
                #expect(Limited.notes.all.filter { $0.contains(job) } == ["failed \(job) JobTimeout cancelled: false"])

                // The last try.
                #expect(
                    try await withRedisStore(shop.server) { try await $0.retry([job], onlyDead: false) } == [.queued]
                )
                #expect(try await shop.errors(of: job, 2) == ["Timeout", "Timeout"])
                #expect(try await shop.records.dead() == [job])
                try await shop.nothingIsStuck()
            }
        }
    }

    @Test("of a job's own outdoes that of its class, and does nothing to an attempt that ends before it")
    func own() async throws {
        try await withWorkshop { shop in
            try await shop.worker().withRunning {
                let ample = try await shop.enqueue("Limited", JobOptions(timeout: .seconds(3600)))
                let tight = try await shop.enqueue("Sleeps", JobOptions(retries: 0, timeout: .milliseconds(1)))
                let quick = try await shop.enqueue("Quick", JobOptions(timeout: .seconds(3600)))
                #expect(try await shop.errors(of: tight) == ["Timeout"])
                #expect(shop.notes.count("timeout \(tight)") == 1, "its context said why")
                #expect(try await shop.errors(of: quick) == [nil])
                let other = try await shop.enqueue("Limited", JobOptions(retries: 0))
                #expect(try await shop.errors(of: other) == ["Timeout"])
                #expect(try await shop.records.attempts(of: ample).map { $0["fin"] } == [nil])
            }
        }
    }

    @Test("abandons a job that ignores it: the fiber is replaced, and the late result refused")
    func ignored() async throws {
        try await withWorkshop { shop in
            try await shop.worker(fibers: 1, killAfter: .milliseconds(100)).withRunning {
                let job = try await shop.enqueue(
                    "Ignores",
                    JobOptions(backoff: .fixed(.seconds(3600)), timeout: .milliseconds(100))
                )
                let next = try await shop.enqueue("Quick")
                #expect(try await shop.errors(of: job) == ["Timeout"])
                #expect(try await shop.errors(of: next) == [nil], "the only fiber is free again")
                #expect(shop.notes.count("over \(job)") == 0)
                #expect(
                    shop.log.all.contains { $0.hasPrefix("Abandoned a job that ignores its cancellation (timeout)") }
                )
                shop.gate.open()
                try await eventually("its result is refused") {
                    shop.log.count("A result was refused: the job ignored its cancellation for too long") == 1
                }
                #expect(try await shop.records.attempts(of: job).map { $0["err"] } == ["Timeout"])
                #expect(try await shop.records.completed() == 1)
                #expect(try await shop.records("ZSCORE", shop.records.keys.scheduled("default"), job).text != nil)
                try await shop.nothingIsStuck()
            }
        }
    }

    @Test("is on record though the hooks that are told of it hang")
    func hangingHook() async throws {
        try await withWorkshop { shop in
            let worker = try shop.worker(fibers: 1, killAfter: .milliseconds(100))
            let left = Notes()
            worker.onStragglers = {
                left.add($0.map { "\($0)" } ?? "left"); Mourned.gate.open()
            }
            try await worker.withRunning {
                let job = try await shop.enqueue("Mourned")
                let next = try await shop.enqueue("Quick")
                #expect(try await shop.errors(of: job) == ["Timeout"])
                #expect(try await shop.records.dead() == [job])
                #expect(try await shop.errors(of: next) == [nil])
            }
            // Nobody can wait for it: whoever ends the process is told.
            #expect(left.all == ["left"])
            try await shop.nothingIsStuck()
        }
    }

    @Test("ignored by as many jobs as there are threads stalls the worker: it gives back the rest and leaves")
    func stalls() async throws {
        try await withWorkshop { shop in
            let worker = try shop.worker(killAfter: .milliseconds(100), width: 2)
            let other = try await shop.enqueue("Sleeps")
            let ignorant = [
                try await shop.enqueue("Ignores", JobOptions(retries: 0, timeout: .milliseconds(100))),
                try await shop.enqueue("Ignores", JobOptions(retries: 0, timeout: .milliseconds(100))),
            ]
            let error = await #expect(throws: BackgroundError.self) { try await worker.run() }
            #expect(error?.code == .stalled)
            // Its run is over though those two still run.
            #expect(shop.notes.all.allSatisfy { !$0.hasPrefix("over") })
            for job in ignorant {
                #expect(try await shop.records.attempts(of: job).map { $0["err"] } == ["Timeout"])
                #expect(try await shop.records.dead().contains(job))
            }
            #expect(try await shop.records.attempts(of: other).map { $0["err"] } == ["Shutdown"])
            #expect(try await shop.ready() == [other])
            try await shop.nothingIsStuck()
        }
    }

    @Test("that is ignored does not keep a worker that stops from giving back the rest")
    func stopping() async throws {
        try await withWorkshop { shop in
            let worker = try shop.worker(killAfter: .milliseconds(200))
            try await worker.withRunning {
                let job = try await shop.enqueue("Ignores", JobOptions(retries: 0, timeout: .milliseconds(50)))
                let other = try await shop.enqueue("Ignores")
                let polite = try await shop.enqueue("Sleeps")
                for job in [other, polite] { try await shop.begun(job) }
                #expect(try await shop.errors(of: job) == ["Timeout"])
                worker.stop()
                #expect(try await shop.errors(of: polite) == ["Shutdown"])
                #expect(try await shop.errors(of: other) == ["Shutdown"])
                #expect(try await shop.ready() == [other, polite])
                shop.gate.open()
            }
            try await shop.nothingIsStuck()
        }
    }
}
