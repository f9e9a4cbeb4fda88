/// A worker's standing with its store: the connection that vouches for its attempts, and the waits for new jobs.
package protocol WorkerLink: Sendable {
    /// Connects; returns when the worker may claim. Later losses of the connection are told to the host.
    func start(for host: any WorkerLinkHost) async throws(BackgroundError)

    /// finish + claim, in the name of the connection with this session; on a later one it is not sent.
    func exchange(_ finishes: [Finish], _ claim: Claim, session: UInt64) async throws(BackgroundError) -> Exchange

    /// Waits for a job in each of these queues, once; the host is told how it ended.
    func arm(_ queues: [String])

    /// Attempts in `processing` that bear this node's name and that `isKnown` denies end as `Worker Timeout`.
    func sweep(_ queues: [String], isKnown: @Sendable (String) -> Bool) async throws(BackgroundError) -> [Reaped]

    /// Waits no more: nothing is moved to `handoff` for this worker from here on.
    func stopWaiting() async

    func close() async
}

/// What a link tells its worker. Called on the link's own thread, which no job can hold: answers must be quick.
package protocol WorkerLinkHost: AnyObject, Sendable {
    func linkIsAdopting() -> Adoption
    func linkAdopted(_ adopted: Adopted, session: UInt64, mayHaveRolledBack: Bool)
    func linkBroke()
    func linkWoke(_ queue: String) -> WorkerMachine.Woken
    func linkWaitEnded(_ queue: String)
    func linkWaitRefused(_ queue: String, because error: BackgroundError)
}
