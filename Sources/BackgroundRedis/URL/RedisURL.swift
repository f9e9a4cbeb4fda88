/// Where Redis is and who asks.
///
/// - `redis://[user:password@]host[:port][/database]`, and `rediss://` for TLS
/// - `unix://[user:password@]/path/of.sock[?db=database]`
///
/// An IPv6 address stands in brackets. User, password and path are percent-encoded. The password is in none of the
/// descriptions of this value.
package struct RedisURL: Sendable, Hashable, CustomStringConvertible {
    /// How Redis is reached.
    package enum Address: Sendable, Hashable {
        /// Over TCP. The host is a name or an address, an IPv6 address without brackets.
        case host(String, port: Int)
        /// Over a Unix socket at this path.
        case unix(path: String)
    }

    /// How Redis is reached.
    package let address: Address
    /// The ACL user, if one is named.
    package let user: String?
    /// The number of the database, 0 unless given.
    package let database: Int
    /// Whether the connection is encrypted.
    package let isTLS: Bool
    private let secret: Secret?

    /// The password, if there is one. Never to be printed.
    package var password: String? { secret?.text }

    /// Reads a URL.
    ///
    /// - Throws: ``RedisError`` with the code `invalidURL`, which says what is wrong without repeating the password.
    package init(_ string: String) throws(RedisError) {
        let parts = try RedisURLParser.parse(string)
        address = parts.address
        user = parts.user
        secret = parts.password.map(Secret.init)
        database = parts.database
        isTLS = parts.isTLS
    }

    /// The URL with all its parts, `***` in place of the password.
    package var description: String {
        let credentials = secret.map { _ in "\(user ?? ""):***@" } ?? ""
        switch address {
        case .host(let host, let port):
            let shownHost = host.contains(":") ? "[\(host)]" : host
            return "\(isTLS ? "rediss" : "redis")://\(credentials)\(shownHost):\(port)/\(database)"
        case .unix(let path):
            return "unix://\(credentials)\(path)\(database == 0 ? "" : "?db=\(database)")"
        }
    }
}

extension RedisURL: CustomDebugStringConvertible, CustomReflectable {
    package var debugDescription: String { description }

    package var customMirror: Mirror { Mirror(self, children: ["url": description]) }
}

/// A text that does not show in any print, dump or reflection.
private struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    let text: String

    var description: String { "***" }
    var debugDescription: String { "***" }
    var customMirror: Mirror { Mirror(self, children: []) }
}
