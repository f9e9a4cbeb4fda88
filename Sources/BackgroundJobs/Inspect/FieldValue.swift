import Foundation

/// What a field of a hash holds: any bytes, mostly text.
///
/// As JSON it is a string where the bytes are UTF-8, else an object with one key, `{"base64": "/wA="}`.
public struct FieldValue: Sendable, Hashable, Encodable, CustomStringConvertible {
    /// The bytes as they are in Redis.
    public let bytes: [UInt8]

    /// Makes a value.
    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// The bytes as text; nil where they are not UTF-8.
    public var text: String? { String(validating: bytes, as: UTF8.self) }

    /// The text, or `base64:` and the bytes in base 64. It may hold control characters: escape it before printing.
    public var description: String { text ?? "base64:\(Data(bytes).base64EncodedString())" }

    private enum CodingKeys: String, CodingKey { case base64 }

    /// Writes the value.
    public func encode(to encoder: any Encoder) throws {
        if let text {
            var container = encoder.singleValueContainer()
            try container.encode(text)
        } else {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(Data(bytes).base64EncodedString(), forKey: .base64)
        }
    }
}
