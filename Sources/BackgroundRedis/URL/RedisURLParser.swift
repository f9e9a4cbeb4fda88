/// Reads Redis URLs. Its errors name the part that is wrong and never repeat what may be a password.
enum RedisURLParser {
    struct Parts {
        var address: RedisURL.Address
        var user: String?
        var password: String?
        var database = 0
        var isTLS = false
    }

    static func parse(_ string: String) throws(RedisError) -> Parts {
        guard !string.isEmpty else {
            throw wrong("it is empty. Write redis://host:6379, rediss://host:6379 or unix:///path/of.sock")
        }
        guard string.utf8.allSatisfy({ $0 > 32 && $0 != 127 }) else {
            throw wrong("it holds a space or a control character. Percent-encode it, a space as %20")
        }
        guard let mark = string.firstRange(of: "://") else {
            throw wrong("the scheme is missing. Begin with redis://, rediss:// or unix://")
        }
        let rest = string[mark.upperBound...]
        guard !rest.contains("#") else {
            throw wrong("it holds a “#”. Write %23 for one in a user, a password or a path")
        }
        switch string[..<mark.lowerBound].lowercased() {
        case "redis": return try parseHost(rest, isTLS: false)
        case "rediss": return try parseHost(rest, isTLS: true)
        case "unix": return try parseUnix(rest)
        default: throw wrong("the scheme is not one of redis, rediss and unix")
        }
    }

    static func wrong(_ reason: String) -> RedisError {
        RedisError(.invalidURL, "The Redis URL cannot be used: \(reason).")
    }

    private static func parseHost(_ text: Substring, isTLS: Bool) throws(RedisError) -> Parts {
        guard !text.contains("?") else {
            throw wrong("it has a query. Write the database as a path, redis://host:6379/2, and “?” as %3F")
        }
        let slash = text.firstIndex(of: "/") ?? text.endIndex
        var authority = text[..<slash]
        // A slash or an @ that belongs to a password must not end up in a message as part of the host or the database.
        guard !text[slash...].contains("@") else {
            throw wrong(
                "there is an “@” after the first “/”. In a user or a password write %2F for “/” and %40 for “@”"
            )
        }
        let credentials = try takeCredentials(&authority)
        let (host, port) = try parseAddress(authority)
        return Parts(
            address: .host(host, port: port),
            user: credentials?.user,
            password: credentials?.password,
            database: try parseDatabase(text[slash...].dropFirst()),
            isTLS: isTLS
        )
    }

    private static func parseUnix(_ text: Substring) throws(RedisError) -> Parts {
        let question = text.firstIndex(of: "?") ?? text.endIndex
        guard let slash = text.firstIndex(of: "/"), slash < question else {
            throw wrong("the path is missing. Write unix:///path/of.sock, with three slashes")
        }
        guard !text[slash...].contains("@") else {
            throw wrong("there is an “@” after the first “/”. Write %40 for “@” and %2F for a “/” in a password")
        }
        var authority = text[..<slash]
        let credentials = try takeCredentials(&authority)
        guard authority.isEmpty else {
            throw wrong("a Unix socket has no host. Write unix:///path/of.sock, with three slashes")
        }
        let path = try decode(text[slash..<question], "path")
        guard path.utf8.count > 1 else { throw wrong("the path of the socket is missing") }
        // sockaddr_un.sun_path holds 108 bytes on Linux and 104 on macOS, one of them for the end.
        guard path.utf8.count <= 103 else { throw wrong("the path is longer than the 103 bytes a socket may have") }
        var database = 0
        if question < text.endIndex {
            let query = text[question...].dropFirst()
            guard query.hasPrefix("db=") else { throw wrong("its query is not “db=” and a number") }
            guard query.count > 3 else { throw wrong("the number of the database is missing after “db=”") }
            database = try parseDatabase(query.dropFirst(3))
        }
        return Parts(
            address: .unix(path: path),
            user: credentials?.user,
            password: credentials?.password,
            database: database
        )
    }

    private static func takeCredentials(
        _ authority: inout Substring
    ) throws(RedisError) -> (user: String?, password: String)? {
        guard let at = authority.firstIndex(of: "@") else { return nil }
        let text = authority[..<at]
        authority = authority[at...].dropFirst()
        guard !authority.contains("@") else {
            throw wrong("there is more than one “@”. Write %40 for one in a user or a password")
        }
        guard let colon = text.firstIndex(of: ":") else {
            throw wrong("there is no “:” before the “@”. Write redis://user:password@host or redis://:password@host")
        }
        guard !text[colon...].dropFirst().contains(":") else {
            throw wrong("there is more than one “:” before the “@”. Write %3A for one in a user or a password")
        }
        let user = try decode(text[..<colon], "user")
        let password = try decode(text[colon...].dropFirst(), "password")
        guard !user.isEmpty || !password.isEmpty else {
            throw wrong("user and password are empty. Leave “:@” out, or write redis://:password@host")
        }
        return (user.isEmpty ? nil : user, password)
    }

    private static func parseDatabase(_ text: Substring) throws(RedisError) -> Int {
        if text.isEmpty { return 0 }
        guard text.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), let number = Int(text), number <= Int(Int32.max) else {
            throw wrong("the database is not a number. Write redis://host:6379/0")
        }
        return number
    }

    /// Percent-decodes a part, which has to be UTF-8 without NUL.
    private static func decode(_ text: Substring, _ part: String) throws(RedisError) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexDigit), let low = rest.popFirst().flatMap(hexDigit) else {
                throw wrong("a “%” in the \(part) is not followed by two hexadecimal digits. Write %25 for “%”")
            }
            bytes.append(high << 4 | low)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw wrong("the \(part), percent-decoded, is not UTF-8 or holds a NUL")
        }
        return decoded
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
