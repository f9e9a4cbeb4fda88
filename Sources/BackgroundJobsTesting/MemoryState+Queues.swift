import BackgroundJobs

extension MemoryState {
    mutating func setPaused(_ isPaused: Bool, _ queues: [String]) -> [String] {
        queues.filter { queue in
            if isPaused { return data.sets["paused", default: []].insert(queue).inserted }
            return data.sets["paused"]?.remove(queue) != nil
        }
    }

    /// What a wait has taken from a queue that is paused goes back.
    mutating func putBack(_ queue: String) {
        let ids = list("handoff", queue).prefix(128)
        data.lists["handoff:\(queue)"]?.removeFirst(ids.count)
        touch("ready:\(queue)")
        data.lists["ready:\(queue)", default: []].insert(contentsOf: ids, at: 0)
    }

    mutating func clear(_ place: WaitingPlace, of queue: String, limit: Int) -> WaitingStep {
        let ids = takeHead(place, queue, limit).map(\.id)
        var step = WaitingStep(taken: ids.count, done: 0)
        for id in ids {
            if data.jobs[id]?["end"] == "Dequeued" {
                deleteJob(id)
                continue
            }
            guard let standing = standing(of: id), !standing.isRunning, !standing.hasEnded else { continue }
            if standing.queue.isEmpty {
                step.problems.append("the job \(id) has no field que")
            } else {
                endJob(id, as: "Dequeued")
                deleteJob(id)
                step.done += 1
            }
        }
        return step
    }

    mutating func move(_ place: WaitingPlace, from queue: String, to target: String, limit: Int) -> WaitingStep {
        let entries = takeHead(place, queue, limit)
        var step = WaitingStep(taken: entries.count, done: 0)
        var seen: Set<String> = []
        for (id, score) in entries {
            if data.jobs[id]?["end"] == "Dequeued" {
                deleteJob(id)
                continue
            }
            let standing = standing(of: id)
            if let standing {
                guard !standing.isRunning, !standing.hasEnded else { continue }
                if standing.queue.isEmpty { step.problems.append("the job \(id) has no field que") }
            }
            guard seen.insert(id).inserted else { continue }
            if standing?.queue.isEmpty == false {
                data.jobs[id]?["que"] = target
                if place == .placed {
                    data.jobs[id]?["pla"] = nil
                    data.jobs[id]?["plt"] = nil
                }
            }
            if let score {
                touch("scheduled")
                setScore(place.rawValue, target, id, score)
            } else {
                pushTail([.handoff, .placed].contains(place) ? "ready" : place.rawValue, target, id)
            }
            step.done += 1
        }
        if step.done > 0 { data.sets["queues", default: []].insert(target) }
        return step
    }

    /// Takes IDs off the head of a place, those that are scheduled with their times.
    private mutating func takeHead(_ place: WaitingPlace, _ queue: String, _ limit: Int) -> [(
        id: String, score: Int64?
    )] {
        let key = "\(place.rawValue):\(queue)"
        if place == .scheduled {
            return data.ranked(key).prefix(limit).map { ($0, data.sortedSets[key]?.removeValue(forKey: $0)) }
        }
        let ids = list(place.rawValue, queue).prefix(limit)
        data.lists[key]?.removeFirst(ids.count)
        if place == .placed, list(place.rawValue, queue).isEmpty { data.sets["places"]?.remove(queue) }
        return ids.map { ($0, nil) }
    }
}
