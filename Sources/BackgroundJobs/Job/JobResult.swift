import Foundation

/// Writes arguments and results, the same values always as the same bytes. One for all: it is not changed, and to make one
/// takes longer than to encode a small job.
let canonicalEncoder: JSONEncoder = {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return encoder
}()

/// The result of a job, as it is kept.
enum JobResult {
    /// - Throws: ``BadResult`` for a value that JSON can't hold.
    static func encoded(_ value: some Encodable) throws -> [UInt8] {
        do {
            return [UInt8](try canonicalEncoder.encode(value))
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
