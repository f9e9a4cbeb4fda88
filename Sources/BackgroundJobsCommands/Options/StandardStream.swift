import Foundation
import Synchronization

/// Standard output or standard error, written with `write(2)`.
///
/// A reader that has gone away is an answer here and not a signal: SIGPIPE is ignored from the first use on.
final class StandardStream: Sendable {
    /// Not all could be written, since nobody reads any more or for the reason that `errno` gave.
    struct Closed: Error {
        var reason: Int32 = EPIPE

        /// Whether the reader has gone, as `head` does when it has seen enough.
        var isReadersWish: Bool { reason == EPIPE }
    }

    static let input = StandardStream(descriptor: 0)
    static let output = StandardStream(descriptor: 1)
    static let error = StandardStream(descriptor: 2)

    /// Opens those of the three standard descriptors that the caller left closed, so that no connection and no file gets their
    /// numbers and receives what is meant for them. What is written to them is refused.
    static func reserve() {
        while true {
            let descriptor = open("/dev/null", O_RDONLY)
            if descriptor > 2 { close(descriptor) }
            if descriptor < 0 || descriptor > 2 { return }
        }
    }

    let descriptor: Int32
    private let lock = Mutex(())

    init(descriptor: Int32) {
        self.descriptor = descriptor
        signal(SIGPIPE, SIG_IGN)
    }

    var isTerminal: Bool { isatty(descriptor) == 1 }

    /// Writes all of the text, and says whether it could: a message that can't be written ends nothing. It waits for the
    /// stream's reader; log lines go through a ``LineQueue``.
    ///
    /// - Parameter patience: how many ms to wait for room where the stream is non-blocking; -1: for ever.
    @discardableResult
    func writeAll(_ text: String, patience: Int32 = 1000) -> Bool {
        (try? write(text, patience: patience)) != nil
    }

    /// Writes all of the text.
    ///
    /// - Throws: ``Closed`` if it can't be.
    func write(_ text: String, patience: Int32 = 1000) throws(Closed) {
        var text = text
        let reason = lock.withLock { _ in text.withUTF8 { write(UnsafeRawBufferPointer($0), patience) } }
        if let reason { throw Closed(reason: reason) }
    }

    /// Returns nil if it wrote all, else what `errno` says of the reason.
    private func write(_ bytes: UnsafeRawBufferPointer, _ patience: Int32) -> Int32? {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Foundation.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                // Somebody who shares this stream made it non-blocking: wait until there is room.
                var poller = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                guard poll(&poller, 1, patience) > 0, poller.revents & Int16(POLLOUT) != 0 else { return EPIPE }
            } else if errno != EINTR {
                return errno
            }
        }
        return nil
    }
}
