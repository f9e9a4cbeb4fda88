import CHiredis

/// Turns the bytes of a connection into replies, with the reader of hiredis.
///
/// The only file that imports hiredis. What its reader asks of its user (hiredis 0.14, `read.c`):
/// - An error is sticky: nothing more can be read afterwards.
/// - It compacts its buffer only after a reply, so it is fed at most 16 KiB at a time and drained in between.
/// - The table of functions must outlive the reader, and none of the functions may return NULL, which would
///   mean that memory ran out. So the values are put together in a ``RESPBuilder`` and the pointer returned
///   says nothing.
/// - It is not thread-safe: one event loop owns it.
package final class RESPReader {
    /// How much of an unfinished line is kept. The longest lines of Redis are error replies of scripts.
    private static let maximumLineBytes = 64 * 1024
    private static let feedBytes = 16 * 1024

    private let reader: UnsafeMutablePointer<redisReader>
    private let builder = RESPBuilder()
    private let maximumReplyBytes: Int
    private var bytesOfReply = 0
    private var failure: RedisError?

    /// - Parameter maximumReplyBytes: A reply that is longer is refused before it has arrived.
    package init(maximumReplyBytes: Int = 64 * 1024 * 1024) {
        guard let reader = redisReaderCreateWithFunctions(Self.functions) else {
            // malloc(3) refused a few hundred bytes; there is nothing that could be done with an error.
            preconditionFailure("Out of memory")
        }
        self.reader = reader
        self.maximumReplyBytes = maximumReplyBytes
        // The reader is freed before the builder is: both live as long as this object.
        reader.pointee.privdata = Unmanaged.passUnretained(builder).toOpaque()
    }

    deinit {
        redisReaderFree(reader)
    }

    /// Reads what can be read of `bytes` and of what was left over before.
    ///
    /// - Parameter body: Is given each complete reply, in order, also those before a malformed one.
    /// - Throws: `protocolViolation`, then and at each later call, if it is not the Redis protocol.
    package func feed(
        _ bytes: UnsafeRawBufferPointer,
        _ body: (RESPValue) throws(RedisError) -> Void
    ) throws(RedisError) {
        if let failure { throw failure }
        do throws(RedisError) {
            var rest = bytes[...]
            while !rest.isEmpty {
                let chunk = UnsafeRawBufferPointer(rebasing: rest.prefix(Self.feedBytes))
                rest = rest.dropFirst(chunk.count)
                bytesOfReply += chunk.count
                guard redisReaderFeed(reader, chunk.baseAddress, chunk.count) == REDIS_OK else { throw readerError() }
                try drain(body)
                try checkLimits()
            }
        } catch {
            failure = error
            throw error
        }
    }

    private func drain(_ body: (RESPValue) throws(RedisError) -> Void) throws(RedisError) {
        while true {
            var reply: UnsafeMutableRawPointer?
            guard redisReaderGetReply(reader, &reply) == REDIS_OK else { throw readerError() }
            if let reason = builder.violation { throw Self.violation(reason) }
            guard reply != nil else { return }
            guard let value = builder.takeReply() else { throw Self.violation("an unsupported type of reply") }
            bytesOfReply = unread
            try body(value)
        }
    }

    private var unread: Int { Int(reader.pointee.len) - Int(reader.pointee.pos) }

    private func checkLimits() throws(RedisError) {
        if bytesOfReply > maximumReplyBytes {
            throw Self.violation("a reply of more than \(maximumReplyBytes) bytes")
        }
        // A string's header is at most 24 bytes long, so what has no line end by then is a line, which hiredis
        // would search from its beginning each time more of it comes.
        if unread > Self.maximumLineBytes, let buffer = reader.pointee.buf {
            let start = UnsafeRawBufferPointer(start: buffer + Int(reader.pointee.pos), count: 32)
            guard start.contains(UInt8(ascii: "\r")) else {
                throw Self.violation("a line of more than \(Self.maximumLineBytes) bytes")
            }
        }
    }

    private func readerError() -> RedisError {
        let reason = withUnsafeBytes(of: reader.pointee.errstr) {
            String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
        return Self.violation(reason.isEmpty ? "hiredis reports error \(reader.pointee.err)" : reason)
    }

    static func violation(_ reason: String) -> RedisError {
        RedisError(
            .protocolViolation,
            "The server does not speak the Redis protocol: \(reason). Check host, port and whether it expects TLS.",
            fate: .unknown
        )
    }

    /// Written once, here, and only read by hiredis after that; never freed, since it must outlive every reader.
    private nonisolated(unsafe) static let functions: UnsafeMutablePointer<redisReplyObjectFunctions> = {
        var functions = redisReplyObjectFunctions()
        functions.createString = { task, text, length in
            RESPReader.build(task) { $0.string(text, Int(length), type: Int32(task?.pointee.type ?? 0)) }
        }
        // The count is an int in hiredis 0.14 and a size_t in 1.x.
        functions.createArray = { task, count in
            RESPReader.build(task) { $0.array(Int(count), type: Int32(task?.pointee.type ?? 0)) }
        }
        functions.createInteger = { task, value in RESPReader.build(task) { $0.add(.integer(Int64(value))) } }
        functions.createNil = { task in RESPReader.build(task) { $0.add(.null) } }
        let table = UnsafeMutablePointer<redisReplyObjectFunctions>.allocate(capacity: 1)
        table.initialize(to: functions)
        return table
    }()

    @inline(__always)
    private static func build(
        _ task: UnsafePointer<redisReadTask>?,
        _ body: (RESPBuilder) -> Void
    ) -> UnsafeMutableRawPointer? {
        guard let context = task?.pointee.privdata else { return nil }
        Unmanaged<RESPBuilder>.fromOpaque(context)._withUnsafeGuaranteedRef(body)
        return context
    }
}

extension RESPBuilder {
    fileprivate func string(_ text: UnsafeMutablePointer<CChar>?, _ length: Int, type: Int32) {
        guard let text else { return refuse("a string without bytes") }
        let bytes = UnsafeRawBufferPointer(start: text, count: length)
        switch type {
        case REDIS_REPLY_STRING:
            // hiredis has waited for the line end after a string, but skips it unread.
            guard text[length] == 13, text[length + 1] == 10 else { return refuse("a string longer than it says") }
            add(.string([UInt8](bytes)))
        case REDIS_REPLY_STATUS: add(.string([UInt8](bytes)))
        case REDIS_REPLY_ERROR: add(.error(String(decoding: bytes, as: UTF8.self)))
        default: refuse("an unsupported type of reply")
        }
    }

    fileprivate func array(_ count: Int, type: Int32) {
        guard type == REDIS_REPLY_ARRAY else { return refuse("an unsupported type of reply") }
        beginArray(count)
    }
}
