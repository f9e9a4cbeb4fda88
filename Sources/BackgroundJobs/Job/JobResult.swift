import Foundation

/// The result of a job, as it is kept.
enum JobResult {
    /// - Throws: ``BadResult`` for a value that JSON can't hold.
    static func encoded(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return [UInt8](try encoder.encode(value))
        } catch {
            throw BadResult(description: "the result can't be written as JSON: \(error)")
        }
    }
}

/// A job did its work, and its result can't be kept. It is not tried again: that would do the work twice.
public struct BadResult: Error, Sendable, CustomStringConvertible {
    /// What is wrong with it.
    public var description: String
}

extension BadResult: NamedFailure {
    package var failureName: String { "Bad Result" }
    package var failureMessage: String { description }
}
