import BackgroundJobs
import Synchronization

/// How a producer hears of a store in memory how jobs have ended: it is told at once.
final class MemoryNotes: NoteSource {
    private struct State {
        weak var host: (any NoteHost)?
        var watch: Int?
    }

    /// Noted for good: no connection can be lost, so nothing is asked for again.
    let listener = Listener(token: .randomUUID(), time: JobOptions.longest)
    private let store: MemoryStore
    private let state = Mutex(State())

    init(_ store: MemoryStore) {
        self.store = store
    }

    deinit { stop() }

    func listen(for host: any NoteHost) {
        state.withLock { state in
            guard state.watch == nil else { return }
            let key = "notes:\(listener.token)"
            state.host = host
            state.watch = store.watch { [weak self] touched in
                if touched.contains(key) { self?.hear(key) }
            }
        }
    }

    private func hear(_ key: String) {
        guard let host = state.withLock({ $0.host }) else { return }
        // They are this store's own, so they can be read.
        for end in store.takeAll(key).compactMap(JobEnd.init(note:)) { host.heard(end) }
    }

    func close() async { stop() }

    private func stop() {
        let watch = state.withLock { state in
            defer { state.watch = nil }
            return state.watch
        }
        if let watch { store.unwatch(watch) }
    }
}

extension Manager {
    /// A manager of a store in memory.
    convenience init(_ store: MemoryStore, maximumArguments: Int = 1 << 20, middleware: [EnqueueMiddleware] = []) {
        self.init(
            store: store,
            notes: MemoryNotes(store),
            namespace: "memory",
            maximumArguments: maximumArguments,
            middleware: middleware
        )
    }
}
