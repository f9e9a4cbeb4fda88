@preconcurrency import Glibc
internal import Subprocess
internal import Synchronization

/// Tells when child processes have ended, before they are reaped.
///
/// Subprocess tells only after it has reaped the process. That is too late to end what is left of its process group: from
/// then on the system may give the number to a stranger. One thread waits for all processes, so none of Swift's is blocked.
///
/// Linux's process descriptors (5.4 and later) make this possible with `poll(2)`.
final class ProcessExits: Sendable {
    static let shared = ProcessExits()

    private let waiting = Mutex<[CInt: CheckedContinuation<Void, Never>]>([:])
    /// Written to when there is one more to wait for.
    private let wake: (read: CInt, write: CInt)?

    private init() {
        wake = Pipe.open()
        if wake != nil {
            var thread = pthread_t()
            pthread_create(&thread, nil, { _ in ProcessExits.shared.watch() }, nil)
        }
    }

    /// Returns when the process has ended. Cancellation doesn't end the wait; the end of the process does.
    ///
    /// - Throws: ``HandlerFailure`` where the system can't tell.
    func end(of process: ProcessIdentifier) async throws(HandlerFailure) {
        let descriptor = process.processDescriptor
        guard let wake, descriptor >= 0 else {
            throw HandlerFailure(name: "Spawn Failed", message: "no process descriptors: \(FileStatus.lastError)")
        }
        await withCheckedContinuation { continuation in
            waiting.withLock { $0[descriptor] = continuation }
            write(wake.write, "\n", 1)
        }
    }

    private func watch() -> Never {
        // Signals are for the threads that expect them.
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, nil)
        let wake = wake?.read ?? -1
        var drained = [UInt8](repeating: 0, count: 512)
        while true {
            var entries = waiting.withLock { Array($0.keys) }.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            entries.append(pollfd(fd: wake, events: Int16(POLLIN), revents: 0))
            guard poll(&entries, nfds_t(entries.count), -1) > 0 else {
                continue
            }
            if entries.removeLast().revents != 0 {
                _ = read(wake, &drained, drained.count)
            }
            for entry in entries where entry.revents != 0 {
                waiting.withLock { $0.removeValue(forKey: entry.fd) }?.resume()
            }
        }
    }
}
