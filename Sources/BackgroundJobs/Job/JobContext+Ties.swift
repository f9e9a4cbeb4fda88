import Foundation
import Logging

/// What a job knows of the jobs that it follows.
extension JobContext {
    /// What travels with the job beside its arguments, such as the context of a trace.
    public var headers: [String: String] { decoded("hdr") ?? [:] }

    /// When it was to be run.
    var dueAt: Date? { fields["pat"].flatMap { Double($0) }.map { Date(timeIntervalSince1970: $0 / 1000) } ?? queuedAt }

    /// The steps of the chain before this one, in order.
    public var steps: [ChainStep] { decoded("stp") ?? [] }

    /// The result of an earlier step of the chain: the last one of this type.
    ///
    /// - Returns: nil if there is no such step.
    /// - Throws: `DecodingError` for a result of another form.
    public func result<J: Job>(of type: J.Type) throws -> J.Output? where J.Output: Decodable {
        let results: [StepPart<J.Output>] = try parts("out", ofClass: J.name)
        return results.compactMap(\.value).last
    }

    /// What an earlier step of the chain has added by ``share(_:_:)``: the last one under this key.
    ///
    /// - Returns: nil if there is none.
    /// - Throws: `DecodingError` for a value of another form.
    public func shared<Value: Decodable>(_ key: String, as type: Value.Type = Value.self) throws -> Value? {
        let values: [StepPart<Value>] = try parts(key, ofClass: nil)
        return values.compactMap(\.value).last
    }

    private func parts<Value: Decodable>(_ name: String, ofClass className: String?) throws -> [StepPart<Value>] {
        let decoder = JSONDecoder()
        decoder.userInfo[.partName] = name
        decoder.userInfo[.partClass] = className
        return try decoder.decode([StepPart<Value>].self, from: Data((fields["stp"] ?? "[]").utf8))
    }

    /// Of a job that was enqueued as `onFailure`: what went wrong.
    public var cause: JobCause? { decoded("flr") }

    /// Of a callback of a batch: how the batch stood when it was called.
    public var batchCounts: BatchCounts? { decoded("bsm") }

    /// The batch that the job belongs to: more jobs can be added to it from inside.
    ///
    /// - Throws: as ``manager``.
    public var batch: Batch? {
        get throws { try fields["bat"].map { Batch(id: $0, manager: try manager) } }
    }

    private func decoded<Value: Decodable>(_ field: String) -> Value? {
        guard let text = fields[field] else { return nil }
        do {
            return try JSONDecoder().decode(Value.self, from: Data(text.utf8))
        } catch {
            logger.warning(
                "The field \(field) of job \(jobID) is not what it should be",
                metadata: [LogKey.error: "\(error)"]
            )
            return nil
        }
    }
}

/// An earlier step of a chain, done.
public struct ChainStep: Sendable, Decodable {
    /// The job's ID.
    public let jobID: String
    /// The job's class.
    public let className: String

    private enum CodingKeys: String, CodingKey {
        case jobID = "job"
        case className = "cls"
    }
}

/// The result of a step, if it is of the class that is looked for; or what it has added under a key.
private struct StepPart<Value: Decodable>: Decodable {
    let value: Value?

    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
        let step = try decoder.container(keyedBy: Name.self)
        let name = Name(stringValue: decoder.userInfo[.partName] as? String ?? "")
        if let className = decoder.userInfo[.partClass] as? String {
            let isMeant = try step.decode(String.self, forKey: Name(stringValue: "cls")) == className
            value = isMeant ? try step.decodeIfPresent(Value.self, forKey: name) : nil
        } else if step.contains(Name(stringValue: "add")) {
            value = try step.nestedContainer(keyedBy: Name.self, forKey: Name(stringValue: "add"))
                .decodeIfPresent(Value.self, forKey: name)
        } else {
            value = nil
        }
    }
}

extension CodingUserInfoKey {
    // Any text makes a key.
    fileprivate static let partName = CodingUserInfoKey(rawValue: "name").unsafelyUnwrapped
    fileprivate static let partClass = CodingUserInfoKey(rawValue: "class").unsafelyUnwrapped
}

/// Why a job was called as `onFailure`.
public struct JobCause: Sendable, Decodable {
    /// The ID of the job that is dead, or was discarded.
    public let jobID: String
    /// The job's class.
    public let className: String
    /// The name of the error of its last attempt.
    public let error: String
    /// The error in words.
    public let message: String

    private enum CodingKeys: String, CodingKey {
        case jobID = "job"
        case className = "cls"
        case error = "err"
        case message = "msg"
    }
}
