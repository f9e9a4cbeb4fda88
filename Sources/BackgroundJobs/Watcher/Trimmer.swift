import Logging

/// trim: removes the oldest of `completed`, `failed`, `ended` and `dead` beyond the retention, in bounded steps.
struct Trimmer: Sendable {
    static let step = 200

    let watch: Watch

    private typealias Places = [TrimmedSet: [String: TrimPlace]]

    func run() async {
        var places: Places = [:]
        await watch.atEachLook("trim") { look throws(BackgroundError) in
            for set in TrimmedSet.allCases {
                let keep = watch.options.retention(of: set)
                guard keep.age != nil || keep.count != nil else { continue }
                let queues = look.queues.keys.filter { look.mayTrim(set, of: $0, keep: keep) }.sorted()
                try await watch.forEach(queues, "trim") { queue throws(BackgroundError) in
                    let removed = try await trim(set, of: queue, keep: keep, &places)
                    // A dead job takes its attempts along, and they stand in the sets of any queue.
                    if set == .dead, removed > 0 { Self.change(&places) }
                }
            }
        }
    }

    private static func change(_ places: inout Places) {
        for set in places.keys {
            places[set] = places[set]?.mapValues { place in
                var place = place
                place.change()
                return place
            }
        }
    }

    /// Removes what may go; returns how many.
    private func trim(
        _ set: TrimmedSet,
        of queue: String,
        keep: Retention,
        _ places: inout Places
    ) async throws(BackgroundError) -> Int {
        var place = places[set]?[queue] ?? TrimPlace(now: .now)
        var removed = 0
        var rank = place.begin(now: .now)
        while !Task.isCancelled {
            let trimmed = try await watch.store.trim(set, of: queue, keep: keep, limit: Self.step, from: rank)
            removed += trimmed.removed
            for problem in trimmed.problems {
                watch.notices.log(queue, problem) {
                    watch.logger.error("Could not trim: \($0)", metadata: [LogKey.queue: "\(queue)"])
                }
            }
            rank = place.looked(from: rank, trimmed)
            guard trimmed.hasMore else { break }
        }
        places[set, default: [:]][queue] = place
        if removed > 0 {
            watch.logger.info("Trimmed \(removed) of \(set.rawValue)", metadata: [LogKey.queue: "\(queue)"])
        }
        return removed
    }
}
