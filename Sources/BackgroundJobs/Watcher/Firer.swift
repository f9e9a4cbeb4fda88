import Logging

/// fire: enqueues the jobs of periodic jobs when their times come. It sleeps until the next one does; of new ones
/// each look tells. It serves all queues, whichever the watcher was given.
struct Firer: Sendable {
    static let step = 100

    let watch: Watch

    func run() async {
        var plan = FiringPlan()
        var due: ContinuousClock.Instant?
        var feed = watch.looks.feed()
        while !Task.isCancelled {
            if case .look(let look)? = await feed.next(until: due) {
                due = look.firing.map { look.asked + .milliseconds($0) }
            }
            guard let time = due, time <= .now else { continue }
            due = nil
            await watch.attempt("fire periodic jobs") { () async throws(BackgroundError) in due = try await fire(&plan)
            }
        }
    }

    /// Fires all that is due; returns when the next one is.
    private func fire(_ plan: inout FiringPlan) async throws(BackgroundError) -> ContinuousClock.Instant? {
        // Those that are due and can't be fired stay in front.
        var left = 0
        while true {
            let asked = ContinuousClock.now
            let due = try await watch.store.due(limit: Self.step, offset: left)
            guard !due.entries.isEmpty, !Task.isCancelled else {
                return due.wait.map { asked + .milliseconds(max($0, 1)) }
            }
            left += try await fire(due, &plan)
        }
    }

    /// Fires what is due; returns how many of them stay as they are.
    private func fire(_ due: DuePeriodics, _ plan: inout FiringPlan) async throws(BackgroundError) -> Int {
        var firings: [Firing] = []
        for entry in due.entries {
            do throws(BackgroundError) {
                firings.append(try plan.firing(entry, now: due.now))
            } catch {
                report(entry.name, error.message)
            }
        }
        let verdicts = try await watch.store.fire(firings)
        var left = due.entries.count - firings.count
        for (firing, verdict) in zip(firings, verdicts) {
            if case .damaged(let sentence) = verdict { report(firing.name, sentence) }
            switch verdict {
            case .damaged, .early: left += 1
            case .fired, .skipped, .passed, .rested, .taken: break
            }
        }
        log(zip(firings, verdicts).filter { $0.1 == .fired }.map(\.0), now: due.now)
        log(zip(firings, verdicts).filter { [.skipped, .passed].contains($0.1) }.map { $0 })
        return left
    }

    // MARK: Saying so

    private func report(_ name: String, _ sentence: String) {
        watch.notices.log("periodic", "\(Names.quoted(name)) can't be fired: \(sentence)") {
            watch.logger.error("The periodic job \($0). Declare it anew, or remove it (bg-cli cron remove)")
        }
    }

    /// One line a step, with the first names; all of them at debug.
    private func log(_ fired: [Firing], now: Int64) {
        guard !fired.isEmpty else { return }
        let more = fired.count > 10 ? ", …" : ""
        watch.logger.info(
            "Fired \(fired.count) periodic \(fired.count == 1 ? "job" : "jobs"): \(fired.prefix(10).map(\.name).joined(separator: ", "))\(more)"
        )
        for firing in fired {
            let late = now - (firing.time ?? now)
            watch.logger.debug(
                "Fired a periodic job",
                metadata: [
                    LogKey.periodic: "\(firing.name)", LogKey.job: "\(firing.job)",
                    LogKey.milliseconds: "\(late)",
                ]
            )
            guard firing.time != firing.due else { continue }
            watch.logger.notice(
                "A periodic job missed times; the last one is run now",
                metadata: [LogKey.periodic: "\(firing.name)", LogKey.milliseconds: "\(late)"]
            )
        }
    }

    private func log(_ left: [(Firing, Fired)]) {
        for (firing, verdict) in left {
            watch.logger.notice(
                verdict == .skipped
                    ? "A time of a periodic job is left out, since the job before has not ended"
                    : "A time of a periodic job is left out, since it was missed",
                metadata: [LogKey.periodic: "\(firing.name)"]
            )
        }
    }
}
