import Foundation

/// The jobs that a worker can run: class names, and what is to be done for each.
public struct JobRegistry: Sendable {
    /// Runs one attempt, given the arguments as the bytes that were enqueued.
    public typealias Handler = @Sendable (_ arguments: [UInt8], _ context: JobContext) async throws -> Void

    /// What is known of a class.
    package final class Entry: Sendable {
        package let options: JobOptions
        let execution: JobExecution
        /// Runs one attempt; returns the result as JSON, if there is one.
        package let handler: @Sendable (_ arguments: [UInt8], _ context: JobContext) async throws -> [UInt8]?
        let outcome: @Sendable (any Error) -> JobOutcome?
        let onFailure: @Sendable (JobFailure) async -> Void
        let onDeath: @Sendable (JobFailure) async -> Void
        /// Whether it is a program of its own.
        let isProgram: Bool

        init(
            options: JobOptions,
            execution: JobExecution = .pool,
            handler: @escaping @Sendable (_ arguments: [UInt8], _ context: JobContext) async throws -> [UInt8]?,
            outcome: @escaping @Sendable (any Error) -> JobOutcome? = { _ in nil },
            onFailure: @escaping @Sendable (JobFailure) async -> Void = { _ in },
            onDeath: @escaping @Sendable (JobFailure) async -> Void = { _ in },
            isProgram: Bool = false
        ) {
            self.options = options
            self.execution = execution
            self.handler = handler
            self.outcome = outcome
            self.onFailure = onFailure
            self.onDeath = onDeath
            self.isProgram = isProgram
        }
    }

    package private(set) var entries: [String: Entry] = [:]
    private(set) var middleware: [JobMiddleware] = []
    package private(set) var enqueueMiddleware: [EnqueueMiddleware] = []
    /// How the last try of a suspect is run in a process of its own; nil: it runs beside the others.
    package var isolation: Isolation?

    /// How a periodic job is ended from inside; nil: it can't be.
    package var endsPeriodic: PeriodicEnding?
    package var periodics: [PeriodicJob] = []
    /// The name under which this program declares its periodic jobs; the program's own unless it is set. All workers of one
    /// program have the same. Those that a program declared under this name before, and no longer does, are removed.
    ///
    /// - Precondition: it is not empty.
    public var program = ProcessInfo.processInfo.processName {
        didSet { precondition(!program.isEmpty, "a program has a name") }
    }

    /// Makes an empty registry.
    public init() {}

    /// The registered class names, sorted.
    public var classes: [String] { entries.keys.sorted() }

    /// Wraps all jobs of this registry, those of handler programs too. The first one that is added is the outermost.
    public mutating func use(_ middleware: JobMiddleware...) {
        self.middleware += middleware
    }

    /// What is done before each job that a job of this registry enqueues by its context's ``JobContext/manager``, in this order.
    public mutating func use(enqueuing middleware: EnqueueMiddleware...) {
        enqueueMiddleware += middleware
    }

    /// Registers a job type under its ``Job/name``.
    ///
    /// - Precondition: the name is a valid class name and not registered yet; the type's ``Job/options`` are allowed.
    public mutating func register<J: Job>(_ type: J.Type) where J.Output == Void {
        add(type) { bytes, context in
            try await J.decoded(from: bytes).perform(context)
            return nil
        }
    }

    /// Registers a job type whose `perform` returns a result.
    ///
    /// - Precondition: the name is a valid class name and not registered yet; the type's ``Job/options`` are allowed.
    public mutating func register<J: Job>(_ type: J.Type) where J.Output: Encodable {
        add(type) { bytes, context in try JobResult.encoded(await J.decoded(from: bytes).perform(context)) }
    }

    private mutating func add<J: Job>(
        _ type: J.Type,
        _ handler: @escaping @Sendable ([UInt8], JobContext) async throws -> [UInt8]?
    ) {
        add(
            J.name,
            Entry(
                options: J.options,
                execution: J.execution,
                handler: handler,
                outcome: J.outcome(of:),
                onFailure: J.onFailure,
                onDeath: J.onDeath
            )
        )
    }

    /// Registers a name with a closure that captures what it needs: a database, an HTTP client.
    ///
    /// - Parameters:
    ///   - name: the class name.
    ///   - options: what holds for jobs of the class that don't say; `expires`, `unique`, `on` and `avoiding` are the producers' part.
    ///   - execution: where it runs: jobs that block their thread or compute for long run on threads of their own.
    ///   - perform: does the work, given the decoded arguments.
    /// - Precondition: the name is a valid class name and not registered yet; the options are allowed.
    public mutating func register<Arguments: Decodable & Sendable>(
        _ name: String,
        options: JobOptions = JobOptions(),
        execution: JobExecution = .pool,
        _ perform: @escaping @Sendable (_ arguments: Arguments, _ context: JobContext) async throws -> Void
    ) {
        register(
            name,
            options: options,
            execution: execution,
            raw: { bytes, context in
                try await perform(try Arguments.decoded(from: bytes), context)
            }
        )
    }

    /// Registers a name with a closure that returns a result.
    ///
    /// - Parameters:
    ///   - name: the class name.
    ///   - options: what holds for jobs of the class that don't say; `expires`, `unique`, `on` and `avoiding` are the
    ///     producers' part.
    ///   - execution: where it runs.
    ///   - perform: does the work, given the decoded arguments.
    /// - Precondition: the name is a valid class name and not registered yet; the options are allowed.
    public mutating func register<Arguments: Decodable & Sendable, Output: Encodable & Sendable>(
        _ name: String,
        options: JobOptions = JobOptions(),
        execution: JobExecution = .pool,
        _ perform: @escaping @Sendable (_ arguments: Arguments, _ context: JobContext) async throws -> Output
    ) {
        register(
            name,
            options: options,
            execution: execution,
            bytes: { bytes, context in
                try JobResult.encoded(await perform(try Arguments.decoded(from: bytes), context))
            }
        )
    }

    /// Registers a name with a closure that gets the arguments as they are, bytes from end to end.
    ///
    /// - Parameters:
    ///   - name: the class name.
    ///   - options: what holds for jobs of the class that don't say; `expires`, `unique`, `on` and `avoiding` are the producers' part.
    ///   - execution: where it runs.
    ///   - handler: does the work.
    /// - Precondition: the name is a valid class name and not registered yet; the options are allowed.
    public mutating func register(
        _ name: String,
        options: JobOptions = JobOptions(),
        execution: JobExecution = .pool,
        raw handler: @escaping Handler
    ) {
        register(
            name,
            options: options,
            execution: execution,
            bytes: { bytes, context in
                try await handler(bytes, context)
                return nil
            }
        )
    }

    private mutating func register(
        _ name: String,
        options: JobOptions,
        execution: JobExecution,
        bytes handler: @escaping @Sendable ([UInt8], JobContext) async throws -> [UInt8]?
    ) {
        precondition(
            options.expires == nil && options.unique == nil && options.on == nil && options.avoiding == nil,
            "the job class \(name): expires, unique, on and avoiding are for those who enqueue it"
        )
        add(name, Entry(options: options, execution: execution, handler: handler))
    }

    /// Registers a handler program.
    package mutating func register(_ name: String, program handler: @escaping Handler) {
        let entry = Entry(
            options: JobOptions(),
            handler: { bytes, context in
                try await handler(bytes, context)
                return nil
            },
            isProgram: true
        )
        add(name, entry)
    }

    private mutating func add(_ name: String, _ entry: Entry) {
        do {
            try Names.checkClass(name)
            try entry.options.check()
        } catch {
            preconditionFailure("the job class \(name): \(error.message)")
        }
        precondition(entries.updateValue(entry, forKey: name) == nil, "the job class \(name) is registered twice")
    }

    /// What a claim has to know of these classes.
    package func claimDefaults(_ delivery: Delivery) -> ClaimDefaults {
        ClaimDefaults(delivery: delivery, classes: entries.compactMapValues { ClaimDefaults.Rules($0.options) })
    }
}

extension ClaimDefaults.Rules {
    /// nil where the options say nothing of deliveries and crashes.
    fileprivate init?(_ options: JobOptions) {
        guard options.delivery != nil || options.crashRetries != nil || options.crashWindow != nil else { return nil }
        self.init(
            delivery: options.delivery,
            crashRetries: try? options.crashRetries?.text(),
            crashWindow: options.crashWindow?.ceilingMilliseconds
        )
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

/// One for all: it is not changed, and to make one takes longer than to decode a small job.
private let argumentsDecoder = JSONDecoder()

extension Decodable {
    /// Decodes arguments, with an error that names the field.
    package static func decoded(from bytes: [UInt8]) throws -> Self {
        let bytes = bytes.isEmpty ? Array("{}".utf8) : bytes
        if JSONDepth.exceeds(JSONDepth.limit, in: bytes) {
            throw BadArguments(description: "the JSON is nested deeper than \(JSONDepth.limit) levels")
        }
        do {
            return try argumentsDecoder.decode(Self.self, from: Data(bytes))
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
