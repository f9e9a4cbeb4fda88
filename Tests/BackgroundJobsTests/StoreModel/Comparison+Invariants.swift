import BackgroundJobsTesting
import TestSupport

@testable import BackgroundJobs

/// The invariants that no single snapshot can show.
extension Comparison {
    /// I5: a finish of an attempt that is not in `processing` changes nothing, in neither store.
    mutating func finishStale() async throws -> String {
        let endings: [Ending] = [
            .completed, .dead(error: "Late", message: ""), .crashed(message: ""), .shutdown, .unbegun,
            .retried(error: "Late", message: "", after: 0, queue: "r"), .snoozed(after: 0), .cancelled(message: ""),
        ]
        let ending = random.pick(endings)
        let before = memory.snapshot
        let known =
            past
            + running.map {
                Finish(
                    attempt: $0.job.attempt,
                    queue: $0.job.queue,
                    job: $0.job.id,
                    milliseconds: 1,
                    ending: ending,
                    hasTies: $0.job.hasTies
                )
            }
        let stale = known.filter { before.sets["processing:\($0.queue)"]?.contains($0.attempt) != true }
        guard !stale.isEmpty else { return "nothing stale to finish" }
        var finish = random.pick(stale)
        if random.upTo(2) == 0 { finish.ending = ending }
        let former = try await RedisSnapshot(redis).read().snapshot
        let model = try await memory.exchange([finish], .none, as: Self.vouchers[0])
        check("stale finish", model, try await redis.exchange([finish], .none, as: Self.vouchers[0]))
        if ![.done, .lost].contains(model.exceptions[0]) {
            differences.append("I5: the stale finish of \(finish.attempt) was answered \(model.exceptions)")
        }
        if memory.snapshot != before {
            differences.append("I5: the stale finish of \(finish.attempt) changed the model")
        }
        if try await RedisSnapshot(redis).read().snapshot != former {
            differences.append("I5: the stale finish of \(finish.attempt) changed Redis")
        }
        return "stale finish of \(finish.attempt): \(finish.ending)"
    }

    /// I6: a crash has put a job back, or ended it.
    mutating func noteCrash(of attempt: String) {
        let data = memory.snapshot
        guard let record = data.attempts[attempt], let job = record.present("job"), record["err"] != "Cancelled",
            data.jobs[job] != nil, !data.hasEnded(job)
        else { return }
        differences += history.putBack(job, by: record, at: now)
    }
}

/// What has happened to the jobs of a ``Comparison``.
struct History {
    private struct Crashes {
        var first: Int64
        var count: Int
    }

    private var previous = StoreSnapshot()
    private var reopened: Set<String> = []
    private var crashes: [String: Crashes] = [:]

    /// The job may run again in this step, by hand.
    mutating func reopen(_ job: String) {
        reopened.insert(job)
        if previous.hasEnded(job) { crashes[job] = nil }
    }

    /// I6: the crashes that put a job back, within its window, are no more than it is forgiven; one that is to run at most once
    /// is never put back.
    mutating func putBack(_ job: String, by attempt: StoreSnapshot.Record, at now: Int64) -> [String] {
        let window = attempt.number("crw") ?? 259_200_000
        var seen = crashes[job] ?? Crashes(first: now, count: 0)
        if window > 0, now - seen.first > window { seen = Crashes(first: now, count: 0) }
        seen.count += 1
        crashes[job] = seen
        if attempt["dlv"] == "amo" { return ["I6: job \(job) is to run at most once and was put back by a crash"] }
        let budget = attempt["crm"] == "all" ? Int.max : Int(attempt.number("crm") ?? 3)
        return seen.count > budget
            ? ["I6: crash \(seen.count) has put job \(job) back, and \(budget) are forgiven"] : []
    }

    /// I7: a job that has ended gets no further attempt and no other end, unless it was retried by hand or its hash went.
    func changedEnds(_ now: StoreSnapshot) -> [String] {
        let fresh = now.attempts.filter { previous.attempts[$0.key] == nil }
        let begun = Set(fresh.values.compactMap { $0.present("job") })
        return previous.jobs.keys.sorted().compactMap { id in
            guard previous.hasEnded(id), !reopened.contains(id), let job = now.jobs[id], let former = previous.jobs[id],
                former["end"] != "Dequeued"
            else { return nil }
            if begun.contains(id) { return "I7: job \(id) had ended and got another attempt" }
            let end = former.present("end") ?? "Completed"
            if let other = job.present("end"), other != end {
                return "I7: job \(id) had ended as \(end), now as \(other)"
            }
            // One that succeeded has no field that says so while its attempt is kept.
            return now.hasEnded(id) ? nil : "I7: job \(id) had ended as \(end) and has not any more"
        }
    }

    /// A step is over.
    mutating func proceed(to snapshot: StoreSnapshot) {
        crashes = crashes.filter { snapshot.jobs[$0.key] != nil }
        previous = snapshot
        reopened = []
    }
}
