/// A line of a script in its parts.
struct LuaLine: Sendable {
    enum Kind: Sendable { case word, number, string, symbol, space, comment }

    struct Part: Sendable {
        var kind: Kind
        var text: String
    }

    var parts: [Part] = []

    /// Takes a line apart. (None of the scripts has a string or a comment of several lines.)
    init(_ line: String) {
        var rest = Substring(line)
        while let first = rest.first {
            let part = Self.part(of: rest, first)
            parts.append(part)
            rest = rest.dropFirst(part.text.count)
        }
    }

    var text: String { parts.map(\.text).joined() }
    /// What Lua makes something of.
    var code: [Part] { parts.filter { $0.kind != .space && $0.kind != .comment } }

    /// The line with another text in place of one part.
    func replacing(_ index: Int, with text: String) -> String {
        var copy = self
        copy.parts[index].text = text
        return copy.text
    }

    private static func part(of rest: Substring, _ first: Character) -> Part {
        if first == " " { return Part(kind: .space, text: String(rest.prefix { $0 == " " })) }
        if rest.hasPrefix("--") { return Part(kind: .comment, text: String(rest)) }
        if first == "'" || first == "\"" { return Part(kind: .string, text: string(rest, first)) }
        if first.isNumber { return Part(kind: .number, text: String(rest.prefix { $0.isNumber || $0 == "." })) }
        if first.isLetter || first == "_" {
            return Part(kind: .word, text: String(rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" }))
        }
        for symbol in ["...", "==", "~=", "<=", ">=", ".."] where rest.hasPrefix(symbol) {
            return Part(kind: .symbol, text: symbol)
        }
        return Part(kind: .symbol, text: String(first))
    }

    private static func string(_ rest: Substring, _ quote: Character) -> String {
        var text = String(quote)
        var isEscaped = false
        for character in rest.dropFirst() {
            text.append(character)
            if character == quote, !isEscaped { break }
            isEscaped = character == "\\" && !isEscaped
        }
        return text
    }
}
