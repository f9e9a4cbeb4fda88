/// The end of what a handler program wrote to stderr.
struct StandardErrorTail: Sendable {
    /// What is kept, in bytes.
    static let limit = 4096

    private var bytes: [UInt8] = []
    private var isCut = false

    /// Takes what was written next, and forgets what is too old to be shown.
    mutating func append(_ chunk: UnsafeRawBufferPointer) {
        bytes.append(contentsOf: chunk.suffix(Self.limit))
        isCut = isCut || chunk.count > Self.limit
        if bytes.count > 4 * Self.limit {
            trim()
        }
    }

    /// Valid UTF-8 of at most ``limit`` bytes, safe to show on a terminal and in a log: control characters but for tab
    /// and newline, and those that change the direction of writing, are escaped.
    var message: String {
        var tail = self
        tail.trim()
        var text = tail.bytes[...]
        if tail.isCut {
            // The cut may have gone through a character.
            text = text.drop { $0 & 0b1100_0000 == 0b1000_0000 }
        }
        while let last = text.last, [UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: " ")].contains(last) {
            text.removeLast()
        }
        return Self.end(of: String(decoding: text, as: UTF8.self))
    }

    private mutating func trim() {
        let surplus = bytes.count - Self.limit
        if surplus > 0 {
            bytes.removeFirst(surplus)
            isCut = true
        }
    }

    private static func end(of text: String) -> String {
        var reversed: [String] = []
        var length = 0
        for scalar in text.unicodeScalars.reversed() {
            let shown = isSafe(scalar) ? String(scalar) : scalar.escaped(asASCII: true)
            length += shown.utf8.count
            if length > limit {
                break
            }
            reversed.append(shown)
        }
        return reversed.reversed().joined()
    }

    private static func isSafe(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII {
            return scalar.value >= 0x20 && scalar.value != 0x7F || scalar == "\n" || scalar == "\t"
        }
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator:
            return false
        case .format:
            return scalar == "\u{200C}" || scalar == "\u{200D}"  // the joiners of scripts and emoji
        default:
            return true
        }
    }
}
