public import BackgroundJobs
import Synchronization

/// A store in memory: the transitions of the protocol in plain Swift, for tests that need no Redis.
///
/// It is the model that the scripts are compared with, so it is written to be read, not to be fast.
public final class MemoryStore: Store {
    private let state: Mutex<MemoryState>

    /// Makes an empty store whose clock runs.
    public convenience init() {
        self.init(clock: MemoryClock())
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

    // MARK: Looking at it, and setting it up

    /// All that the store holds at this moment.
    package var snapshot: StoreSnapshot {
        state.withLock { state in
            state.expire()
            return state.data
        }
    }

    /// Changes the data as somebody would who edits Redis by hand.
    package func edit(_ change: (inout StoreSnapshot) -> Void) {
        state.withLock { state in
            change(&state.data)
            state.data.removeEmpty()
        }
    }

    /// What is not as it must be (failures, Invariants I1 to I4 and I8); empty if all is well.
    package func invariantViolations() -> [String] {
        snapshot.invariantViolations()
    }

    // MARK: The transitions

    private func transact<Result: Sendable>(_ transition: (inout MemoryState) -> Result) -> Result {
        state.withLock { state in
            state.begin()
            let result = transition(&state)
            state.commit()
            return result
        }
    }

    @discardableResult
    package func enqueue(_ jobs: [NewJob]) async throws(BackgroundError) -> [String: String] {
        transact { $0.enqueue(jobs) }
    }

    package func dequeue(_ job: String) async throws(BackgroundError) -> Dequeued {
        try known(transact { $0.dequeue(job) }, job)
    }

    package func cancel(_ job: String, recordedAs attempt: String) async throws(BackgroundError) -> Cancelled {
        try known(transact { $0.cancel(job, recordedAs: attempt) }, job)
    }

    private func known<Outcome>(_ outcome: Outcome?, _ job: String) throws(BackgroundError) -> Outcome {
        guard let outcome else {
            throw BackgroundError(.refused, "The job \(job) has no field que: nothing tells where it waits.")
        }
        return outcome
    }

    package func retry(_ jobs: [String], onlyDead: Bool) async throws(BackgroundError) -> [Retried] {
        transact { state in jobs.map { state.retry($0, onlyDead: onlyDead) } }
    }

    package func delete(
        _ members: [String],
        from set: TrimmedSet,
        of queue: String
    ) async throws(BackgroundError) -> Deletion {
        transact { Deletion(gone: $0.delete(members, from: set, of: queue)) }
    }

    package func setPaused(_ isPaused: Bool, _ queues: [String]) async throws(BackgroundError) -> [String] {
        transact { $0.setPaused(isPaused, queues) }
    }

    package func clear(
        _ place: WaitingPlace,
        of queue: String,
        limit: Int
    ) async throws(BackgroundError) -> WaitingStep {
        transact { $0.clear(place, of: queue, limit: limit) }
    }

    package func move(
        _ place: WaitingPlace,
        from queue: String,
        to target: String,
        limit: Int
    ) async throws(BackgroundError) -> WaitingStep {
        transact { $0.move(place, from: queue, to: target, limit: limit) }
    }

    package func exchange(
        _ finishes: [Finish],
        _ claim: Claim,
        as voucher: Voucher
    ) async throws(BackgroundError) -> Exchange {
        transact { $0.exchange(finishes, claim, as: voucher) }
    }

    package func adopt(_ adoption: Adoption, as voucher: Voucher) async throws(BackgroundError) -> Adopted {
        transact { $0.adopt(adoption, as: voucher) }
    }

    package func recover(_ jobs: [String], in queue: String) async throws(BackgroundError) -> [String] {
        transact { $0.recover(jobs, in: queue) }
    }

    package func ends(of jobs: [String], for listener: Listener) async throws(BackgroundError) -> [JobEnd?] {
        transact { $0.ends(of: jobs, for: listener) }
    }

    package func note(_ notes: [AttemptNote]) async throws(BackgroundError) -> Int {
        transact { $0.note(notes) }
    }

    package func enqueueTogether(_ jobs: [NewJob]) async throws(BackgroundError) {
        _ = transact { $0.write(jobs, nil) }
    }

    package func open(_ batch: NewBatch) async throws(BackgroundError) -> BatchVerdict {
        transact { $0.open(batch) }
    }

    package func add(_ jobs: [NewJob], to batch: String) async throws(BackgroundError) -> BatchVerdict {
        transact { $0.add(jobs, to: batch) }
    }

    package func close(_ batch: String) async throws(BackgroundError) -> BatchVerdict {
        transact { $0.close(batch) }
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
        transact { $0.promote(queue, limit: limit) }
    }

    package func reap(_ attempts: [Condemned]) async throws(BackgroundError) -> [Reaped] {
        transact { state in attempts.map { state.reap($0) } }
    }

    package func fallBack(
        _ place: Place,
        absence: Int64,
        limit: Int,
        from rank: Int
    ) async throws(BackgroundError) -> FellBack {
        transact { $0.fallBack(place, absence: absence, limit: limit, from: rank) }
    }

    package func trim(
        _ set: TrimmedSet,
        of queue: String,
        keep: Retention,
        limit: Int,
        from rank: Int
    ) async throws(BackgroundError) -> Trimmed {
        transact { $0.trim(set, of: queue, keep: keep, limit: limit, from: rank) }
    }

    package func due(limit: Int, offset: Int) async throws(BackgroundError) -> DuePeriodics {
        transact { $0.due(limit: limit, offset: offset) }
    }

    package func fire(_ firings: [Firing]) async throws(BackgroundError) -> [Fired] {
        transact { state in firings.map { state.fire($0) } }
    }

    package func declare(
        _ declarations: [Declaration],
        by owner: String?,
        areAll: Bool,
        revives: Bool
    ) async throws(BackgroundError) -> Declared {
        transact { $0.declare(declarations, by: owner, areAll: areAll, revives: revives) }
    }

    package func steer(_ periodic: String, _ action: PeriodicAction) async throws(BackgroundError) -> PeriodicVerdict {
        guard let verdict = transact({ $0.steer(periodic, action) }) else {
            throw BackgroundError(.refused, "The periodic job \(periodic) has no field cls or que.")
        }
        return verdict
    }
}

/// A clock that runs from a start, or stands still.
struct MemoryClock: Sendable {
    private var base: Int64
    private var started: ContinuousClock.Instant?

    /// A clock that runs, from a time of no meaning, as the clock of a server elsewhere would.
    init() {
        base = 1_700_000_000_000
        started = .now
    }

    init(standingAt time: Int64) {
        base = time
    }

    var now: Int64 { base + (started.map { $0.duration(to: .now).milliseconds } ?? 0) }

    mutating func advance(by milliseconds: Int64) {
        base += milliseconds
    }
}
