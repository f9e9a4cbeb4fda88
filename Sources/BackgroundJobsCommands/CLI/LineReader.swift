import Foundation

/// Reads a file line by line, of which it holds one line and one piece.
struct LineReader: ~Copyable {
    /// A line is longer than it may be.
    struct TooLong: Error {
        var limit: Int
    }

    /// A read failed.
    struct Failed: Error {
        var reason: String
    }

    /// How many bytes have been read.
    private(set) var bytesRead = 0
    /// The file's size where it has one, which a pipe has not.
    let size: Int?
    private let descriptor: Int32
    private let ownsDescriptor: Bool
    private let limit: Int
    private var piece: [UInt8] = []
    private var at = 0
    private var isAtEnd = false

    /// - Parameters:
    ///   - path: the file; `-`: standard input.
    ///   - limit: bytes of a line at most.
    init(path: String, limit: Int) throws(Failed) {
        descriptor = path == "-" ? 0 : open(path, O_RDONLY | O_CLOEXEC)
        ownsDescriptor = path != "-"
        self.limit = limit
        guard descriptor >= 0 else { throw Failed(reason: String(cString: strerror(errno))) }
        var status = stat()
        let isFile = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        size = isFile ? Int(status.st_size) : nil
    }

    deinit {
        if ownsDescriptor, descriptor >= 0 { close(descriptor) }
    }

    /// The next line without its end; nil: there is none. The last line needs no end.
    mutating func next() throws -> [UInt8]? {
        var line: [UInt8] = []
        while true {
            if at == piece.count {
                if isAtEnd { return line.isEmpty ? nil : line }
                try fill()
                continue
            }
            let end = piece[at...].firstIndex(of: UInt8(ascii: "\n"))
            line += piece[at..<(end ?? piece.count)]
            at = end.map { $0 + 1 } ?? piece.count
            guard line.count <= limit else { throw TooLong(limit: limit) }
            if end != nil { return line }
        }
    }

    private mutating func fill() throws(Failed) {
        let descriptor = descriptor
        var count: Int
        var errorNumber: Int32
        repeat {
            var found = -1
            piece = [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, filled in
                found = read(descriptor, buffer.baseAddress, buffer.count)
                filled = max(0, found)
            }
            count = found
            errorNumber = errno
        } while count < 0 && errorNumber == EINTR
        guard count >= 0 else { throw Failed(reason: String(cString: strerror(errorNumber))) }
        at = 0
        bytesRead += count
        isAtEnd = count == 0
    }
}
