import Dispatch
import Foundation
import Synchronization

/// Signals that are handled instead of ending the process. ServiceLifecycle passes on only the first one; a second
/// SIGTERM has a meaning here. Handlers run on a thread of their own, which no job can hold.
final class ProcessSignals: Sendable {
    private let queue = DispatchQueue(label: "signals")
    /// Held so that they go on firing. A dispatch source may be used from any thread.
    private struct Source: @unchecked Sendable {
        var source: any DispatchSourceSignal
    }
    private let sources = Mutex<[Source]>([])

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
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
        source.setEventHandler(handler: handler)
        source.resume()
        let held = Source(source: source)
        sources.withLock { $0.append(held) }
    }
}
