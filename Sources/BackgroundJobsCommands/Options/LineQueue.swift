import Dispatch
import Foundation
import Synchronization

/// Log lines on their way to a stream. Whoever adds one never waits for whoever reads the stream: a thread of the queue's own
/// does. What does not fit any more is dropped, counted, and told of as soon as there is room again.
final class LineQueue: Sendable {
    /// What goes to standard error; at the end of the process it has a second left.
    static let error: LineQueue = {
        atexit { LineQueue.error.flush(within: .seconds(1)) }
        return LineQueue(.error)
    }()

    private struct State {
        var lines: [String] = []
        /// What is held, the lines being written included.
        var count = 0
        var bytes = 0
        var dropped = 0
        var format = LogFormat.text
        var isWriting = false

        var hasRoom: Bool { count < LineQueue.maximumCount && bytes < LineQueue.maximumBytes }

        mutating func append(_ line: String) {
            lines.append(line)
            count += 1
            bytes += line.utf8.count
        }

        /// Says how many lines are missing at this place.
        mutating func tellDropped() {
            guard dropped > 0 else { return }
            let line = LogLine(
                time: Timestamp.text(Date()),
                level: "warning",
                label: "log",
                message: "\(dropped) log lines were dropped",
                metadata: []
            )
            dropped = 0
            append(line.text(as: format))
        }
    }

    static let maximumCount = 10_000
    static let maximumBytes = 4 << 20
    /// How much is written at once.
    private static let batchBytes = 1 << 16

    private let stream: StandardStream
    private let state = Mutex(State())
    private let writer = DispatchQueue(label: "log")

    init(_ stream: StandardStream) {
        self.stream = stream
    }

    /// Adds a line, or drops it.
    ///
    /// - Parameter format: the form in which dropped lines are told of.
    func add(_ line: String, as format: LogFormat) {
        let wakes = state.withLock { state in
            guard state.hasRoom else {
                state.dropped += 1
                state.format = format
                return false
            }
            state.tellDropped()
            state.append(line)
            defer { state.isWriting = true }
            return !state.isWriting
        }
        if wakes { writer.async { self.writeOut() } }
    }

    /// Waits until all that was added is written, or the limit is reached.
    func flush(within limit: DispatchTimeInterval) {
        let isDone = DispatchSemaphore(value: 0)
        writer.async { isDone.signal() }
        _ = isDone.wait(timeout: .now() + limit)
    }

    private func writeOut() {
        while let batch = nextBatch() {
            for (text, lines) in Self.joined(batch) {
                stream.writeAll(text, patience: -1)
                written(lines, text)
            }
        }
    }

    private func nextBatch() -> [String]? {
        state.withLock { state in
            if state.lines.isEmpty { state.tellDropped() }
            guard !state.lines.isEmpty else {
                state.isWriting = false
                return nil
            }
            defer { state.lines = [] }
            return state.lines
        }
    }

    private func written(_ count: Int, _ text: String) {
        state.withLock { state in
            state.count -= count
            state.bytes -= text.utf8.count
        }
    }

    private static func joined(_ lines: [String]) -> [(text: String, lines: Int)] {
        var texts: [(text: String, lines: Int)] = []
        for line in lines {
            if let last = texts.last, last.text.utf8.count + line.utf8.count <= batchBytes {
                texts[texts.count - 1].text += line
                texts[texts.count - 1].lines += 1
            } else {
                texts.append((line, 1))
            }
        }
        return texts
    }
}
