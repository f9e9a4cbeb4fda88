import Dispatch
import Foundation
import Synchronization

/// Signals that are handled instead of ending the process. ServiceLifecycle passes on only the first one; a second
/// SIGTERM has a meaning here. Handlers run on a thread of their own, which no job can hold.
///
/// The signal's own handler writes its number to a pipe, so nothing that arrives is lost from the moment it is installed;
/// Dispatch's signal sources want the signal ignored first and install their handler a little later.
final class ProcessSignals: Sendable {
    private static let pipe: (reading: Int32, writing: Int32) = {
        var ends: [Int32] = [-1, -1]
        precondition(Foundation.pipe(&ends) == 0, "a pipe for signals")
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        return (ends[0], ends[1])
    }()

    /// A dispatch source may be used from any thread.
    private struct Source: @unchecked Sendable {
        var source: any DispatchSourceRead
    }
    private let source: Source
    private let handlers = Mutex<[Int32: @Sendable () -> Void]>([:])

    init() {
        source = Source(
            source: DispatchSource.makeReadSource(
                fileDescriptor: Self.pipe.reading,
                queue: DispatchQueue(label: "signals")
            )
        )
        source.source.setEventHandler { [weak self] in self?.deliver() }
        source.source.resume()
    }

    private func deliver() {
        var numbers = [UInt8](repeating: 0, count: 64)
        let count = read(Self.pipe.reading, &numbers, numbers.count)
        for number in numbers.prefix(max(0, count)) {
            handlers.withLock { $0[Int32(number)] }?()
        }
    }

    /// Calls `handler` for SIGTERM and SIGINT, and says whether it is the first of them.
    func onStop(_ handler: @escaping @Sendable (_ isFirst: Bool) -> Void) {
        let hasStopped = Mutex(false)
        for number in [SIGTERM, SIGINT] {
            on(number) {
                let isFirst = hasStopped.withLock { hasStopped in
                    defer { hasStopped = true }
                    return !hasStopped
                }
                handler(isFirst)
            }
        }
    }

    /// Calls `handler` each time a signal arrives.
    func on(_ number: Int32, _ handler: @escaping @Sendable () -> Void) {
        handlers.withLock { $0[number] = handler }
        signal(number) { number in
            let before = errno
            var byte = UInt8(truncatingIfNeeded: number)
            // A pipe that is full holds enough of them.
            _ = write(ProcessSignals.pipe.writing, &byte, 1)
            errno = before
        }
    }
}
