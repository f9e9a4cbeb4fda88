import BackgroundJobs
import Logging
import NIOCore
import Synchronization

/// Carries out a watcher's duties on a store in memory: when something is due, and when what is due next has changed.
final class MemoryKeeper: Sendable {
    private struct State {
        var duties = MemoryDuties()
        var timer: Scheduled<Void>?
        var watch: Int?
        /// Whether a look is under way to the event loop.
        var isCalled = false
        var nextTrim = ContinuousClock.now
        var reported: Set<String> = []
    }

    /// What is kept of jobs that have ended: less than on Redis, since it is memory of this process.
    private static let keep = Retention(age: .seconds(24 * 3600), count: 1000)
    private static let trimInterval = Duration.seconds(60)

    private let store: MemoryStore
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let state = Mutex(State())

    init(_ store: MemoryStore, eventLoop: any EventLoop, logger: Logger) {
        self.store = store
        self.eventLoop = eventLoop
        self.logger = logger
    }

    func start() {
        let watch = store.watch { [weak self] touched in
            if touched.contains("scheduled") || touched.contains("placed") { self?.call() }
        }
        state.withLock { $0.watch = watch }
        call()
    }

    func stop() {
        let (watch, timer) = state.withLock { state in
            defer { (state.watch, state.timer) = (nil, nil) }
            return (state.watch, state.timer)
        }
        if let watch { store.unwatch(watch) }
        timer?.cancel()
    }

    /// Workers came or went, or what is due next has changed.
    func call() {
        let isFirst = state.withLock { state in
            defer { state.isCalled = true }
            return !state.isCalled && state.watch != nil
        }
        if isFirst { eventLoop.execute { self.look() } }
    }

    private func look() {
        let workers = store.workers.withLock { workers in workers.values.map { ($0.name, Optional($0.queues)) } }
        let scope = MemoryDuties.Scope(workers: workers)
        state.withLock { $0.isCalled = false }
        var duties = state.withLock { $0.duties }
        let (kept, problems, wait) = store.perform { state in
            let problems = duties.carryOut(&state, scope)
            return (duties, problems, duties.next(state, scope).map { max(1, $0 - state.now) })
        }
        let (isTrimming, new) = state.withLock { state in
            state.duties = kept
            let new = problems.filter { state.reported.insert($0).inserted }
            let isTrimming = state.nextTrim <= .now
            if isTrimming { state.nextTrim = .now + Self.trimInterval }
            return (isTrimming, new)
        }
        for problem in new { logger.error("A periodic job can't be fired: \(problem)") }
        if isTrimming { trim() }
        sleep(min(wait.map { Duration.milliseconds($0) } ?? Self.trimInterval, Self.trimInterval))
    }

    private func sleep(_ time: Duration) {
        state.withLock { state in
            state.timer?.cancel()
            state.timer = state.watch == nil ? nil : eventLoop.scheduleTask(in: TimeAmount(time)) { self.look() }
        }
    }

    private func trim() {
        store.perform { state in
            for queue in state.data.sets["queues"] ?? [] {
                for set in TrimmedSet.allCases {
                    var rank = 0
                    var step: Trimmed
                    repeat {
                        step = state.trim(set, of: queue, keep: Self.keep, limit: 1000, from: rank)
                        rank += step.kept
                    } while step.hasMore
                }
            }
        }
    }
}
