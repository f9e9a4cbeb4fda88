@preconcurrency import Glibc
internal import Synchronization

/// Room for the descriptors that the start of a process needs, so that it doesn't run out of them half-way.
///
/// Subprocess 1.0.2 traps where it could open one pipe but not the next. A worker at its limit of descriptors must not end
/// for that: the attempt fails, and is tried again.
final class SpawnRoom: Sendable {
    /// Two pipes, `/dev/null`, the process descriptor, and as much for others who open something meanwhile.
    private static let descriptors = 12
    private static let step = 1024
    private static let starting = Atomic(0)

    private let isTaken = Atomic(true)

    /// - Throws: ``HandlerFailure`` where this start, together with those under way, may run out.
    init() throws(HandlerFailure) {
        let starting = Self.starting.add(1, ordering: .relaxed).newValue
        guard Self.isFree(starting * Self.descriptors) else {
            leave()
            throw HandlerFailure(name: "Spawn Failed", message: String(cString: strerror(EMFILE)))
        }
    }

    deinit {
        leave()
    }

    /// The process has its descriptors.
    func leave() {
        if isTaken.exchange(false, ordering: .relaxed) {
            Self.starting.subtract(1, ordering: .relaxed)
        }
    }

    /// `poll(2)` tells which descriptors are not open, for many at a time.
    private static func isFree(_ wanted: Int) -> Bool {
        var limits = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits) == 0 else {
            return true
        }
        let limit = CInt(clamping: limits.rlim_cur)
        var free = 0
        var first: CInt = 0
        while free < wanted, first < limit {
            let count = min(CInt(step), limit - first)
            var entries = (first..<(first + count)).map { pollfd(fd: $0, events: 0, revents: 0) }
            guard poll(&entries, nfds_t(count), 0) >= 0 else {
                return true
            }
            free += entries.count { $0.revents & Int16(POLLNVAL) != 0 }
            first += count
        }
        return free >= wanted
    }
}
