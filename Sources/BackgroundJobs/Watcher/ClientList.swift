/// One connection, as `CLIENT LIST` tells of it (<https://redis.io/docs/latest/commands/client-list/>).
package struct ListedClient: Sendable, Equatable {
    package var id: Int64
    package var name: String
    package var database: Int
    /// Whole seconds since it last sent something.
    package var idle: Int
    /// Whole seconds since it connected.
    package var age = 0
}

/// The reply of `CLIENT LIST`. Each line has fields `name=value` with spaces between; which fields there are differs from
/// version to version, so unknown ones are skipped and missing ones read as 0 or empty.
package enum ClientList {
    package static func parse(_ text: [UInt8]) -> [ListedClient] {
        text.split(separator: UInt8(ascii: "\n")).compactMap(parse(line:))
    }

    private static func parse(line: ArraySlice<UInt8>) -> ListedClient? {
        var id: Int64?
        var client = ListedClient(id: 0, name: "", database: 0, idle: 0)
        for field in line.split(separator: UInt8(ascii: " ")) {
            guard let equals = field.firstIndex(of: UInt8(ascii: "=")) else { continue }
            let value = field[(equals + 1)...]
            if field[..<equals].elementsEqual("id".utf8), id == nil {
                id = number(value)
            } else if field[..<equals].elementsEqual("name".utf8) {
                client.name = String(decoding: value.filter { $0 != UInt8(ascii: "\r") }, as: UTF8.self)
            } else if field[..<equals].elementsEqual("db".utf8) {
                client.database = Int(clamping: number(value) ?? 0)
            } else if field[..<equals].elementsEqual("idle".utf8) {
                client.idle = Int(clamping: number(value) ?? 0)
            } else if field[..<equals].elementsEqual("age".utf8) {
                client.age = Int(clamping: number(value) ?? 0)
            }
        }
        guard let id else { return nil }
        client.id = id
        return client
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int64? {
        var value: Int64 = 0
        var isEmpty = true
        for byte in digits where byte != UInt8(ascii: "\r") {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(Int64(byte - UInt8(ascii: "0")))
            if overflow || carry { return nil }
            value = sum
            isEmpty = false
        }
        return isEmpty ? nil : value
    }
}

/// A worker, as the name of its command connection tells.
package struct ConnectedWorker: Sendable, Equatable {
    package var client: Int64
    package var node: String
    package var fibers: Int
    package var queues: [String]
    package var idle: Int

    /// nil where the connection is no worker's of this namespace.
    package init?(_ client: ListedClient, namespace: String) {
        let prefix = ClientName.workerPrefix(namespace)
        guard client.name.hasPrefix(prefix) else { return nil }
        let parts = client.name.dropFirst(prefix.count).split(
            separator: ":",
            maxSplits: 2,
            omittingEmptySubsequences: false
        )
        guard parts.count == 3, !parts[0].isEmpty else { return nil }
        self.client = client.id
        node = String(parts[0])
        fibers = Int(parts[1]) ?? 0
        queues = parts[2].split(separator: ",").map(String.init)
        idle = client.idle
    }
}
