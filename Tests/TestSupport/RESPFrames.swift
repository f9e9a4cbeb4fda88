import NIOCore

/// Finds where one RESP value ends, so that a proxy can pass on whole ones.
struct RESPFrames {
    private var buffer = ByteBuffer()

    mutating func feed(_ bytes: ByteBuffer) { buffer.writeImmutableBuffer(bytes) }

    /// The next whole value, as it came.
    mutating func next() -> ByteBuffer? {
        let view = buffer.readableBytesView
        guard let end = Self.end(of: view, from: view.startIndex) else { return nil }
        let frame = buffer.readSlice(length: end - view.startIndex)
        buffer.discardReadBytes()
        return frame
    }

    /// What came of a value that is not whole yet.
    mutating func rest() -> ByteBuffer {
        defer { buffer = ByteBuffer() }
        return buffer
    }

    /// The words of a command, each cut off after 64 bytes.
    static func words(of command: ByteBuffer, limit: Int = 8) -> [String] {
        let view = command.readableBytesView
        guard view.first == UInt8(ascii: "*"), let (count, start) = number(in: view, from: view.startIndex + 1) else {
            return []
        }
        var words: [String] = []
        var at = start
        for _ in 0..<min(count, limit) {
            guard let (length, begin) = number(in: view, from: at + 1) else { return words }
            words.append(String(decoding: view[begin..<(begin + min(length, 64))], as: UTF8.self))
            at = begin + length + 2
        }
        return words
    }

    private static func end(of view: ByteBufferView, from start: Int) -> Int? {
        guard start < view.endIndex, let (number, line) = number(in: view, from: start + 1) else {
            return start < view.endIndex ? lineEnd(in: view, from: start) : nil
        }
        switch view[start] {
        case UInt8(ascii: "$"):
            let end = number < 0 ? line : line + number + 2
            return end <= view.endIndex ? end : nil
        case UInt8(ascii: "*"):
            var at = line
            for _ in 0..<max(0, number) {
                guard let next = end(of: view, from: at) else { return nil }
                at = next
            }
            return at
        default:
            return line
        }
    }

    private static func lineEnd(in view: ByteBufferView, from start: Int) -> Int? {
        guard let newline = view[start...].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        return newline + 1
    }

    /// A number and where the next line begins; nil where there is no whole line, or it is no number.
    private static func number(in view: ByteBufferView, from start: Int) -> (Int, Int)? {
        guard start <= view.endIndex, let newline = view[start...].firstIndex(of: UInt8(ascii: "\n")) else {
            return nil
        }
        let digits = view[start..<max(start, newline - 1)]
        guard let number = Int(String(decoding: digits, as: UTF8.self)) else { return nil }
        return (number, newline + 1)
    }
}
