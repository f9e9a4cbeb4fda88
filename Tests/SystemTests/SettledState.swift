import BackgroundJobs
import TestSupport
import Testing

extension Stage {
    /// Checks what Redis holds when all is done (invariants I1 to I4, I8): nothing waits or runs, each attempt is in
    /// exactly one set, each job's chain of attempts is whole and ended once for good.
    ///
    /// - Parameter jobs: the acknowledged IDs.
    func checkSettled(
        _ jobs: [String],
        queue: String = "default",
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let keys = records.keys
        let waiting = try await records.send([
            ["LRANGE", keys.ready(queue), "0", "-1"], ["LRANGE", keys.handoff(queue), "0", "-1"],
            ["LRANGE", keys.suspects(queue), "0", "-1"], ["ZRANGE", keys.scheduled(queue), "0", "-1"],
            ["SMEMBERS", keys.processing(queue)],
        ]).map(\.texts)
        #expect(waiting == [[], [], [], [], []], "nothing waits, nothing is stuck", sourceLocation: sourceLocation)

        let sets = try await records.send(
            [keys.completed(queue), keys.failed(queue), keys.ended(queue)].map { ["ZRANGE", $0, "0", "-1"] }
        ).map { Set($0.texts) }
        let dead = Set(try await records.dead(queue))
        let (completed, others) = (sets[0], sets[1].union(sets[2]))
        let twice = sets[0].intersection(sets[1]).union(sets[0].intersection(sets[2])).union(
            sets[1].intersection(sets[2])
        )
        #expect(twice.isEmpty, "an attempt is in one set", sourceLocation: sourceLocation)

        var wrong: [String] = []
        for job in jobs {
            let fields = try await records.job(job)
            let chain = try await chain(of: job)
            if Int(fields["att"] ?? "") != chain.count {
                wrong.append("\(job): att \(fields["att"] ?? "–"), \(chain.count) attempts")
            }
            for attempt in chain.dropLast() where !others.contains(attempt) {
                wrong.append("\(job): attempt \(attempt) before the last neither failed nor ended")
            }
            let hasCompleted = chain.last.map(completed.contains) ?? false
            if hasCompleted == dead.contains(job) {
                wrong.append("\(job): completed \(hasCompleted), dead \(!hasCompleted)")
            }
        }
        #expect(wrong.prefix(5) == [], "\(wrong.count) jobs are not as they should be", sourceLocation: sourceLocation)
        let violations = try await invariantViolations(server, namespace: namespace)
        #expect(violations.prefix(5) == [], "\(violations.count) violations", sourceLocation: sourceLocation)
        let empty = try await emptyFields()
        #expect(empty.prefix(5) == [], "no field is empty", sourceLocation: sourceLocation)
    }

    private func chain(of job: String) async throws -> [String] {
        var chain: [String] = []
        var next = try await records.job(job)["las"]
        while let id = next, chain.count < 1000 {
            chain.append(id)
            next = try await records("HGET", records.keys.attempt(id), "prv").text
        }
        return chain.reversed()
    }

    /// Fields of hashes that are present and empty.
    private func emptyFields() async throws -> [String] {
        var found: [String] = []
        var cursor = "0"
        repeat {
            let page = try await records("SCAN", cursor, "TYPE", "hash", "COUNT", "1000").replies
            cursor = page[0].text ?? "0"
            let names = page[1].texts
            let hashes = names.isEmpty ? [] : try await records.send(names.map { ["HGETALL", $0] })
            for (name, hash) in zip(names, hashes) {
                found += hash.fields.filter { $0.value.isEmpty }.map { "\(name) \($0.key)" }
            }
        } while cursor != "0"
        return found
    }
}
