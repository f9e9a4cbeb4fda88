extension StoreSnapshot {
    /// What is not as it must be at every moment, a sentence each: of the invariants, I1 to I4 and I8 to I11. A damaged namespace
    /// is told of, not trapped on.
    ///
    /// - I1: a job that has not ended is in exactly one of `ready`, `handoff`, `suspects`, `placed`, `scheduled`, `dead`, or
    ///   its last attempt is in `processing`, or it waits for another job (`blk`) and is in none.
    /// - I2: at most one attempt of a job is in `processing`.
    /// - I3: an attempt in `processing` has a hash with `sta job wrk que nod`.
    /// - I4: an attempt is in exactly one of `processing`, `completed`, `failed`, `ended`.
    /// - I8: an ID in a list has a hash.
    /// - I9: every key is bounded by what it belongs to (``unboundedKeys()``); `places` lists the places where something waits,
    ///   and no others. That each attempt is in a set that is trimmed is I4.
    /// - I10: of a batch `pen` = `tot` − `suc` − `ded` − `oth`, and it has `fin` exactly if it is closed and `pen` is 0.
    /// - I11: what waits for another job, or for a batch, has somebody who will call it or let it go.
    package func invariantViolations() -> [String] {
        let places = placesOfJobs()
        let homes = homesOfAttempts()
        return
            (conservation(places, homes) + attemptsInForce() + attemptHomes(homes) + missingHashes(places)
            + unlistedPlaces() + unboundedKeys() + miscountedBatches() + forgottenJobs())
            .sorted()
    }

    private func placesOfJobs() -> [String: [String]] {
        var places: [String: [String]] = [:]
        let others = ["cancel:", "notes:", "wake:"]
        for (key, ids) in lists where !others.contains(where: { key.hasPrefix($0) }) {
            for id in ids { places[id, default: []].append(key) }
        }
        for (key, members) in sortedSets where key.hasPrefix("scheduled:") || key.hasPrefix("dead:") {
            for id in members.keys { places[id, default: []].append(key) }
        }
        return places
    }

    private func homesOfAttempts() -> [String: [String]] {
        var homes: [String: [String]] = [:]
        for (key, members) in sets where key.hasPrefix("processing:") {
            for id in members { homes[id, default: []].append(key) }
        }
        for (key, members) in sortedSets
        where ["completed:", "failed:", "ended:"].contains(where: { key.hasPrefix($0) }) {
            for id in members.keys { homes[id, default: []].append(key) }
        }
        return homes
    }

    // I1
    private func conservation(_ places: [String: [String]], _ homes: [String: [String]]) -> [String] {
        jobs.compactMap { id, job in
            let last = job.present("las")
            var found = places[id] ?? []
            // An ID that was used again after its record was trimmed is another job's.
            if let last, attempts[last]?["job"] == id {
                found += homes[last]?.filter { $0.hasPrefix("processing:") } ?? []
            }
            let end = job.present("end")
            if job["blk"] == "1" {
                let isWaiting = end == nil && last == nil && found.isEmpty
                return isWaiting ? nil : "I1: job \(id) waits for another, but is in \(found.sorted())"
            }
            let hasSucceeded = last.flatMap { attempts[$0] }.map { $0["fin"] != nil && $0["err"] == nil } ?? false
            switch end {
            case "Dead" where !expiring.contains("jobs:\(id)"):
                return found.count == 1 && found[0].hasPrefix("dead:") ? nil : "I1: job \(id) is dead, but in \(found)"
            case "Dequeued", "Cancelled":
                // The ID may still be in a long list, from which a claim drops it.
                return found.allSatisfy { lists[$0] != nil }
                    ? nil : "I1: job \(id) ended as \(end ?? ""), but is in \(found)"
            case nil where !hasSucceeded:
                return found.count == 1 ? nil : "I1: job \(id) is in \(found.sorted())"
            default:
                return found.isEmpty ? nil : "I1: job \(id) has ended, but is in \(found.sorted())"
            }
        }
    }

    // I2, I3
    private func attemptsInForce() -> [String] {
        var violations: [String] = []
        var running: [String: String] = [:]
        for (key, members) in sets where key.hasPrefix("processing:") {
            for attempt in members {
                let record = attempts[attempt] ?? Record()
                let lacking = ["sta", "job", "wrk", "que", "nod"].filter { record.present($0) == nil }
                if !lacking.isEmpty { violations.append("I3: attempt \(attempt) in \(key) lacks \(lacking)") }
                guard let job = record.present("job") else { continue }
                if let other = running.updateValue(attempt, forKey: job) {
                    violations.append("I2: job \(job) has the attempts \([attempt, other].sorted()) in processing")
                }
            }
        }
        return violations
    }

    // I4
    private func attemptHomes(_ homes: [String: [String]]) -> [String] {
        Set(attempts.keys).union(homes.keys).compactMap { attempt in
            let found = homes[attempt] ?? []
            return found.count == 1 ? nil : "I4: attempt \(attempt) is in \(found.sorted())"
        }
    }

    // I9
    private func unlistedPlaces() -> [String] {
        let filled = Set(lists.keys.compactMap { Self.queue(of: $0, "placed") })
        return filled.symmetricDifference(sets["places"] ?? []).map {
            "I9: places and placed:\($0) contradict each other"
        }
    }

    // I8
    private func missingHashes(_ places: [String: [String]]) -> [String] {
        places.compactMap { id, keys in jobs[id] == nil ? "I8: job \(id) in \(keys.sorted()) has no hash" : nil }
    }
}
