import NIOCore

extension RedisURLParser {
    /// Reads `host`, `host:port`, `[address]` or `[address]:port`.
    static func parseAddress(_ text: Substring) throws(RedisError) -> (host: String, port: Int) {
        if text.hasPrefix("[") { return try parseIPv6(text) }
        let colon = text.firstIndex(of: ":") ?? text.endIndex
        let host = text[..<colon]
        let afterColon = text[colon...].dropFirst()
        guard !afterColon.contains(":") else {
            throw wrong(
                "there is more than one “:” after the host. An IPv6 address stands in brackets: redis://[::1]:6379"
            )
        }
        guard !host.isEmpty else { throw wrong("the host is missing. Write redis://host:6379") }
        guard host.utf8.count <= 253, host.utf8.allSatisfy(isHostByte) else {
            throw wrong("the host is not a name or an address. A name with other letters is written in its xn-- form")
        }
        guard !host.hasPrefix("."), !host.hasPrefix("-"), !host.contains("..") else {
            throw wrong("the host is not a name or an address")
        }
        return (String(host), try parsePort(colon < text.endIndex ? afterColon : nil))
    }

    private static func parseIPv6(_ text: Substring) throws(RedisError) -> (host: String, port: Int) {
        guard let end = text.firstIndex(of: "]") else { throw wrong("the “]” after the IPv6 address is missing") }
        let address = String(text[..<end].dropFirst())
        let rest = text[end...].dropFirst()
        guard address.contains(":"), (try? SocketAddress(ipAddress: address, port: 0)) != nil else {
            throw wrong("what stands in brackets is not an IPv6 address")
        }
        guard rest.isEmpty || rest.hasPrefix(":") else {
            throw wrong("something other than a port follows the “]”. Write redis://[::1]:6379")
        }
        return (address, try parsePort(rest.isEmpty ? nil : rest.dropFirst()))
    }

    private static func parsePort(_ text: Substring?) throws(RedisError) -> Int {
        guard let text else { return 6379 }
        guard text.utf8.count <= 5, text.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }),
            let port = Int(text), (1...65535).contains(port)
        else {
            throw wrong(
                "the port is not a number from 1 to 65535. If it is part of a password, percent-encode “:”, “/” and “@” there"
            )
        }
        return port
    }

    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default:
            false
        }
    }
}
