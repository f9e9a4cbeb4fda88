import Foundation

/// Finds TCP ports of 127.0.0.1 that nothing listens on.
package enum FreePort {
    /// A port that was free just now. Outside the range that the kernel gives to outgoing connections, so that it stays so.
    package static func next() throws -> Int {
        for _ in 0..<200 {
            let port = Int.random(in: 20_000...32_000)
            if isFree(port) { return port }
        }
        throw RedisServer.Failure(description: "No free TCP port was found.")
    }

    private static func isFree(_ port: Int) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
