import Foundation
import Logging

/// Writes each event as one line to standard error.
///
/// As text, `2026-11-21T13:00:00.123Z info  Job failed attempt=5e… queue=high`, or as one JSON object with the same parts.
/// Nothing that an event holds can end the line or be taken for another: see ``LogLine``.
struct LineLogHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let format: LogFormat
    private let write: @Sendable (String) -> Void
    private let now: @Sendable () -> Date

    /// - Parameters:
    ///   - write: takes a finished line and may not wait; standard error's queue unless a test wants to see it.
    ///   - now: the time of an event.
    init(
        label: String,
        level: Logger.Level,
        format: LogFormat,
        write: (@Sendable (String) -> Void)? = nil,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.label = label
        self.format = format
        self.write = write ?? { LineQueue.error.add($0, as: format) }
        self.now = now
        logLevel = level
        metadataProvider = LoggingSystem.metadataProvider
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
        if let own = event.metadata { all.merge(own) { $1 } }
        if let error = event.error, all["error"] == nil { all["error"] = .string("\(error)") }
        let line = LogLine(
            time: Timestamp.text(now()),
            level: event.level.rawValue,
            label: label,
            message: event.message.description,
            metadata: all.sorted { $0.key < $1.key }.map { ($0.key, $0.value.description) }
        )
        write(line.text(as: format))
    }
}

/// One event, ready to be written.
struct LogLine {
    var time: String
    var level: String
    var label: String
    var message: String
    var metadata: [(key: String, value: String)]

    func text(as format: LogFormat) -> String {
        switch format {
        case .text: text
        case .json: json
        }
    }

    /// The line for people. Control characters and line breaks are escaped, and a value with anything in it that could be
    /// taken for the next one stands in quotes.
    var text: String {
        let padding = String(repeating: " ", count: max(0, 5 - level.count))
        var line = "\(time) \(level)\(padding) \(Printable.escaped(message))"
        for (key, value) in metadata {
            line += " \(Printable.escaped(key))=\(Self.quotedWhereNeeded(value))"
        }
        return line + "\n"
    }

    /// The line for programs. Metadata stands beside `time`, `level`, `logger` and `message`; a key of one of these names
    /// gets an underscore in front.
    var json: String {
        var line = "{\"time\":\(Printable.json(time)),\"level\":\(Printable.json(level))"
        line += ",\"logger\":\(Printable.json(label)),\"message\":\(Printable.json(message))"
        for (key, value) in metadata {
            let isTaken = ["time", "level", "logger", "message"].contains(key)
            line += ",\(Printable.json(isTaken ? "_" + key : key)):\(Printable.json(value))"
        }
        return line + "}\n"
    }

    private static func quotedWhereNeeded(_ value: String) -> String {
        let isPlain = !value.isEmpty && value.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x3D }
        return isPlain && !value.utf8.contains(UInt8(ascii: "\\")) ? value : Printable.json(value)
    }
}
