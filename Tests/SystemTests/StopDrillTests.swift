import Foundation
import TestSupport
import Testing

extension SystemTests.Stops {
    /// Row W10: duplicates 0, lost 0. A thousand times in full.
    @Test("under load runs nothing twice and loses nothing, again and again")
    func underLoad() async throws {
        let stage = try await Stage()
        let watcher = try await stage.watcher()
        let producer = Producer(stage, #"{"ms":10}"#)
        for _ in 0..<(isFull ? 1000 : 12) {
            let worker = try await stage.worker("--timeout", "5")
            let before = stage.ledger.started
            try await eventually("load") { stage.ledger.started > before + Int.random(in: 20...80) }
            worker.signal(SIGTERM)
            #expect(try await worker.exit(within: .seconds(20)) == .status(0))
            #expect(try await stage.records.processing() == [], "an exit leaves nothing behind")
        }
        let jobs = try await producer.stop()
        let last = try await stage.worker()
        try await stage.ended(jobs)
        try await stage.drained()
        #expect(LedgerChecker(stage.ledger).report(acknowledged: jobs) == LedgerChecker.Report())
        #expect(watcher.count(of: "Ended an attempt") == 0)
        #expect(last.isRunning)
        try await stage.checkSettled(jobs)
    }

    /// Row W12: stopped while it waits in BLMOVE and jobs are being pushed. A thousand times in full.
    @Test("while jobs come in one by one leaves none in between, again and again")
    func whileProducing() async throws {
        let stage = try await Stage()
        // In full there are more jobs than are kept as a rule.
        let watcher = try await stage.watcher("--keep-completed", "all")
        let producer = Producer(stage, #"{"ms":0}"#, batch: 1, pause: .milliseconds(1))
        for _ in 0..<(isFull ? 1000 : 20) {
            let worker = try await stage.worker()
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...50)))
            worker.signal(SIGTERM)
            #expect(try await worker.exit(within: .seconds(20)) == .status(0))
        }
        let jobs = try await producer.stop()
        let last = try await stage.worker()
        try await stage.ended(jobs)
        try await stage.drained()
        #expect(LedgerChecker(stage.ledger).report(acknowledged: jobs) == LedgerChecker.Report())
        #expect(watcher.count(of: "Ended an attempt") == 0)
        #expect(last.isRunning)
        try await stage.checkSettled(jobs)
    }

    /// Row W11: SIGTERM, and SIGKILL while it gives back.
    @Test("and is killed while it leaves loses nothing")
    func killedWhileStopping() async throws {
        let stage = try await Stage()
        let watcher = try await stage.watcher("--second-look", "0.2")
        let jobs = try await stage.enqueue("Sleeping", #"{"ms":400}"#, count: isFull ? 5000 : 200)
        var deaths: [Int32: Int64] = [:]
        // Those that were killed too often are dead.
        func areOver() async throws -> Bool {
            try await stage.ledger.ended + stage.records.dead().count >= jobs.count
        }
        for _ in 0..<(isFull ? 1000 : 10) {
            if try await areOver() { break }
            let worker = try await stage.worker("--timeout", "0.05")
            let before = stage.ledger.started
            try await eventually("jobs run") {
                if stage.ledger.started > before { return true }
                return try await areOver()
            }
            worker.signal(SIGTERM)
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...400)))
            deaths[worker.pid] = Ledger.now
            worker.kill()
        }
        let last = try await stage.worker("--fibers", "100")
        try await stage.drained()
        let report = LedgerChecker(stage.ledger, deaths: deaths).report(acknowledged: jobs)
        let dead = Set(try await stage.records.dead())
        #expect(report.lost.subtracting(dead) == [])
        #expect(report.unexpected == [])
        #expect(report.overlapping == [])
        for job in dead { #expect(try await stage.records.job(job)["crs"] == "4") }
        #expect(watcher.isRunning && last.isRunning)
        try await stage.checkSettled(jobs)
    }
}
