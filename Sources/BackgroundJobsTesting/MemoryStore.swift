public import BackgroundJobs
import Foundation
import Synchronization

/// A store in memory: the transitions of the protocol in plain Swift.
///
/// ``TestQueue`` has one of its own. It is made by hand where several ``MemoryWorker``s of one process share it.
///
/// It is the model that the scripts are compared with, so it is written to be read, not to be fast.
public final class MemoryStore: Store {
    /// Whoever is told which keys were added to.
    typealias Watcher = @Sendable (_ touched: Set<String>) -> Void

    /// How jobs are run by whoever makes them ready.
    struct Inline: Sendable {
        var claim: @Sendable (inout MemoryState) -> [ClaimedJob]
        var run: @Sendable ([ClaimedJob]) async throws(BackgroundError) -> Void
    }

    private let state: Mutex<MemoryState>
    private let watchers = Mutex<[Int: Watcher]>([:])
    private let inline = Mutex<Inline?>(nil)
    private let last = Atomic(0)
    /// The workers of this process that work on it, by the client ID that vouches for their attempts.
    let workers = Mutex<[Int: (name: String, queues: Set<String>)]>([:])

    /// Makes an empty store whose clock shows the time of day.
    public convenience init() {
        self.init(clock: MemoryClock(runningFrom: Date().milliseconds))
    }

    /// Makes an empty store whose clock stands still at this time, in Unix milliseconds, until it is set.
    package convenience init(now: Int64) {
        self.init(clock: MemoryClock(standingAt: now))
    }

    private init(clock: MemoryClock) {
        state = Mutex(MemoryState(clock: clock))
    }

    // MARK: The clock

    /// The store's time in Unix milliseconds. A clock that is set stands still.
    package var now: Int64 {
        get { state.withLock { $0.clock.now } }
        set { state.withLock { $0.clock = MemoryClock(standingAt: newValue) } }
    }

    /// Sets the clock forward; one that runs goes on running.
    package func advance(by duration: Duration) {
        state.withLock { $0.clock.advance(by: duration.milliseconds) }
    }

    // MARK: Those who wait

    /// A number that is used once.
    func nextNumber() -> Int { last.add(1, ordering: .relaxed).newValue }

    /// Has somebody told of what is added from now on, outside of the transition. Returns the number for ``unwatch(_:)``.
    func watch(_ watcher: @escaping Watcher) -> Int {
        let number = nextNumber()
        watchers.withLock { $0[number] = watcher }
        return number
    }

    func unwatch(_ number: Int) { watchers.withLock { _ = $0.removeValue(forKey: number) } }

    /// From now on jobs are run by whoever makes them ready.
    func runInline(_ inline: Inline) { self.inline.withLock { $0 = inline } }

    /// Takes all that is in a list.
    func takeAll(_ key: String) -> [String] {
        perform { state in
            state.clearDeadline(key)
            return state.data.lists.removeValue(forKey: key) ?? []
        }
    }

    // MARK: Looking at it, and setting it up

    /// All that the store holds at this moment.
    package var snapshot: StoreSnapshot {
        state.withLock { state in
            state.expire()
            return state.data
        }
    }

    /// When the keys that expire do so.
    package var deadlines: [String: Int64] {
        state.withLock { state in
            state.expire()
            return state.deadlines
        }
    }

    /// Changes the data as somebody would who edits Redis by hand.
    package func edit(_ change: (inout StoreSnapshot) -> Void) {
        state.withLock { state in
            change(&state.data)
            state.isEdited = true
            state.data.removeEmpty()
            state.data.removeEmptyRecords()
        }
    }

    /// What is not as it must be (failures, Invariants I1 to I4 and I8); empty if all is well.
    package func invariantViolations() -> [String] {
        snapshot.invariantViolations()
    }

    // MARK: The transitions

    /// Carries a transition out, and tells those who wait for what it has added.
    func perform<Result: Sendable>(_ transition: (inout MemoryState) -> Result) -> Result {
        let (result, touched) = state.withLock { state in
            state.begin()
            let result = transition(&state)
            state.commit()
            return (result, state.touched)
        }
        if !touched.isEmpty { for watcher in watchers.withLock({ $0.values.map(\.self) }) { watcher(touched) } }
        return result
    }

    /// A verb: where jobs are run inline, what it makes ready is run before it returns.
    private func transact<Result: Sendable>(
        _ transition: (inout MemoryState) -> Result
    ) async throws(BackgroundError) -> Result {
        guard let inline = inline.withLock({ $0 }) else { return perform(transition) }
        // In one step, so that each caller gets what it has made ready itself.
        let (result, claimed) = perform { state in (transition(&state), inline.claim(&state)) }
        if !claimed.isEmpty { try await inline.run(claimed) }
        return result
    }

    @discardableResult
    package func enqueue(_ jobs: [NewJob]) async throws(BackgroundError) -> [String: Duplicate] {
        try await transact { $0.enqueue(jobs) }
    }

    package func dequeue(_ job: String) async throws(BackgroundError) -> Dequeued {
        try await known(transact { $0.dequeue(job) }, job)
    }

    package func cancel(_ job: String, recordedAs attempt: String) async throws(BackgroundError) -> Cancelled {
        try await known(transact { $0.cancel(job, recordedAs: attempt) }, job)
    }

    private func known<Outcome>(_ outcome: Outcome?, _ job: String) throws(BackgroundError) -> Outcome {
        guard let outcome else {
            throw BackgroundError(.refused, "The job \(job) has no field que: nothing tells where it waits.")
        }
        return outcome
    }

    package func retry(_ jobs: [String], onlyDead: Bool) async throws(BackgroundError) -> [Retried] {
        try await transact { state in jobs.map { state.retry($0, onlyDead: onlyDead) } }
    }

    package func delete(
        _ members: [String],
        from set: TrimmedSet,
        of queue: String
    ) async throws(BackgroundError) -> Deletion {
        try await transact { Deletion(gone: $0.delete(members, from: set, of: queue)) }
    }

    package func setPaused(_ isPaused: Bool, _ queues: [String]) async throws(BackgroundError) -> [String] {
        try await transact { $0.setPaused(isPaused, queues) }
    }

    package func clear(
        _ place: WaitingPlace,
        of queue: String,
        limit: Int
    ) async throws(BackgroundError) -> WaitingStep {
        try await transact { $0.clear(place, of: queue, limit: limit) }
    }

    package func move(
        _ place: WaitingPlace,
        from queue: String,
        to target: String,
        limit: Int
    ) async throws(BackgroundError) -> WaitingStep {
        try await transact { $0.move(place, from: queue, to: target, limit: limit) }
    }

    package func exchange(
        _ finishes: [Finish],
        _ claim: Claim,
        as voucher: Voucher
    ) async throws(BackgroundError) -> Exchange {
        perform { $0.exchange(finishes, claim, as: voucher) }
    }

    package func adopt(_ adoption: Adoption, as voucher: Voucher) async throws(BackgroundError) -> Adopted {
        perform { $0.adopt(adoption, as: voucher) }
    }

    package func recover(_ jobs: [String], in queue: String) async throws(BackgroundError) -> [String] {
        try await transact { $0.recover(jobs, in: queue) }
    }

    package func ends(of jobs: [String], for listener: Listener) async throws(BackgroundError) -> [JobEnd?] {
        perform { $0.ends(of: jobs, for: listener) }
    }

    package func note(_ notes: [AttemptNote]) async throws(BackgroundError) -> Int {
        perform { $0.note(notes) }
    }

    package func enqueueTogether(_ jobs: [NewJob]) async throws(BackgroundError) {
        _ = try await transact { $0.write(jobs, nil) }
    }

    package func open(_ batch: NewBatch) async throws(BackgroundError) -> BatchVerdict {
        try await transact { $0.open(batch) }
    }

    package func add(_ jobs: [NewJob], to batch: String) async throws(BackgroundError) -> BatchVerdict {
        try await transact { $0.add(jobs, to: batch) }
    }

    package func close(_ batch: String) async throws(BackgroundError) -> BatchVerdict {
        try await transact { $0.close(batch) }
    }

    package func batch(_ id: String) async throws(BackgroundError) -> BatchStatus? {
        snapshot.batches[id].map { record in
            BatchStatus(id: id, fields: record.fields.mapValues { String(decoding: $0, as: UTF8.self) })
        }
    }

    package func attempts(of job: String, limit: Int) async throws(BackgroundError) -> [AttemptRecord] {
        let data = snapshot
        var attempts: [AttemptRecord] = []
        var next = data.jobs[job]?.present("las")
        while let id = next, let record = data.attempts[id], attempts.count < limit,
            !attempts.contains(where: { $0.id == id })
        {
            attempts.append(AttemptRecord(id: id, fields: record.fields))
            next = record.present("prv")
        }
        return attempts
    }

    package func promote(_ queue: String, limit: Int) async throws(BackgroundError) -> Promotion {
        try await transact { $0.promote(queue, limit: limit) }
    }

    package func reap(_ attempts: [Condemned]) async throws(BackgroundError) -> [Reaped] {
        try await transact { state in attempts.map { state.reap($0) } }
    }

    package func fallBack(
        _ place: Place,
        absence: Int64,
        limit: Int,
        from rank: Int
    ) async throws(BackgroundError) -> FellBack {
        try await transact { $0.fallBack(place, absence: absence, limit: limit, from: rank) }
    }

    package func trim(
        _ set: TrimmedSet,
        of queue: String,
        keep: Retention,
        limit: Int,
        from rank: Int
    ) async throws(BackgroundError) -> Trimmed {
        try await transact { $0.trim(set, of: queue, keep: keep, limit: limit, from: rank) }
    }

    package func due(limit: Int, offset: Int) async throws(BackgroundError) -> DuePeriodics {
        try await transact { $0.due(limit: limit, offset: offset) }
    }

    package func fire(_ firings: [Firing]) async throws(BackgroundError) -> [Fired] {
        try await transact { state in firings.map { state.fire($0) } }
    }

    package func declare(
        _ declarations: [Declaration],
        by owner: String?,
        areAll: Bool,
        revives: Bool
    ) async throws(BackgroundError) -> Declared {
        try await transact { $0.declare(declarations, by: owner, areAll: areAll, revives: revives) }
    }

    package func steer(_ periodic: String, _ action: PeriodicAction) async throws(BackgroundError) -> PeriodicVerdict {
        guard let verdict = try await transact({ $0.steer(periodic, action) }) else {
            throw BackgroundError(.refused, "The periodic job \(periodic) has no field cls or que.")
        }
        return verdict
    }
}
