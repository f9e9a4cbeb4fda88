/// One reply of Redis, byte for byte.
package enum RESPValue: Sendable, Equatable {
    /// The null string or the null array.
    case null
    /// An integer.
    case integer(Int64)
    /// A string of any bytes, or a status such as `OK`.
    case string([UInt8])
    /// An error reply, without the leading `-`.
    case error(String)
    /// Replies within a reply.
    case array([RESPValue])

    /// The string as text; bytes that are not UTF-8 become replacement characters.
    package var text: String? {
        guard case .string(let bytes) = self else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The integer, also when it came as a string of digits; nil beyond 2^53 either way: no count, time or ID of Redis is as
    /// large, and what is added up of smaller ones does not overflow.
    package var int: Int64? {
        let number: Int64? =
            switch self {
            case .integer(let value): value
            case .string(let bytes): Int64(String(decoding: bytes, as: UTF8.self))
            case .null, .error, .array: nil
            }
        return number.flatMap { $0.magnitude <= 1 << 53 ? $0 : nil }
    }

    /// The elements of an array.
    package var array: [RESPValue]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }

    /// Whether the reply is null.
    package var isNull: Bool { self == .null }

    /// The reply itself, unless it is an error.
    ///
    /// - Throws: ``RedisError`` with the code `server` for an error reply.
    @discardableResult
    package func get() throws(RedisError) -> RESPValue {
        if case .error(let reply) = self { throw RedisError.server(reply) }
        return self
    }
}
