/// What can be made wrong of a line.
extension LuaLine {
    /// Whether the line can be left out so that it may go unnoticed. Without a declaration, or a part of a block, a script
    /// does not compile or names something that is not there: that would only test Lua.
    var isDeletable: Bool {
        guard let first = code.first, first.kind == .word else { return false }
        let part = ["local", "function", "for", "while", "else", "elseif", "end"]
        if first.text == "if" { return code.last?.text == "end" }
        return !part.contains(first.text)
    }

    /// The line with one thing made wrong, for each that there is.
    var alterations: [String] { parts.indices.flatMap { alterations(of: $0) } + negations }

    /// The line with another text in a string: what remains where there is nothing else to be altered.
    var otherStrings: [String] {
        parts.indices.compactMap { index in
            let text = parts[index].text
            guard parts[index].kind == .string, let quote = text.last, !isCommand(text) else { return nil }
            return replacing(index, with: text.dropLast() + "~" + String(quote))
        }
    }

    private func alterations(of index: Int) -> [String] {
        let part = parts[index]
        switch part.kind {
        case .symbol:
            guard let other = Self.symbols[part.text], !isSign(index) else { return [] }
            return [replacing(index, with: other)]
        case .word:
            return Self.words[part.text].map { [replacing(index, with: $0)] } ?? []
        case .number:
            return Int(part.text).map { [replacing(index, with: "\($0 + 1)")] } ?? []
        case .string:
            return Self.commands[part.text].map { [replacing(index, with: $0)] } ?? []
        case .space, .comment:
            return []
        }
    }

    /// `-1` is altered by its number.
    private func isSign(_ index: Int) -> Bool {
        guard parts[index].text == "-" else { return false }
        guard let before = parts[..<index].last(where: { $0.kind != .space }) else { return true }
        return ["(", ",", "=", "{", "==", "~=", "<", ">", "return"].contains(before.text)
    }

    private func isCommand(_ text: String) -> Bool {
        text.count > 3 && text.dropFirst().dropLast().allSatisfy { $0.isUppercase }
    }

    /// A condition turned round.
    private var negations: [String] {
        guard let begin = parts.firstIndex(where: { ["if", "elseif", "while"].contains($0.text) }),
            let end = parts.firstIndex(where: { $0.kind == .word && ["then", "do"].contains($0.text) }), begin < end
        else { return [] }
        let condition = parts[(begin + 1)..<end].map(\.text).joined()
        let (before, after) = (parts[...begin].map(\.text).joined(), parts[end...].map(\.text).joined())
        return ["\(before) not (\(condition)) \(after)"]
    }

    private static let symbols = [
        "==": "~=", "~=": "==", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "+": "-", "-": "+", "*": "/", "/": "*",
    ]
    private static let words = [
        "and": "or", "or": "and", "true": "false", "false": "true", "not": "", "max": "min",
        "min": "max", "floor": "ceil", "pcall": "call",
    ]
    private static let commands = [
        "'LPUSH'": "'RPUSH'", "'RPUSH'": "'LPUSH'", "'LPOP'": "'RPOP'", "'EXPIRE'": "'PEXPIRE'",
        "'PEXPIRE'": "'EXPIRE'", "'PX'": "'EX'", "'SADD'": "'SREM'", "'SREM'": "'SADD'",
    ]
}
