/// Makes text from elsewhere fit for a terminal and for a log: what comes from Redis may have been put there by anybody.
enum Printable {
    /// The text with everything escaped that could move the cursor, end the line, colour what follows, or turn the order
    /// of what is read. The escapes are those of JSON, so that JSON stays JSON; a backslash is left as it is.
    static func escaped(_ text: some StringProtocol) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default: append(scalar, to: &result)
            }
        }
        return result
    }

    /// The text as a JSON string, with the same characters escaped.
    static func json(_ text: some StringProtocol) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default: append(scalar, to: &result)
            }
        }
        return result + "\""
    }

    /// A JSON text whose strings hold no character that a terminal obeys. Such characters can stand only inside strings
    /// there, line breaks and tabs apart, so each may be replaced where it stands.
    static func safeJSON(_ json: some StringProtocol) -> String {
        var result = ""
        for scalar in json.unicodeScalars {
            if scalar == "\n" { result += "\n" } else { append(scalar, to: &result) }
        }
        return result
    }

    private static func append(_ scalar: Unicode.Scalar, to result: inout String) {
        guard isUnsafe(scalar) else { return result.unicodeScalars.append(scalar) }
        for unit in String(scalar).utf16 {
            let digits = String(unit, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        }
    }

    /// Control characters, format characters (bidirectional marks and isolates, zero-width ones, tags), line and paragraph
    /// separators, surrogates, and what is not assigned.
    private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.value >= 0x20, scalar.value < 0x7F { return false }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned: return true
        default: return false
        }
    }
}
