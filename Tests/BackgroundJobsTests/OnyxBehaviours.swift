import BackgroundJobs
import BackgroundRedis
import Foundation
import Logging
import TestSupport
import Testing

/// The behaviours that the 24 tests of Onyx::Background 0.1 check, each with a test of the same subject: 9 of its manager,
/// 10 of its worker, 5 of its watcher.
@Suite("Onyx::Background's own behaviours", .timeLimit(.minutes(20)))
struct OnyxBehaviours {
    /// What a machine that runs hundreds of tests at once may add to a time.
    private let slack = Duration.seconds(4)

    // MARK: Manager

    @Test("manager: an immediate job is a hash without pat, with a readable qat, its queue, class and arguments")
    func immediateJobHash() async throws {
        try await withOnyx { onyx in
            let fields = try await onyx.records.job(try await onyx.manager.enqueue(OnyxJob()).id)
            #expect(fields["pat"] == nil)
            #expect(Int(fields["qat"] ?? "") != nil)
            #expect(fields["que"] == "default")
            #expect(fields["cls"] == "OnyxJob")
            #expect(fields["arg"] == "{}")
        }
    }

    @Test("manager: an immediate job's ID is at the head of the ready list")
    func immediateJobReady() async throws {
        try await withOnyx { onyx in
            let job = try await onyx.manager.enqueue(OnyxJob()).id
            #expect(try await onyx.records("LINDEX", "bg:ready:default", "0").text == job)
        }
    }

    @Test(
        "manager: a delayed job is a hash with pat, qat, its queue, class and arguments, without what it does not encode"
    )
    func delayedJobHash() async throws {
        try await withOnyx { onyx in
            let fields = try await onyx.records.job(try await onyx.enqueueDelayed())
            let (queued, due) = (Int(fields["qat"] ?? "") ?? 0, Int(fields["pat"] ?? "") ?? 0)
            #expect(queued > 0 && due == queued + 60_000)
            #expect(fields["que"] == "non-default")
            #expect(fields["cls"] == "OnyxJobWithArguments")
            #expect(fields["arg"] == #"{"bar":42,"foo":"baz"}"#)
        }
    }

    @Test("manager: a delayed job's ID is first in the scheduled set")
    func delayedJobScheduled() async throws {
        try await withOnyx { onyx in
            let job = try await onyx.enqueueDelayed()
            let rank = try await onyx.records("ZRANK", "bg:scheduled:non-default", job)
            #expect(!rank.isNull && rank.int == 0)
        }
    }

    @Test("manager: a delayed job's ID is not in the ready list")
    func delayedJobNotReady() async throws {
        try await withOnyx { onyx in
            try await onyx.enqueueDelayed()
            #expect(try await onyx.records("EXISTS", "bg:ready:non-default").int == 0)
        }
    }

    @Test("manager: to dequeue a job that waits says that it was done")
    func dequeue() async throws {
        try await withOnyx { onyx in
            let isDone = try await onyx.manager.dequeue(try await onyx.enqueueDelayed())
            #expect(isDone)
        }
    }

    @Test("manager: a dequeued job has no hash any more")
    func dequeuedJobHash() async throws {
        try await withOnyx { onyx in
            let job = try await onyx.enqueueDelayed()
            try await onyx.manager.dequeue(job)
            #expect(try await onyx.records("EXISTS", "bg:jobs:\(job)").int == 0)
        }
    }

    @Test("manager: a dequeued job is not scheduled any more")
    func dequeuedJobScheduled() async throws {
        try await withOnyx { onyx in
            try await onyx.manager.dequeue(try await onyx.enqueueDelayed())
            #expect(try await onyx.records("EXISTS", "bg:scheduled:non-default").int == 0)
        }
    }

    @Test("manager: to dequeue it a second time is an error")
    func dequeueTwice() async throws {
        try await withOnyx { onyx in
            let job = try await onyx.enqueueDelayed()
            try await onyx.manager.dequeue(job)
            await #expect {
                try await onyx.manager.dequeue(job)
            } throws: {
                ($0 as? BackgroundError)?.code == .jobNotFound
            }
        }
    }

    // MARK: Worker

    @Test("worker: a job has run within a second")
    func runs() async throws {
        try await withOnyx { onyx in
            try await onyx.working {
                try await onyx.connected("bg-worker:")
                let job = try await onyx.manager.enqueue(OnyxJob()).id
                try await eventually("it has run") { onyx.performed.value == 1 }
                let (fields, attempt) = (try await onyx.records.job(job), try await onyx.records.attempts(of: job)[0])
                let wait = (Int(attempt["sta"] ?? "") ?? .max) - (Int(fields["qat"] ?? "") ?? 0)
                #expect(wait < 1000, "in ms, by the server's clock")
            }
        }
    }

    @Test("worker: the attempt of a job that succeeded is in the completed set")
    func completed() async throws {
        try await withAttempt(of: OnyxJob()) { onyx, attempt in
            let completed = try await onyx.records("ZRANGE", "bg:completed:default", "0", "-1").texts
            #expect(completed == [attempt])
        }
    }

    @Test("worker: nothing has failed when a job succeeded")
    func completedNotFailed() async throws {
        try await withAttempt(of: OnyxJob()) { onyx, _ in
            let failed = try await onyx.records.failed()
            #expect(failed == [])
        }
    }

    @Test("worker: nothing is processing when a job has succeeded")
    func completedNotProcessing() async throws {
        try await withAttempt(of: OnyxJob()) { onyx, _ in
            let processing = try await onyx.records.processing()
            #expect(processing == [])
        }
    }

    @Test("worker: the hash of an attempt that succeeded tells start, job, worker, end and time, and no error")
    func completedHash() async throws {
        try await withAttempt(of: OnyxJob()) { onyx, attempt in
            let fields = try await onyx.records.attempt(attempt)
            let start = try #require(Int(fields["sta"] ?? ""))
            #expect(try await onyx.records.job(try #require(fields["job"]))["las"] == attempt)
            #expect(Int(fields["wrk"] ?? "") ?? 0 > 0)
            #expect(Int(fields["fin"] ?? "") ?? 0 >= start)
            #expect(Double(fields["time"] ?? "") ?? 0 > 0)
            #expect(fields["err"] == nil)
        }
    }

    @Test("worker: the attempt of a job that failed is in the failed set")
    func failed() async throws {
        try await withAttempt(of: OnyxFailure()) { onyx, attempt in
            let failed = try await onyx.records.failed()
            #expect(failed == [attempt])
        }
    }

    @Test("worker: nothing has completed when a job failed")
    func failedNotCompleted() async throws {
        try await withAttempt(of: OnyxFailure()) { onyx, _ in
            let completed = try await onyx.records.completed()
            #expect(completed == 0)
        }
    }

    @Test("worker: nothing is processing when a job has failed")
    func failedNotProcessing() async throws {
        try await withAttempt(of: OnyxFailure()) { onyx, _ in
            let processing = try await onyx.records.processing()
            #expect(processing == [])
        }
    }

    @Test("worker: the hash of an attempt that failed tells error, time and end")
    func failedHash() async throws {
        try await withAttempt(of: OnyxFailure()) { onyx, attempt in
            let fields = try await onyx.records.attempt(attempt)
            #expect(fields["err"] == "ArgumentError")
            #expect(Double(fields["time"] ?? "") ?? 0 > 0)
            #expect(Int(fields["fin"] ?? "") ?? 0 >= Int(fields["sta"] ?? "") ?? .max)
        }
    }

    @Test("worker: it stops within a second when it is told to")
    func workerStops() async throws {
        try await withOnyx { onyx in
            let worker = try onyx.worker()
            let running = Task { try await worker.run() }
            try await onyx.connected("bg-worker:")
            let told = ContinuousClock.now
            worker.stop()
            try await running.value
            #expect(told.duration(to: .now) < .seconds(1) + slack)
        }
    }

    // MARK: Watcher

    @Test("watcher: a job that is due in a second has run within five")
    func scheduled() async throws {
        try await withOnyx { onyx in
            try await onyx.watching {
                try await onyx.working {
                    let begun = ContinuousClock.now
                    try await onyx.manager.enqueue(OnyxJob(), in: .seconds(1))
                    try await eventually("it has run") { onyx.performed.value == 1 }
                    #expect((.seconds(1) ..< .seconds(5) + slack).contains(begun.duration(to: .now)))
                }
            }
        }
    }

    // A worker that is really killed is in SystemTests, "A worker that is killed"; here its connection ends the same way.

    @Test("watcher: both attempts of a worker that is gone have failed within three seconds")
    func goneFailed() async throws {
        try await withGoneWorker { onyx, attempts, gone in
            let failed = Set(try await onyx.records.failed())
            #expect(failed == attempts)
            #expect(gone.duration(to: .now) < .seconds(3) + slack)
        }
    }

    @Test("watcher: nothing is processing after a worker has gone")
    func goneNotProcessing() async throws {
        try await withGoneWorker { onyx, _, _ in
            let processing = try await onyx.records.processing()
            #expect(processing == [])
        }
    }

    @Test("watcher: the hashes of a gone worker's attempts have no end and tell of the time-out")
    func goneHashes() async throws {
        try await withGoneWorker { onyx, attempts, _ in
            for attempt in attempts {
                let fields = try await onyx.records.attempt(attempt)
                #expect(fields["fin"] == nil)
                #expect(fields["err"] == "Worker Timeout")
            }
        }
    }

    @Test("watcher: it stops within three seconds when it is told to")
    func watcherStops() async throws {
        try await withOnyx { onyx in
            let watcher = try onyx.watcher()
            let running = Task { try await watcher.run() }
            try await onyx.connected("bg-watcher:")
            let told = ContinuousClock.now
            watcher.stop()
            try await running.value
            #expect(told.duration(to: .now) < .seconds(3) + slack)
        }
    }
}
