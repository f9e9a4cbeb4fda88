import Logging

/// promote: moves scheduled jobs to `ready` when they are due. It sleeps until the next one is, and looks for new ones once
/// an interval.
struct Promoter: Sendable {
    static let step = 500

    let watch: Watch

    func run() async {
        await watch.every("promote") { () async throws(BackgroundError) -> Duration? in
            let queues = try await watch.queues()
            var next = watch.options.interval
            let began = ContinuousClock.now
            try await watch.forEach(queues, "promote") { queue throws(BackgroundError) in
                guard let wait = try await promote(queue) else { return }
                next = min(next, began.duration(to: .now) + wait)
            }
            return next
        }
    }

    /// Moves all that is due; returns how long until the next one is.
    private func promote(_ queue: String) async throws(BackgroundError) -> Duration? {
        while true {
            let promotion = try await watch.store.promote(queue, limit: Self.step)
            log(promotion.moved, queue)
            if !promotion.moved.isEmpty, promotion.wait == 0, !Task.isCancelled { continue }
            return promotion.wait.map { .milliseconds(max($0, 1)) }
        }
    }

    /// One line a step, with the first IDs; all of them at debug.
    private func log(_ jobs: [String], _ queue: String) {
        guard !jobs.isEmpty else { return }
        let more = jobs.count > 10 ? ", …" : ""
        watch.logger.info(
            "Promoted \(jobs.count) jobs that were due: \(jobs.prefix(10).joined(separator: ", "))\(more)",
            metadata: [LogKey.queue: "\(queue)"]
        )
        for job in jobs {
            watch.logger.debug("Promoted a job", metadata: [LogKey.job: "\(job)", LogKey.queue: "\(queue)"])
        }
    }
}
