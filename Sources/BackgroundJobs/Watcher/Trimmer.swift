import Logging

/// trim: removes the oldest of `completed`, `failed`, `ended` and `dead` beyond the retention, in bounded steps.
struct Trimmer: Sendable {
    static let step = 200

    let watch: Watch

    func run() async {
        await watch.every("trim") { () async throws(BackgroundError) -> Duration? in
            let queues = try await watch.queues()
            for set in TrimmedSet.allCases {
                let keep = watch.options.retention(of: set)
                guard keep.age != nil || keep.count != nil else { continue }
                try await watch.forEach(queues, "trim") { queue throws(BackgroundError) in
                    try await trim(set, of: queue, keep: keep)
                }
            }
            return nil
        }
    }

    private func trim(_ set: TrimmedSet, of queue: String, keep: Retention) async throws(BackgroundError) {
        var removed = 0
        var rank = 0
        while !Task.isCancelled {
            let trimmed = try await watch.store.trim(set, of: queue, keep: keep, limit: Self.step, from: rank)
            removed += trimmed.removed
            rank += trimmed.kept
            guard trimmed.hasMore else { break }
        }
        if removed > 0 {
            watch.logger.debug("Trimmed \(removed) of \(set.rawValue)", metadata: [LogKey.queue: "\(queue)"])
        }
    }
}
