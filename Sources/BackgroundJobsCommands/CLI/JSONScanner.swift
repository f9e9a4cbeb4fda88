/// Checks that bytes are one JSON value (RFC 8259), no deeper than a worker decodes it, and says where they are not.
///
/// Nothing is built: this runs for each line of files with millions of them.
struct JSONScanner {
    /// What is wrong, and where.
    struct Fault: Error, Equatable, CustomStringConvertible {
        /// The place, counted in bytes from 1.
        var position: Int
        var reason: String

        var description: String { "byte \(position): \(reason)" }
    }

    private let bytes: [UInt8]
    private var at = 0
    private var depth = 0
    private let maximumDepth: Int

    static func check(_ bytes: [UInt8], maximumDepth: Int) throws(Fault) {
        var scanner = JSONScanner(bytes: bytes, maximumDepth: maximumDepth)
        scanner.skipSpace()
        try scanner.value()
        scanner.skipSpace()
        guard scanner.at == bytes.count else { throw scanner.fault("there is something behind the value") }
        if String(validating: bytes, as: UTF8.self) == nil {
            throw Fault(position: 1, reason: "the text is not UTF-8")
        }
    }

    private init(bytes: [UInt8], maximumDepth: Int) {
        self.bytes = bytes
        self.maximumDepth = maximumDepth
    }

    private mutating func value() throws(Fault) {
        switch peek {
        case UInt8(ascii: "{"): try object()
        case UInt8(ascii: "["): try array()
        case UInt8(ascii: "\""): try string()
        case UInt8(ascii: "t"): try word("true")
        case UInt8(ascii: "f"): try word("false")
        case UInt8(ascii: "n"): try word("null")
        case UInt8(ascii: "-"): try number()
        case let byte? where Self.isDigit(byte): try number()
        case nil: throw fault("a value is missing")
        default: throw fault("no value begins like this")
        }
    }

    private mutating func object() throws(Fault) {
        try enter()
        if skip("}") { return leave() }
        repeat {
            skipSpace()
            guard peek == UInt8(ascii: "\"") else { throw fault("a key in quotes is missing") }
            try string()
            skipSpace()
            guard skip(":") else { throw fault("a colon is missing") }
            skipSpace()
            try value()
            skipSpace()
        } while skip(",")
        guard skip("}") else { throw fault("a comma or a closing brace is missing") }
        leave()
    }

    private mutating func array() throws(Fault) {
        try enter()
        if skip("]") { return leave() }
        repeat {
            skipSpace()
            try value()
            skipSpace()
        } while skip(",")
        guard skip("]") else { throw fault("a comma or a closing bracket is missing") }
        leave()
    }

    private mutating func enter() throws(Fault) {
        depth += 1
        guard depth <= maximumDepth else { throw fault("it is nested deeper than \(maximumDepth) levels") }
        at += 1
        skipSpace()
    }

    private mutating func leave() { depth -= 1 }

    private mutating func string() throws(Fault) {
        let start = at
        at += 1
        while let byte = peek {
            at += 1
            switch byte {
            case UInt8(ascii: "\""): return
            case UInt8(ascii: "\\"): try escape()
            case ..<0x20:
                at -= 1
                throw fault("a control character stands in a string unescaped")
            default: break
            }
        }
        throw Fault(position: start + 1, reason: "the string that begins here has no end")
    }

    private mutating func escape() throws(Fault) {
        guard let byte = peek else { return }
        at += 1
        switch byte {
        case UInt8(ascii: "u"):
            for _ in 0..<4 {
                guard let digit = peek, Self.isHexadecimal(digit) else {
                    throw fault("\\u needs four hexadecimal digits")
                }
                at += 1
            }
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            break
        default:
            at -= 1
            throw fault("there is no such escape")
        }
    }

    private mutating func number() throws(Fault) {
        _ = skip("-")
        if !skip("0") { try digits() }
        if skip(".") { try digits() }
        if skip("e") || skip("E") {
            if !skip("+") { _ = skip("-") }
            try digits()
        }
    }

    private mutating func digits() throws(Fault) {
        let start = at
        while let byte = peek, Self.isDigit(byte) { at += 1 }
        if at == start { throw fault("a digit is missing") }
    }

    private mutating func word(_ word: StaticString) throws(Fault) {
        for index in 0..<word.utf8CodeUnitCount {
            guard peek == word.utf8Start[index] else { throw fault("no value begins like this") }
            at += 1
        }
    }

    private var peek: UInt8? { at < bytes.count ? bytes[at] : nil }

    private mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard peek == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { at += 1 }
    }

    private func fault(_ reason: String) -> Fault { Fault(position: at + 1, reason: reason) }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        isDigit(byte) || (byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "f"))
    }
}
