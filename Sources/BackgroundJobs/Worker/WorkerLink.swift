/// A worker's standing with its store: the connection that vouches for its attempts, and the waits for new jobs.
package protocol WorkerLink: Sendable {
    typealias Answer = @Sendable () throws(BackgroundError) -> Exchange

    /// Connects; returns when the worker may claim. Later losses of the connection are told to the host.
    func start(for host: any WorkerLinkHost) async throws(BackgroundError)

    /// finish + claim, in the name of the connection with this session; on a later one it is not sent.
    ///
    /// - Parameter completion: is called once, on the link's own thread, with what reads the answer: that takes a while, and
    ///   is better done elsewhere.
    func exchange(
        _ finishes: [Finish],
        _ claim: Claim,
        session: UInt64,
        completion: @escaping @Sendable (_ answer: @escaping Answer) -> Void
    )

    /// Waits for a job in each of these queues, once; the host is told how it ended.
    func arm(_ queues: [String])

    /// Waits to be woken for jobs that were set aside, unless it does already.
    func listen()

    /// Attempts in `processing` that bear this node's name and that `isKnown` denies end as `Worker Timeout`.
    func sweep(_ queues: [String], isKnown: @Sendable (String) -> Bool) async throws(BackgroundError) -> [Reaped]

    /// Writes what running jobs say of themselves. What can't be sent now is not missed: the next note, or the end of the
    /// attempt, tells it again.
    func note(_ notes: [AttemptNote])

    func close() async

    /// Returns, after ``close()``, when nothing is under way on its event loop.
    func settle() async
}

extension WorkerLink {
    package func settle() async {}
}

/// What a link tells its worker. Called on the link's own thread, which no job can hold: answers must be quick.
package protocol WorkerLinkHost: AnyObject, Sendable {
    func linkIsAdopting() -> Adoption
    func linkAdopted(_ adopted: Adopted, session: UInt64, mayHaveRolledBack: Bool)
    func linkBroke()
    /// The link shows that the worker lives; the answer is whether it is to show it as stalled.
    func linkBeats() -> Bool
    func linkWoke(_ queue: String) -> WorkerMachine.Woken
    /// The queues for which the worker has room, where it has nothing to do before it waits.
    func linkListens() -> [String]
    /// Jobs of this queue were set aside.
    func linkNoted(_ queue: String, isSuspect: Bool, avoids name: String?) -> WorkerMachine.Noted
    func linkWaitEnded(_ queue: String)
    func linkWaitRefused(_ queue: String, because error: BackgroundError)
    /// The running attempts and their jobs, asked for when the link may have missed that one is to be cancelled.
    func linkRuns() -> [(attempt: String, job: String)]
    /// The job of this attempt is to be cancelled; may be told more than once, and of attempts that have ended.
    func linkCancelled(_ attempt: String)
}
