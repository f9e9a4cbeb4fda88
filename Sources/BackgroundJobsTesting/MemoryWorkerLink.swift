import BackgroundJobs
import NIOCore
import Synchronization

/// The link of a worker to a store in memory of its own process.
///
/// There is nothing that can be lost on the way, so it is adopted once, and a wait takes no job: it tells that there is one.
final class MemoryWorkerLink: WorkerLink {
    private struct State {
        var host: (any WorkerLinkHost)?
        var watch: Int?
        /// Queues for whose next job the worker waits.
        var armed: Set<String> = []
        /// Queues of which jobs were set aside while the worker had no room, or a claim under way that came too early.
        var noted: Set<String> = []
    }

    private let store: MemoryStore
    private let voucher: Voucher
    private let queues: [String]
    private let eventLoop: any EventLoop
    private let onChange: @Sendable () -> Void
    private let state = Mutex(State())

    /// - Parameter onChange: is called when the worker has come or gone.
    init(
        _ store: MemoryStore,
        node: Node,
        queues: [String],
        eventLoop: any EventLoop,
        onChange: @escaping @Sendable () -> Void
    ) {
        self.store = store
        self.queues = queues
        self.eventLoop = eventLoop
        self.onChange = onChange
        voucher = Voucher(node: "\(node)", client: Int64(store.nextNumber()))
    }

    func start(for host: any WorkerLinkHost) async throws(BackgroundError) {
        let places = queues.map { "suspects:\($0)" }
        let cancel = "cancel:\(voucher.node)"
        let watch = store.watch { [weak self] touched in
            self?.execute { link, host in
                if touched.contains(cancel) {
                    for attempt in link.store.takeAll(cancel) { host.linkCancelled(attempt) }
                }
                link.tell(of: link.queues.filter { touched.contains("ready:\($0)") }, host)
                guard touched.contains("placed") || places.contains(where: touched.contains) else { return }
                link.note(link.queues, host)
            }
        }
        state.withLock { state in
            state.host = host
            state.watch = watch
        }
        store.workers.withLock { $0[Int(voucher.client)] = (Node.name(of: voucher.node), Set(queues)) }
        onChange()
        execute { link, host in
            let adoption = host.linkIsAdopting()
            let adopted = link.store.perform { $0.adopt(adoption, as: link.voucher) }
            link.store.perform { $0.data.sets["queues", default: []].formUnion(link.queues) }
            host.linkAdopted(adopted, session: 1, mayHaveRolledBack: false)
        }
    }

    /// On the event loop, unless it is closed: the loop ends with the worker.
    private func execute(_ body: @escaping @Sendable (MemoryWorkerLink, any WorkerLinkHost) -> Void) {
        state.withLock { state in
            guard let host = state.host else { return }
            eventLoop.execute { body(self, host) }
        }
    }

    func exchange(
        _ finishes: [Finish],
        _ claim: Claim,
        session: UInt64,
        completion: @escaping @Sendable (_ answer: @escaping Answer) -> Void
    ) {
        eventLoop.execute { [self] in
            let exchange = store.perform { $0.exchange(finishes, claim, as: voucher) }
            completion { () throws(BackgroundError) in exchange }
        }
    }

    func arm(_ queues: [String]) {
        state.withLock { $0.armed.formUnion(queues) }
        execute { link, host in link.tell(of: queues, host) }
    }

    /// Ends the waits for those of the queues in which there is a job.
    private func tell(of queues: [String], _ host: any WorkerLinkHost) {
        let armed = state.withLock { $0.armed.intersection(queues) }
        guard !armed.isEmpty else { return }
        let filled = store.perform { state in armed.filter { !state.list("ready", $0).isEmpty } }
        let woken = state.withLock { state in
            defer { state.armed.subtract(filled) }
            return state.armed.intersection(filled)
        }
        // No job was taken, so there is nothing to be given back.
        for queue in queues where woken.contains(queue) { _ = host.linkWoke(queue) }
    }

    /// It is told at once of jobs that were set aside, and here again of those for which it had no room then.
    func listen() {
        guard state.withLock({ !$0.noted.isEmpty }) else { return }
        execute { link, host in
            let queues = host.linkListens()
            let noted = link.state.withLock { $0.noted.intersection(queues) }
            link.note(link.queues.filter(noted.contains), host)
        }
    }

    private func note(_ queues: [String], _ host: any WorkerLinkHost) {
        for queue in queues {
            // Before it is asked: the loop may look between its answer and here.
            state.withLock { _ = $0.noted.insert(queue) }
            guard host.linkNoted(queue, isSuspect: false, avoids: nil) != .busy else { continue }
            state.withLock { _ = $0.noted.remove(queue) }
        }
    }

    func sweep(_ queues: [String], isKnown: @Sendable (String) -> Bool) async throws(BackgroundError) -> [Reaped] { [] }

    func note(_ notes: [AttemptNote]) { _ = store.perform { $0.note(notes) } }

    func close() async {
        let watch = state.withLock { state in
            defer { (state.host, state.watch) = (nil, nil) }
            return state.watch
        }
        if let watch { store.unwatch(watch) }
        store.workers.withLock { _ = $0.removeValue(forKey: Int(voucher.client)) }
        onChange()
    }
}
