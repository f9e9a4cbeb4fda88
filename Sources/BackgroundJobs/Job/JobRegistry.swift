import Foundation

/// The jobs that a worker can run: class names, and what is to be done for each.
public struct JobRegistry: Sendable {
    /// Runs one attempt, given the arguments as the bytes that were enqueued.
    public typealias Handler = @Sendable (_ arguments: [UInt8], _ context: JobContext) async throws -> Void

    package private(set) var handlers: [String: Handler] = [:]

    /// Makes an empty registry.
    public init() {}

    /// The registered class names, sorted.
    public var classes: [String] { handlers.keys.sorted() }

    /// Registers a job type under its ``Job/name``.
    ///
    /// - Precondition: the name is a valid class name and not registered yet.
    public mutating func register<J: Job>(_ type: J.Type) {
        register(J.name) { (job: J, context) in try await job.perform(context) }
    }

    /// Registers a name with a closure that captures what it needs: a database, an HTTP client.
    ///
    /// - Parameters:
    ///   - name: the class name.
    ///   - perform: does the work, given the decoded arguments.
    /// - Precondition: the name is a valid class name and not registered yet.
    public mutating func register<Arguments: Decodable & Sendable>(
        _ name: String,
        _ perform: @escaping @Sendable (_ arguments: Arguments, _ context: JobContext) async throws -> Void
    ) {
        register(
            name,
            raw: { bytes, context in
                try await perform(try Arguments.decoded(from: bytes), context)
            }
        )
    }

    /// Registers a name with a closure that gets the arguments as they are, bytes from end to end.
    ///
    /// - Precondition: the name is a valid class name and not registered yet.
    public mutating func register(_ name: String, raw handler: @escaping Handler) {
        do {
            try Names.checkClass(name)
        } catch {
            preconditionFailure(error.message)
        }
        precondition(handlers.updateValue(handler, forKey: name) == nil, "the job class \(name) is registered twice")
    }
}

/// The arguments of a job were not what its class expects: which field, and what was expected.
public struct BadArguments: Error, Sendable, CustomStringConvertible {
    /// The field and what was wrong with it.
    public var description: String

    /// Makes an error that a job throws where its arguments decode but can't be worked with.
    ///
    /// - Parameter description: which field, and what was expected.
    public init(description: String) {
        self.description = description
    }
}

extension Decodable {
    /// Decodes arguments, with an error that names the field.
    package static func decoded(from bytes: [UInt8]) throws -> Self {
        let bytes = bytes.isEmpty ? Array("{}".utf8) : bytes
        if JSONDepth.exceeds(JSONDepth.limit, in: bytes) {
            throw BadArguments(description: "the JSON is nested deeper than \(JSONDepth.limit) levels")
        }
        do {
            return try JSONDecoder().decode(Self.self, from: Data(bytes))
        } catch let error as DecodingError {
            throw BadArguments(description: error.explanation)
        }
    }
}

extension DecodingError {
    fileprivate var explanation: String {
        func place(_ path: [any CodingKey], _ last: (any CodingKey)? = nil) -> String {
            let names = (path + (last.map { [$0] } ?? [])).map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }
            return names.isEmpty ? "the arguments" : "field \(names.joined().drop { $0 == "." })"
        }
        switch self {
        case .keyNotFound(let key, let context):
            return "\(place(context.codingPath, key)) is missing"
        case .typeMismatch(let type, let context):
            return "\(place(context.codingPath)): expected \(type)"
        case .valueNotFound(let type, let context):
            return "\(place(context.codingPath)) is null: expected \(type)"
        case .dataCorrupted(let context):
            return "\(place(context.codingPath)): \(context.debugDescription)"
        @unknown default:
            return "\(self)"
        }
    }
}
