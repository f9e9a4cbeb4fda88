import BackgroundJobs

extension Stage {
    /// What is not as it must be in Redis when all is done (invariants I1 to I4, I8), a sentence each: nothing waits or runs,
    /// each attempt is in exactly one set, each job's chain of attempts is whole and ended once for good.
    ///
    /// - Parameter jobs: the acknowledged IDs.
    package func unsettled(_ jobs: [String], queue: String = "default") async throws -> [String] {
        let keys = records.keys
        let waiting = try await records.send([
            ["LRANGE", keys.ready(queue), "0", "-1"], ["LRANGE", keys.handoff(queue), "0", "-1"],
            ["LRANGE", keys.suspects(queue), "0", "-1"], ["ZRANGE", keys.scheduled(queue), "0", "-1"],
            ["SMEMBERS", keys.processing(queue)],
        ]).map(\.texts)
        var wrong: [String] = []
        for (set, members) in zip(["ready", "handoff", "suspects", "scheduled", "processing"], waiting)
        where !members.isEmpty {
            wrong.append("\(members.count) in \(set)")
        }

        let sets = try await records.send(
            [keys.completed(queue), keys.failed(queue), keys.ended(queue)].map { ["ZRANGE", $0, "0", "-1"] }
        ).map { Set($0.texts) }
        let dead = Set(try await records.dead(queue))
        let (completed, others) = (sets[0], sets[1].union(sets[2]))
        let twice = sets[0].intersection(sets[1]).union(sets[0].intersection(sets[2])).union(
            sets[1].intersection(sets[2])
        )
        wrong += twice.map { "attempt \($0) is in two sets" }
        for start in stride(from: 0, to: jobs.count, by: 500) {
            let page = Array(jobs[start..<min(start + 500, jobs.count)])
            let fields = try await records.send(page.map { ["HGETALL", keys.job($0)] }).map(\.fields)
            for ((job, fields), chain) in zip(zip(page, fields), try await chains(fields.map { $0["las"] })) {
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
        }
        return try await wrong + invariantViolations(server, namespace: namespace) + emptyFields()
    }

    /// All attempts of each job, the oldest first, from its last.
    private func chains(_ last: [String?]) async throws -> [[String]] {
        var chains = last.map { $0.map { [$0] } ?? [] }
        var growing = chains.indices.filter { !chains[$0].isEmpty }
        while !growing.isEmpty {
            let former = try await records.send(
                growing.map { ["HGET", records.keys.attempt(chains[$0].last ?? ""), "prv"] }
            )
            var next: [Int] = []
            for (index, reply) in zip(growing, former) where reply.text != nil && chains[index].count < 1000 {
                chains[index].append(reply.text ?? "")
                next.append(index)
            }
            growing = next
        }
        return chains.map { $0.reversed() }
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
                found += hash.fields.filter { $0.value.isEmpty }.map { "\(name) has an empty field \($0.key)" }
            }
        } while cursor != "0"
        return found
    }
}
