import BackgroundJobs
import Foundation
import Logging

/// What the value of a setting has to be.
enum SettingKind: Sendable, Equatable {
    case text
    /// Text in which a password may stand.
    case secret
    case number(ClosedRange<Int>)
    case time
    case flag
    case choice([String])
    case logLevel
    case queues
    case queueOrder
    case retention
    case reserve

    /// What is expected, for a sentence.
    var expectation: String {
        switch self {
        case .text, .secret: "text"
        case .number(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .time: "a time, as in 500ms, 5s, 5m, 2h, 1d, or a number of seconds"
        case .flag: "true or false"
        case .choice(let names): names.joined(separator: " or ")
        case .logLevel: "one of \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", "))"
        case .queues: "names of queues, as in high,low"
        case .queueOrder: "names of queues, as in high,low, or with weights, as in high:5,low:1"
        case .reserve: "queues with numbers of fibers, as in high=10,low=5"
        case .retention: "an age and a number, as in 24h,100000, either of which may be all or 0"
        }
    }

    /// Whether lists may be given for it.
    var isList: Bool { [.queues, .queueOrder, .retention, .reserve].contains(self) }

    /// What stands between the name and the value of a pair in a list.
    var sign: String { self == .reserve ? "=" : ":" }

    /// The value as it would stand on the command line; nil where it is none.
    func read(_ text: String) -> String? {
        let isFit =
            switch self {
            case .text, .secret: !text.isEmpty
            case .number(let range): Int(text).map(range.contains) ?? false
            case .time: DurationArgument(argument: text) != nil
            case .flag: Self.truth(text) != nil
            case .choice(let names): names.contains(text)
            case .logLevel: Logger.Level(rawValue: text.lowercased()) != nil
            case .queues: (try? QueueOrder.strict(Self.names(text))) != nil
            case .queueOrder: (try? QueueOrder.parse(text)) != nil
            case .reserve:
                Self.names(text).allSatisfy { part in
                    let halves = part.split(separator: "=", omittingEmptySubsequences: false)
                    return halves.count == 2 && !halves[0].isEmpty && Int(halves[1]) != nil
                }
            case .retention: RetentionArgument(argument: text) != nil
            }
        guard isFit else { return nil }
        return self == .flag ? Self.truth(text).map { "\($0)" } : text
    }

    /// The value as it is shown: without what is nobody's business.
    func shown(_ value: String) -> String {
        guard self == .secret else { return value }
        // A URL that is misspelt may hold a password all the same.
        let value = value.replacing(/([?&](?!db=)[^=&]*)=[^&]*/) { "\($0.1)=***" }
        guard let at = value.lastIndex(of: "@") else { return value }
        let start = value.firstRange(of: "//").map(\.upperBound).flatMap { $0 <= at ? $0 : nil } ?? value.startIndex
        let user = value[start..<at].contains(":") ? value[start..<at].prefix { $0 != ":" } + ":" : ""
        return value[..<start] + user + "***" + value[at...]
    }

    private static func names(_ text: String) -> [String] {
        text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }

    private static func truth(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "yes", "on", "1": true
        case "false", "no", "off", "0": false
        default: nil
        }
    }
}
