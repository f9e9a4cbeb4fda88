/// What `INFO` says of a server; fields that are missing read as empty.
package struct ServerInfo: Sendable, Equatable {
    private let fields: [Substring: Substring]

    package init(_ text: String) {
        var fields: [Substring: Substring] = [:]
        for line in text.split(whereSeparator: \.isNewline) where !line.hasPrefix("#") {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon]] = line[line.index(after: colon)...]
        }
        self.fields = fields
    }

    package subscript(_ field: String) -> String { fields[field[...]].map(String.init) ?? "" }

    package var runID: String { self["run_id"] }
    package var version: String { self["redis_version"] }
    package var isMaster: Bool { self["role"] == "master" }
    package var isLoading: Bool { self["loading"] == "1" }
    package var evictionPolicy: String { self["maxmemory_policy"] }

    /// Whether the version is at least this one.
    package func isAtLeast(_ major: Int, _ minor: Int) -> Bool {
        let parts = version.split(separator: ".").compactMap { Int($0) }
        guard parts.count >= 2 else { return false }
        return (parts[0], parts[1]) >= (major, minor)
    }
}
