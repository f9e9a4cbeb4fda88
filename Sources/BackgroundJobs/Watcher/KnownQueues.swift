import Synchronization

/// The queues that a watcher has come to know since it started: from `queues`, and from the names of connected workers. It
/// goes on with them where `queues` was lost or is damaged.
///
/// A name that is gone from `queues` stays known: only loss and garbage take one away.
final class KnownQueues: Sendable {
    private struct State {
        var names: Set<String> = []
        /// Those that stood in `queues` when it was last read.
        var stored: Set<String> = []
    }

    private let state = Mutex(State())

    /// All of them, in order.
    var all: [String] { state.withLock { $0.names.sorted() } }

    /// `queues` was read and holds these; nil: it can't be read.
    func stored(_ names: Set<String>?) {
        state.withLock { state in
            state.stored = names ?? []
            state.names.formUnion(state.stored)
        }
    }

    /// Workers are connected that take these; returns those that are missing from `queues`.
    func taken(_ names: Set<String>) -> Set<String> {
        state.withLock { state in
            state.names.formUnion(names)
            return names.subtracting(state.stored)
        }
    }
}
