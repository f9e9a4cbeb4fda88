@testable import BackgroundJobs
@testable import BackgroundJobsTesting

extension World {
    /// What must never be, a sentence each: the invariants of the store, and those that it takes the workers to see.
    var broken: [String] { store.data.invariantViolations() + overruns() + orphans() + unvouched() }

    /// What must never happen.
    ///
    /// - Parameter former: the state before.
    func wrongs(since former: World) -> [String] { violations + changedEnds(former) }

    /// I6: the first job is forgiven one crash; the second begins only once, unless it was given back.
    private func overruns() -> [String] {
        let attempts = store.data.attempts.values
        let crashes = attempts.count { $0["job"] == jobs[0] && $0["err"] == "Worker Timeout" }
        var found: [String] = []
        if crashes > 2 { found.append("I6: \(jobs[0]) has had \(crashes) crashes, and one is forgiven") }
        if crashes == 2, !store.data.hasEnded(jobs[0]) {
            found.append("I6: \(jobs[0]) is to run again after two crashes, and one is forgiven")
        }
        guard jobs.count > 1 else { return found }
        let runs = attempts.count { $0["job"] == jobs[1] && $0["err"] != "Shutdown" }
        if runs > 1 { found.append("I6: \(jobs[1]) is to run at most once, and has \(runs) attempts") }
        return found
    }

    /// What runs by the records of a worker's process is known to that process: else nobody would ever end it, and as long
    /// as the process lives no watcher would.
    private func orphans() -> [String] {
        (store.data.sets["processing:\(Self.queue)"] ?? []).compactMap { attempt in
            guard let record = store.data.attempts[attempt] else { return nil }
            for index in workers.indices where workers[index].isAlive && record["nod"] == node(index) {
                if workers[index].machine.answersFor(attempt) { return nil }
                // It has the name of a connection that waits to be sweeped, or whose former requests may yet arrive.
                if !workers[index].machine.isLinked || workers[index].machine.needsSweep { return nil }
                return "O: an attempt of \(record["job"] ?? "?") runs at \(node(index)), which does not know of it"
            }
            return nil
        }
    }

    /// What a worker runs is vouched for by the connection that it has.
    private func unvouched() -> [String] {
        workers.indices.flatMap { index -> [String] in
            let worker = workers[index]
            guard worker.isAlive, worker.machine.isLinked, let client = worker.client else { return [] }
            return worker.machine.running.values.map(\.job).sorted().compactMap { job in
                guard let last = store.data.jobs[job]?["las"], worker.machine.isRunning(last),
                    store.isProcessing(last, Self.queue), store.data.attempts[last]?["wrk"] != "\(client)"
                else { return nil }
                return "V: \(job) runs at \(node(index)), and its attempt names another connection"
            }
        }
    }

    /// I7: what has ended for good stays so.
    private func changedEnds(_ former: World) -> [String] {
        jobs.compactMap { job in
            guard former.store.data.hasEnded(job) else { return nil }
            let (before, after) = (former.store.data.jobs[job], store.data.jobs[job])
            guard store.data.hasEnded(job), before?["end"] == after?["end"], before?["las"] == after?["las"] else {
                return "I7: \(job) had ended and has not any more, or otherwise"
            }
            return nil
        }
    }
}
