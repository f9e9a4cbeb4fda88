import BackgroundJobs
import Foundation
import Logging
import NIOPosix
import Synchronization
import TestSupport
import Testing

@Suite("Cancelling a running job", .timeLimit(.minutes(20)))
struct CancellationTests {
    @Test("cancels its task on whichever worker it runs, at once and without retries")
    func running() async throws {
        try await withWorkshop { shop in
            let (one, other) = (try shop.worker(fibers: 1), try shop.worker(fibers: 1))
            try await one.withRunning {
                try await other.withRunning {
                    let jobs = [try await shop.enqueue("Sleeps"), try await shop.enqueue("Sleeps")]
                    for job in jobs { try await shop.begun(job) }
                    for job in jobs {
                        let asked = ContinuousClock.now
                        #expect(try await shop.manager.cancel(job) == .told)
                        try await eventually("its task is cancelled") { shop.notes.count("cancelled \(job)") == 1 }
                        // 200 ms are promised; the machine may be busy.
                        #expect(asked.duration(to: .now) < .seconds(2))
                        #expect(try await shop.errors(of: job) == ["Cancelled"])
                        #expect(try await shop.records.job(job)["end"] == "Cancelled")
                    }
                    #expect(try await shop.manager.cancel(jobs[0]) == .ended)
                    #expect(try await shop.records.stats()["cancelled"] == 2)
                    try await shop.nothingIsStuck()
                }
            }
        }
    }

    @Test("is not missed though the note to the worker is lost with its connection")
    func lostNote() async throws {
        try await withWorkshop { shop in
            try await shop.worker().withRunning {
                let (job, other) = (try await shop.enqueue("Sleeps"), try await shop.enqueue("Sleeps"))
                for job in [job, other] { try await shop.begun(job) }
                // As it is when the worker's connection broke with the note on its way.
                try await shop.records("HSET", shop.records.keys.job(job), "cnl", "1")
                try await shop.killWaits()
                #expect(try await shop.errors(of: job) == ["Cancelled"])
                #expect(shop.notes.count("cancelled \(job)") == 1)
                #expect(shop.notes.count("cancelled \(other)") == 0)
            }
        }
    }

    @Test("is not missed whenever its worker's connections break")
    func brokenConnections() async throws {
        try await withWorkshop { shop in
            try await shop.worker(fibers: 100).withRunning {
                for round in 0..<20 {
                    let job = try await shop.enqueue("Sleeps")
                    try await shop.begun(job)
                    async let broken: Void = round.isMultiple(of: 2) ? shop.killWaits() : shop.killAll()
                    try await shop.manager.cancel(job)
                    try await broken
                    #expect(try await shop.errors(of: job) == ["Cancelled"])
                }
                try await shop.nothingIsStuck()
            }
        }
    }

    @Test("that ends at the same moment leaves it completed or cancelled, and nothing in between")
    func atTheEnd() async throws {
        try await withWorkshop { shop in
            try await shop.worker().withRunning {
                for _ in 0..<200 {
                    let job = try await shop.enqueue("Quick")
                    let answer = try await shop.manager.cancel(job)
                    let errors = try await shop.errors(of: job)
                    let end = try await shop.records.job(job)["end"]
                    switch answer {
                    case .cancelled: #expect(errors == ["Cancelled"] && end == "Cancelled")
                    case .told: #expect(errors == ["Cancelled"] ? end == "Cancelled" : errors == [nil] && end == nil)
                    case .ended: #expect(errors == [nil] && end == nil)
                    }
                }
                try await shop.nothingIsStuck()
                // It goes on as if nothing had been.
                let last = try await shop.enqueue("Quick")
                #expect(try await shop.errors(of: last) == [nil])
            }
        }
    }

    @Test("that ignores it abandons it after a while")
    func ignored() async throws {
        try await withWorkshop { shop in
            try await shop.worker(fibers: 1, killAfter: .milliseconds(100)).withRunning {
                let job = try await shop.enqueue("Ignores")
                try await shop.begun(job)
                let next = try await shop.enqueue("Quick")
                try await shop.manager.cancel(job)
                #expect(try await shop.errors(of: job) == ["Cancelled"])
                #expect(try await shop.records.job(job)["end"] == "Cancelled")
                #expect(try await shop.errors(of: next) == [nil])
                #expect(shop.notes.count("over \(job)") == 0)
                shop.gate.open()
                try await eventually("its result is refused") {
                    shop.log.count("A result was refused: the job ignored its cancellation for too long") == 1
                }
                try await shop.nothingIsStuck()
            }
        }
    }

    @Test("counts as abandoned, too, where the attempt was lost", .timeLimit(.minutes(20)))
    func lost() async throws {
        try await withWorkshop { shop in
            try await shop.worker(killAfter: .milliseconds(100)).withRunning {
                let job = try await shop.enqueue("Ignores")
                try await shop.begun(job)
                let keys = shop.records.keys
                let attempt = try #require(try await shop.records.job(job)["las"])
                // As a watcher leaves it; the worker learns of it when it adopts.
                try await shop.records.send([
                    ["SREM", keys.processing("default"), attempt], ["ZADD", keys.failed("default"), "1", attempt],
                    ["HSET", keys.attempt(attempt), "err", "Worker Timeout"], ["ZADD", keys.dead("default"), "1", job],
                ])
                try await shop.killAll()
                try await eventually("it is abandoned") {
                    shop.log.all.contains { $0.hasPrefix("Abandoned a job that ignores its cancellation (lost)") }
                }
                shop.gate.open()
                try await eventually("its result is refused") {
                    shop.log.count("A result was refused: the attempt had been taken away") == 1
                }
                #expect(try await shop.records.attempts(of: job).map { $0["err"] } == ["Worker Timeout"])
            }
        }
    }

    @Test("told before the worker knows that it has begun keeps it from beginning")
    func beforeItBegins() async throws {
        let link = HastyLink()
        var jobs = JobRegistry()
        jobs.register("Never", raw: { _, _ in Issue.record("it ran") })
        let worker = Worker(
            try WorkerOptions(queues: .strict(["default"]), fibers: 1),
            redis: nil,
            node: Node(),
            link: link,
            eventLoops: MultiThreadedEventLoopGroup(numberOfThreads: 1),
            jobs: jobs,
            logger: Workshop.quiet
        )
        try await worker.withRunning {
            try await eventually("its end is reported") { !link.reported.isEmpty }
            #expect(link.reported == [.cancelled(message: "")])
        }
    }
}

extension Workshop {
    fileprivate func killWaits() async throws { try await kill("bg-worker-wait:") }
    fileprivate func killAll() async throws { try await kill("bg-worker") }

    private func kill(_ prefix: String) async throws {
        for client in try await records.clients(named: prefix) {
            try await records("CLIENT", "KILL", "ID", "\(client.id)")
        }
    }
}

/// A link that hands out one job and tells of its cancellation before it does.
private final class HastyLink: WorkerLink {
    private let host = Mutex<(any WorkerLinkHost)?>(nil)
    private let hasHandedOut = Atomic(false)
    private let endings = Mutex<[Ending]>([])

    var reported: [Ending] { endings.withLock { $0 } }

    func start(for host: any WorkerLinkHost) async throws(BackgroundError) {
        self.host.withLock { $0 = host }
        _ = host.linkIsAdopting()
        host.linkAdopted(Adopted(verdicts: [:], granted: []), session: 1, mayHaveRolledBack: false)
    }

    func exchange(
        _ finishes: [Finish],
        _ claim: Claim,
        session: UInt64,
        completion: @escaping @Sendable (@escaping Answer) -> Void
    ) {
        endings.withLock { $0 += finishes.map(\.ending) }
        guard let attempt = claim.offered.first, !hasHandedOut.exchange(true, ordering: .relaxed) else {
            return completion { () throws(BackgroundError) in Exchange() }
        }
        host.withLock { $0 }?.linkCancelled(attempt)
        let job = ClaimedJob(
            attempt: attempt,
            id: "job",
            queue: "default",
            number: 1,
            className: "Never",
            arguments: [],
            queuedAt: nil
        )
        completion { () throws(BackgroundError) in Exchange(jobs: [job]) }
    }

    func arm(_ queues: [String]) {}
    func listen() {}
    func sweep(_ queues: [String], isKnown: @Sendable (String) -> Bool) async throws(BackgroundError) -> [Reaped] { [] }
    func note(_ notes: [AttemptNote]) {}

    func close() async { host.withLock { $0 = nil } }
}
