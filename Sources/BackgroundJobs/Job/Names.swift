/// The alphabets of the protocol, checked on every way in: what passes here can stand in a key, in a client name and in a
/// line of output without quoting.
package enum Names {
    /// Namespaces: `A-Z a-z 0-9 _ . : - { }`, 1 to 64 bytes.
    package static func checkNamespace(_ name: String) throws(BackgroundError) {
        try check(name, "namespace", limit: 64) { isWord($0) || $0 == UInt8(ascii: ".") || isAny($0, of: ":-{}") }
    }

    /// Queues: `A-Z a-z 0-9 _ - . @`, 1 to 128 bytes.
    package static func checkQueue(_ name: String) throws(BackgroundError) {
        try check(name, "queue name", limit: 128) { isWord($0) || isAny($0, of: "-.@") }
    }

    /// IDs of jobs and attempts: `A-Z a-z 0-9 _ -`, 1 to 64 characters.
    package static func checkID(_ id: String) throws(BackgroundError) {
        try check(id, "ID", limit: 64) { isWord($0) || $0 == UInt8(ascii: "-") }
    }

    /// Class names: printable ASCII without space, quotes, `<`, `>`, `/` and `\`, 1 to 200 bytes; so `Jobs::Nap` and
    /// `Mail.Send` are class names, a path is not.
    package static func checkClass(_ name: String) throws(BackgroundError) {
        try check(name, "class name", limit: 200) { $0 > 0x20 && $0 < 0x7F && !isAny($0, of: "\"'`<>/\\") }
        if name.utf8.first == UInt8(ascii: ".") {
            throw BackgroundError(.invalidArgument, "The class name \(quoted(name)) begins with a dot.")
        }
    }

    /// A node name reduced to `A-Z a-z 0-9 _ . -`, at most 40 characters; `node` where nothing is left.
    package static func reducedNodeName(_ name: String) -> String {
        let kept = name.utf8.prefix(40).map { isWord($0) || isAny($0, of: ".-") ? $0 : UInt8(ascii: "-") }
        return kept.isEmpty ? "node" : String(decoding: kept, as: UTF8.self)
    }

    /// Whether it may be the name of a worker: reduced, it is the same.
    package static func isNodeName(_ name: String) -> Bool { !name.isEmpty && reducedNodeName(name) == name }

    /// At most 60 characters of a text, in quotes, control characters escaped: fit for a message.
    package static func quoted(_ text: some StringProtocol) -> String {
        let shown = text.unicodeScalars.prefix(60).map { $0.escaped(asASCII: true) }.joined()
        return "“\(shown)\(text.unicodeScalars.count > 60 ? "…" : "")”"
    }

    private static func check(
        _ name: String,
        _ what: String,
        limit: Int,
        allows: (UInt8) -> Bool
    ) throws(BackgroundError) {
        if name.isEmpty {
            throw BackgroundError(.invalidArgument, "The \(what) is empty.")
        }
        if name.utf8.count > limit {
            throw BackgroundError(
                .invalidArgument,
                "The \(what) \(quoted(name)) has \(name.utf8.count) bytes; \(limit) are allowed."
            )
        }
        if let wrong = name.unicodeScalars.first(where: { $0.value > 0x7E || !allows(UInt8($0.value)) }) {
            throw BackgroundError(
                .invalidArgument,
                "The \(what) \(quoted(name)) contains \(quoted(String(wrong))), which is not allowed there."
            )
        }
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default:
            false
        }
    }

    private static func isAny(_ byte: UInt8, of characters: StaticString) -> Bool {
        characters.withUTF8Buffer { $0.contains(byte) }
    }
}
