import BackgroundJobs

/// What watchers do on Redis, for a store in memory: promote, fire, and give to any node what waits for one that is not there.
struct MemoryDuties: Sendable {
    private var plan = FiringPlan()

    /// Which duties.
    struct Scope: Sendable {
        /// The workers, and their queues; nil: all.
        var workers: [(name: String, queues: Set<String>?)]
        var firesPeriodics = true
    }

    /// Does all that is due at the time of the transition.
    ///
    /// - Returns: what can't be fired, as sentences.
    mutating func carryOut(_ state: inout MemoryState, _ scope: Scope) -> [String] {
        for queue in state.scheduledQueues {
            _ = state.promote(queue, limit: .max)
        }
        for place in state.unserved(scope) {
            _ = state.fallBack(place, absence: .max, limit: .max, from: 0)
        }
        return scope.firesPeriodics ? fire(&state) : []
    }

    private mutating func fire(_ state: inout MemoryState) -> [String] {
        var problems: [String] = []
        while true {
            let due = state.due(limit: 100, offset: problems.count)
            if due.entries.isEmpty { return problems }
            for entry in due.entries {
                do throws(BackgroundError) {
                    switch state.fire(try plan.firing(entry, now: due.now)) {
                    case .fired, .skipped, .passed, .rested: break
                    case .damaged(let sentence): problems.append("\(entry.name): \(sentence)")
                    case .taken, .early: problems.append("\(entry.name): it changed meanwhile")
                    }
                } catch {
                    problems.append("\(entry.name): \(error.message)")
                }
            }
        }
    }

    /// When there is something to do again, ms; nil: never, as it stands.
    func next(_ state: MemoryState, _ scope: Scope) -> Int64? {
        var times = state.scheduledQueues.compactMap { state.data.sortedSets["scheduled:\($0)"]?.values.min() }
        // Those that can't be fired stay due, and are no reason to look at once.
        if scope.firesPeriodics, let wait = state.due(limit: 0, offset: 0).wait { times.append(state.now + wait) }
        for place in state.unserved(scope) {
            for job in state.list("placed", "\(place)") {
                guard let record = state.data.jobs[job], record["fbk"] != "never" else { continue }
                times.append((record.number("plt") ?? state.now) + (record.number("fbk") ?? 10_000))
            }
        }
        return times.min()
    }
}

extension MemoryState {
    var scheduledQueues: [String] {
        data.sortedSets.keys.compactMap { StoreSnapshot.queue(of: $0, "scheduled") }.sorted()
    }

    /// Places for whose jobs there is no worker.
    fileprivate func unserved(_ scope: MemoryDuties.Scope) -> [Place] {
        (data.sets["places"] ?? []).sorted().compactMap(Place.init).filter { place in
            !scope.workers.contains { ($0.queues?.contains(place.queue) ?? true) && place.suits($0.name) }
        }
    }
}
