import Logging

/// promote: moves scheduled jobs to `ready` when they are due. It sleeps until the next one is; of new ones each look tells.
struct Promoter: Sendable {
    static let step = 500

    let watch: Watch

    func run() async {
        // When the next job of each queue is due.
        var dues: [String: ContinuousClock.Instant] = [:]
        var feed = watch.looks.feed()
        while !Task.isCancelled {
            if case .look(let look)? = await feed.next(until: dues.values.min()) {
                dues = look.queues.compactMapValues(\.due).mapValues { look.asked + .milliseconds($0) }
            }
            let now = ContinuousClock.now
            let queues = dues.filter { $0.value <= now }.keys.sorted()
            for queue in queues { dues[queue] = nil }
            await watch.attempt("promote") { () async throws(BackgroundError) in
                try await watch.forEach(queues, "promote") { queue throws(BackgroundError) in
                    let began = ContinuousClock.now
                    dues[queue] = try await promote(queue).map { began + $0 }
                }
            }
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
            "Promoted \(jobs.count) \(jobs.count == 1 ? "job that was" : "jobs that were") due: \(jobs.prefix(10).joined(separator: ", "))\(more)",
            metadata: [LogKey.queue: "\(queue)"]
        )
        for job in jobs {
            watch.logger.debug("Promoted a job", metadata: [LogKey.job: "\(job)", LogKey.queue: "\(queue)"])
        }
    }
}
