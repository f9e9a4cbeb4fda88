/// The transitions of the protocol, one verb each.
///
/// There are two stores: ``RedisStore`` runs them as scripts on Redis, `MemoryStore` in plain Swift. One conformance suite
/// runs against both. Every verb is atomic, and harmless when it is repeated.
package protocol Store: Sendable {
    /// enqueue: writes the jobs and pushes them to `ready` or `scheduled`, all of them or none. (Where a key is of a wrong
    /// type, all or none of each queue, and the call throws.)
    /// Those that hold a uniqueness lock go one by one; the ones that found it held are named with the job that
    /// holds it, and those whose ID was chosen and that were there before with themselves.
    @discardableResult
    func enqueue(_ jobs: [NewJob]) async throws(BackgroundError) -> [String: Duplicate]

    /// dequeue: takes a job that waits out and deletes it.
    func dequeue(_ job: String) async throws(BackgroundError) -> Dequeued

    /// cancel: ends a job that waits, or tells the worker that runs it.
    ///
    /// - Parameter attempt: the ID of the attempt that records it, if the job never began.
    func cancel(_ job: String, recordedAs attempt: String) async throws(BackgroundError) -> Cancelled

    /// retry: a job that has ended without success goes to the tail of `ready`, one that is scheduled too.
    ///
    /// - Parameter onlyDead: of those that have ended, the dead ones alone: not what was cancelled, discarded or expired.
    func retry(_ jobs: [String], onlyDead: Bool) async throws(BackgroundError) -> [Retried]

    /// delete: removes members of a trimmed set, with what trimming them takes along.
    func delete(_ members: [String], from set: TrimmedSet, of queue: String) async throws(BackgroundError) -> Deletion

    /// pause, resume: nothing is claimed from these queues any more, or again; returns those that were not so before.
    func setPaused(_ isPaused: Bool, _ queues: [String]) async throws(BackgroundError) -> [String]

    /// clear: deletes the jobs at the head of a list of a queue, at most `limit`.
    func clear(_ place: WaitingPlace, of queue: String, limit: Int) async throws(BackgroundError) -> WaitingStep

    /// move: takes the jobs at the head of a list of a queue to another queue, at most `limit`, in their order.
    func move(_ place: WaitingPlace, from queue: String, to target: String, limit: Int)
        async throws(BackgroundError) -> WaitingStep

    /// finish + claim: reports what ended and takes what there is room for.
    func exchange(_ finishes: [Finish], _ claim: Claim, as voucher: Voucher) async throws(BackgroundError) -> Exchange

    /// adopt: takes running and offered attempts over to a new connection.
    func adopt(_ adoption: Adoption, as voucher: Voucher) async throws(BackgroundError) -> Adopted

    /// recover and give back: moves IDs from `handoff` to the head of `ready`; returns those moved.
    func recover(_ jobs: [String], in queue: String) async throws(BackgroundError) -> [String]

    /// await: how jobs have ended; nil for those that have not, and then the listener is told when they do.
    func ends(of jobs: [String], for listener: Listener) async throws(BackgroundError) -> [JobEnd?]

    /// note: writes what running jobs say of themselves into their attempts; returns how many of them still run.
    func note(_ notes: [AttemptNote]) async throws(BackgroundError) -> Int

    /// together: writes the jobs, all of them or none. Those that are there already are left as they are. None may need a
    /// uniqueness lock.
    func enqueueTogether(_ jobs: [NewJob]) async throws(BackgroundError)

    /// together: opens a batch. One that is there is left as it is.
    func open(_ batch: NewBatch) async throws(BackgroundError) -> BatchVerdict

    /// together: adds jobs. Those that are there already are left as they are.
    func add(_ jobs: [NewJob], to batch: String) async throws(BackgroundError) -> BatchVerdict

    /// together: nothing is to be added but by its own jobs, so it may be complete.
    func close(_ batch: String) async throws(BackgroundError) -> BatchVerdict

    /// A batch, as it stands; nil if there is none.
    func batch(_ id: String) async throws(BackgroundError) -> BatchStatus?

    /// The attempts of a job, the latest first.
    func attempts(of job: String, limit: Int) async throws(BackgroundError) -> [AttemptRecord]

    /// promote: moves what is due from `scheduled` to the tail of `ready`, at most `limit` jobs.
    func promote(_ queue: String, limit: Int) async throws(BackgroundError) -> Promotion

    /// reap: ends attempts whose worker is gone, where they still are what was judged.
    func reap(_ attempts: [Condemned]) async throws(BackgroundError) -> [Reaped]

    /// fallback: jobs in a place whose time to wait for it is over go back to the head of `ready`, for any node.
    ///
    /// - Parameters:
    ///   - absence: for how many ms no worker that may run them has been connected.
    ///   - limit: how many are looked at.
    ///   - rank: the first of them.
    func fallBack(_ place: Place, absence: Int64, limit: Int, from rank: Int) async throws(BackgroundError) -> FellBack

    /// trim: a bounded step of removing the oldest of a set beyond the retention.
    func trim(_ set: TrimmedSet, of queue: String, keep: Retention, limit: Int, from rank: Int)
        async throws(BackgroundError) -> Trimmed

    /// due: the periodic jobs whose time has come, without the first ones.
    func due(limit: Int, offset: Int) async throws(BackgroundError) -> DuePeriodics

    /// fire: enqueues jobs of periodic jobs that still are due, and sets their next times.
    func fire(_ firings: [Firing]) async throws(BackgroundError) -> [Fired]

    /// declare: writes periodic jobs; what has not changed goes on as it stands.
    ///
    /// - Parameters:
    ///   - owner: the program that declares them; nil: somebody by hand.
    ///   - areAll: these are all of the owner's, so others of it are removed.
    ///   - revives: one that has ended begins anew although it has not changed.
    func declare(_ declarations: [Declaration], by owner: String?, areAll: Bool, revives: Bool)
        async throws(BackgroundError) -> Declared

    /// steer: removes, pauses, resumes, ends or runs a periodic job.
    func steer(_ periodic: String, _ action: PeriodicAction) async throws(BackgroundError) -> PeriodicVerdict
}
