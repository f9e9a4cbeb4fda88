import Foundation

/// Results as JSON: one line a document, keys in alphabetical order, times as in `2026-11-21T13:00:00.123Z`, and no character in
/// it that a terminal obeys.
enum JSONOutput {
    static func text(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .custom { date, encoder in
            var container = encoder.singleValueContainer()
            try container.encode(Timestamp.text(date))
        }
        return Printable.safeJSON(String(decoding: try encoder.encode(value), as: UTF8.self)) + "\n"
    }

    static func print(_ value: some Encodable) throws {
        try StandardStream.output.write(text(value))
    }
}
