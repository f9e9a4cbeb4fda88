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
    func enqueue(_ jobs: [NewJob]) async throws(BackgroundError) -> [String: String]

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

    /// delete: removes members of a trimmed set, with what trimming them takes along; returns those that were there.
    func delete(_ members: [String], from set: TrimmedSet, of queue: String) async throws(BackgroundError) -> [String]

    /// finish + claim: reports what ended and takes what there is room for.
    func exchange(_ finishes: [Finish], _ claim: Claim, as voucher: Voucher) async throws(BackgroundError) -> Exchange

    /// adopt: takes running and offered attempts over to a new connection.
    func adopt(_ adoption: Adoption, as voucher: Voucher) async throws(BackgroundError) -> Adopted

    /// recover and give back: moves IDs from `handoff` to the head of `ready`; returns those moved.
    func recover(_ jobs: [String], in queue: String) async throws(BackgroundError) -> [String]

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
}
