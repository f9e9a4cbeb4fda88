import BackgroundJobs
import BackgroundJobsTesting
import Testing

/// What somebody does to jobs from outside: cancel, retry, delete.
@Suite("Conformance: cancel, retry, delete", .timeLimit(.minutes(20)))
struct SteeringConformance {
    @Test("a job that waits ends as cancelled, with a record", arguments: StoreKind.allCases)
    func cancelWaiting(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("ready", "handed", "suspect")
            try await store.enqueue("later", due: .after(milliseconds: 60_000))
            try await store.edit { data in
                data.lists["ready:q"] = ["ready"]
                data.lists["handoff:q"] = ["handed"]
                data.lists["suspects:q"] = ["suspect"]
            }
            for (index, id) in ["ready", "handed", "suspect", "later"].enumerated() {
                #expect(try await store.store.cancel(id, recordedAs: "x\(index)") == .cancelled)
                let job = try #require(try await store.job(id))
                #expect(job["end"] == "Cancelled" && job["las"] == "x\(index)")
                let attempt = try #require(try await store.attempt("x\(index)"))
                #expect(attempt["num"] == "0" && attempt["err"] == "Cancelled" && attempt["job"] == id)
                #expect(try await store.store.cancel(id, recordedAs: "y\(index)") == .ended)
            }
            #expect(try await store.ranked("ended:q") == ["x0", "x1", "x2", "x3"])
            #expect(try await store.claim(5).jobs.isEmpty)
            #expect(try await store.counters() == ["cancelled": 4])
            #expect(try await store.store.cancel("nobody", recordedAs: "z") == .missing)
        }
    }

    @Test("the worker of a job that runs is told, and the job is not run again", arguments: StoreKind.allCases)
    func cancelRunning(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("fails", "succeeds", "crashes")
            let jobs = try await store.claim(3).jobs
            for job in jobs { #expect(try await store.store.cancel(job.id, recordedAs: "x") == .told) }
            #expect(try await store.list("cancel:node-1") == jobs.map(\.attempt))
            #expect(try await store.snapshot().expiring.contains("cancel:node-1"))
            #expect(try await store.attempt("x") == nil)
            try await store.finish(jobs[0], .retried(error: "Boom", message: "m", after: 5, queue: nil))
            try await store.finish(jobs[1])
            #expect(try await store.reap(jobs[2]) == .cancelled)
            #expect(try await store.job("fails")?["end"] == "Cancelled")
            #expect(try await store.attempt(jobs[0].attempt)?["msg"] == "Boom: m")
            #expect(try await store.job("crashes")?["end"] == "Cancelled")
            #expect(try await store.job("succeeds")?["end"] == nil, "success has the last word")
            #expect(try await store.store.cancel("succeeds", recordedAs: "x") == .ended)
            #expect(try await store.counters() == ["cancelled": 2, "completed": 1])
        }
    }

    @Test(
        "a job that waits and is marked by hand is cancelled by the claim that meets it",
        arguments: StoreKind.allCases
    )
    func cancelledByHand(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b")
            try await store.edit { $0.jobs["a"]?["cnl"] = "1" }
            let claimed = try await store.claim(2)
            #expect(claimed.jobs.map(\.id) == ["b"] && claimed.notices.isEmpty)
            #expect(try await store.job("a")?["end"] == "Cancelled")
            #expect(try await store.ranked("ended:q").count == 1)
        }
    }

    @Test("what ended without success is run again as new", arguments: StoreKind.allCases)
    func retry(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("dead", "discarded", "cancelled", "done", "runs", "waits")
            try await store.enqueue("later", due: .after(milliseconds: 60_000))
            let jobs = try await store.claim(5).jobs
            try await store.finish(jobs[0], .dead(error: "E", message: ""))
            try await store.finish(jobs[1], .discarded(error: "E", message: ""))
            try await store.finish(jobs[2], .cancelled(message: ""))
            try await store.finish(jobs[3])
            try await store.edit { data in
                data.jobs["dead"]?["crs"] = "3"
                data.jobs["dead"]?["crt"] = "5"
                data.jobs["dead"]?["exp"] = "5"
            }
            let all = ["dead", "discarded", "cancelled", "done", "runs", "waits", "later", "nobody"]
            let verdicts = try await store.store.retry(all, onlyDead: false)
            #expect(
                verdicts == [.queued, .queued, .queued, .ended, .running, .waiting, .queued, .missing],
                "\(verdicts)"
            )
            #expect(try await store.list("ready:q") == ["waits", "dead", "discarded", "cancelled", "later"])
            #expect(try await store.ranked("dead:q").isEmpty)
            #expect(try await store.ranked("scheduled:q").isEmpty)
            for id in ["dead", "discarded", "cancelled"] {
                let job = try #require(try await store.job(id))
                #expect(["end", "ers", "crs", "crt", "cnl", "exp"].allSatisfy { job[$0] == nil })
                #expect(job["las"] != nil && job["att"] == "1")
            }
            #expect(try await store.claim(5).jobs.count == 5)
            let again = try await store.store.retry(["dead"], onlyDead: false)
            #expect(again == [.running])
        }
    }

    @Test(
        "a cancelled job whose ID is still in a list that was too long to be searched is there once when it is retried",
        arguments: StoreKind.allCases
    )
    func retryFromLongList(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b")
            try await store.edit { data in
                data.jobs["a"]?["end"] = "Cancelled"
                data.sets["queues"] = nil
            }
            #expect(try await store.store.retry(["a"], onlyDead: false) == [.queued])
            #expect(try await store.list("ready:q") == ["b", "a"])
            #expect(try await store.set("queues") == ["q"], "watchers know where it waits")
        }
    }

    @Test(
        "a job that is retried is dead no more, if its queue or that of its last attempt has been changed by hand",
        arguments: StoreKind.allCases,
        ["job", "attempt"]
    )
    func retryElsewhere(_ kind: StoreKind, _ changed: String) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a")
            let job = try await store.claimOne()
            try await store.finish(job, .dead(error: "E", message: ""))
            try await store.edit { data in
                if changed == "job" { data.jobs["a"]?["que"] = "r" } else { data.attempts[job.attempt]?["que"] = nil }
            }
            #expect(try await store.store.retry(["a"], onlyDead: true) == [.queued])
            #expect(try await store.list(changed == "job" ? "ready:r" : "ready:q") == ["a"])
            #expect(try await store.ranked("dead:q").isEmpty)
        }
    }

    @Test(
        "a job whose record was trimmed or deleted is gone, though its hash stays for a while",
        arguments: StoreKind.allCases
    )
    func retryTrimmed(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("j")
            try await store.finish(try await store.claimOne(), .discarded(error: "E", message: ""))
            _ = try await store.store.trim(.failed, of: "q", keep: Retention(age: nil, count: 0), limit: 5, from: 0)
            #expect(try await store.timeToLive(ofJob: "j") != nil)
            #expect(try await store.store.retry(["j"], onlyDead: false) == [.missing])
            #expect(try await store.list("ready:q").isEmpty)
        }
    }

    @Test("deleting takes along what trimming does, and tells what is gone", arguments: StoreKind.allCases)
    func delete(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b", "c")
            let jobs = try await store.claim(3).jobs
            for job in jobs[..<2] { try await store.finish(job, .dead(error: "E", message: "")) }
            try await store.finish(jobs[2], .discarded(error: "E", message: ""))
            let failed = jobs.map(\.attempt)
            #expect(try await store.store.delete(failed + ["nobody"], from: .failed, of: "q").gone == [failed[2]])
            #expect(try await store.timeToLive(ofJob: "c") != nil)
            #expect(try await store.store.delete(["a", "nobody"], from: .dead, of: "q").gone == ["a"])
            #expect(try await store.attempt(failed[0]) == nil)
            #expect(try await store.ranked("failed:q") == [failed[1]])
            #expect(try await store.store.delete(["a"], from: .dead, of: "q").gone == [])
            #expect(try await store.store.retry(["a"], onlyDead: true) == [.missing])
            #expect(try await store.ranked("dead:q") == ["b"])
        }
    }
    @Test(
        "to cancel, a list of more than 10,000 is not searched: the job is dropped by a claim",
        arguments: StoreKind.allCases
    )
    func longList(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b")
            let others = (1...10_000).map { "o\($0)" }
            try await store.edit { $0.lists["ready:q"] = others + ["a"] }
            #expect(try await store.store.cancel("a", recordedAs: "x1") == .cancelled)
            #expect(try await store.job("a")?["end"] == "Cancelled")
            #expect(try await store.list("ready:q") == others + ["a"])
            try await store.edit { $0.lists["ready:q"] = Array(others.dropFirst()) + ["b"] }
            if kind == .redis {
                let error = await #expect(throws: BackgroundError.self) {
                    try await store.store.cancel("b", recordedAs: "x1")
                }
                #expect("\(try #require(error))".contains("attempts:x1"))
            }
            #expect(try await store.store.cancel("b", recordedAs: "x2") == .cancelled)
            #expect(try await store.list("ready:q") == Array(others.dropFirst()))
            try await store.edit { $0.lists["ready:q"] = ["a"] }
            #expect(try await store.claim(1).jobs.isEmpty)
            #expect(try await store.list("ready:q").isEmpty)
        }
    }
}
