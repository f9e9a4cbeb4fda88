import Crypto

extension Uniqueness {
    /// The lock of a job: SHA-256 over namespace, class, queue, `arguments` or `key`, and the arguments or the key, a line
    /// each. Producers in other languages find the same lock in the same way.
    package func lock(
        namespace: String,
        className: String,
        queue: String,
        arguments: [UInt8]
    ) throws(BackgroundError) -> NewJob.Lock {
        try check()
        let (kind, subject) =
            switch by {
            case .arguments: ("arguments", arguments)
            case .key(let key): ("key", Array(key.utf8))
            }
        var hash = SHA256()
        hash.update(data: Array("\(namespace)\n\(className)\n\(queue)\n\(kind)\n".utf8))
        hash.update(data: subject)
        let digits = Array("0123456789abcdef")
        let digest = hash.finalize().reduce(into: "") { text, byte in
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return NewJob.Lock(
            digest: digest,
            duration: duration.ceilingMilliseconds,
            until: until,
            duplicate: duplicate
        )
    }

    /// The longest key, in bytes.
    package static let longestKey = 4096

    /// - Throws: ``BackgroundError`` for a duration or a key that is not allowed.
    func check() throws(BackgroundError) {
        _ = try JobOptions.checked(duration, "unique")
        guard case .key(let key) = by else { return }
        guard (1...Self.longestKey).contains(key.utf8.count) else {
            throw BackgroundError(
                .invalidArgument,
                "The key of the option unique has \(key.utf8.count) bytes; it must have 1 to \(Self.longestKey)."
            )
        }
    }
}
