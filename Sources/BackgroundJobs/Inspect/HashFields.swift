import BackgroundRedis
package import Foundation

/// The fields of a hash, taken out one by one: what nobody took is left, unknown fields as well as known ones that hold no
/// number where one belongs.
struct HashFields {
    private var fields: [String: [UInt8]] = [:]

    /// - Parameter reply: of HGETALL: names and values in turn.
    init(all reply: [RESPValue]) {
        for index in stride(from: 0, to: reply.count - 1, by: 2) {
            guard let name = reply[index].text, case .string(let value) = reply[index + 1] else { continue }
            fields[name] = value
        }
    }

    /// - Parameters:
    ///   - names: the fields that were asked for.
    ///   - reply: of HMGET.
    init(_ names: [String], _ reply: [RESPValue]) {
        for (name, value) in zip(names, reply) {
            if case .string(let value) = value { fields[name] = value }
        }
    }

    init(_ fields: [String: [UInt8]]) {
        self.fields = fields
    }

    var isEmpty: Bool { fields.isEmpty }

    /// All of them, as text.
    var texts: [String: String] { fields.mapValues { String(decoding: $0, as: UTF8.self) } }

    mutating func value(_ name: String) -> FieldValue? {
        fields.removeValue(forKey: name).map(FieldValue.init)
    }

    mutating func text(_ name: String) -> String? {
        fields.removeValue(forKey: name).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Numbers lie in 0 … 2^53, as in the scripts; others stay where they are.
    mutating func number(_ name: String) -> Double? { parsed(name, Self.number) }

    static func number(_ text: String) -> Double? {
        guard let number = Double(text), number >= 0, number <= 9_007_199_254_740_992 else { return nil }
        return number
    }

    /// The texts of those fields that are there.
    func texts(_ names: [String]) -> [String: String] {
        var texts: [String: String] = [:]
        for name in names { texts[name] = fields[name].map { String(decoding: $0, as: UTF8.self) } }
        return texts
    }

    mutating func int(_ name: String) -> Int? { number(name).map { Int($0) } }

    mutating func date(_ name: String) -> Date? { int(name).map { Date(milliseconds: Int64($0)) } }

    mutating func duration(_ name: String) -> Duration? {
        number(name).map { .microseconds(Int64(($0 * 1000).rounded())) }
    }

    /// What `parse` makes of a field. Where it makes nothing of it, the field stays where it is.
    mutating func parsed<Value>(_ name: String, _ parse: (String) -> Value?) -> Value? {
        guard let bytes = fields[name], let value = parse(String(decoding: bytes, as: UTF8.self)) else { return nil }
        fields[name] = nil
        return value
    }

    /// All that nobody took.
    func rest() -> [String: FieldValue] { fields.mapValues(FieldValue.init) }
}

extension Date {
    /// A time of the protocol.
    package init(milliseconds: Int64) {
        self.init(timeIntervalSince1970: Double(milliseconds) / 1000)
    }

    package var milliseconds: Int64 { Int64((timeIntervalSince1970 * 1000).rounded()) }
}

extension Duration {
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
