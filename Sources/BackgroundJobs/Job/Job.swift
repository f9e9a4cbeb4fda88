/// Work that is done in the background.
///
/// A job is a value: its stored properties are its arguments, which travel through Redis as one JSON object.
///
/// ```swift
/// struct Nap: Job {
///     static let name = "Jobs::Nap"
///     var sleep = 1.0
///
///     func perform(_ context: JobContext) async throws {
///         try await Task.sleep(for: .seconds(sleep))
///     }
/// }
/// ```
///
/// A job may run more than once: its worker may die between its last effect and the record of its end
/// (`docs/guarantees.md`). Write `perform` so that a second run does no harm, with ``JobContext/jobID`` as the key.
public protocol Job: Codable, Sendable {
    /// What ``perform(_:)`` returns: `Void`, or a value that can be encoded and is then kept with the attempt.
    associatedtype Output: Sendable = Void

    /// The class name under which the job is enqueued and found by workers. Default: the type's name.
    static var name: String { get }

    /// The queue used when a call to enqueue names none. Default: `default`.
    static var queue: String { get }

    /// What it asks for when it fails, hangs, or must not run twice. Default: the defaults of ``JobOptions``.
    static var options: JobOptions { get }

    /// Where it runs. Default: ``JobExecution/pool``; a job that blocks its thread or computes for long says
    /// ``JobExecution/thread``.
    static var execution: JobExecution { get }

    /// What becomes of an attempt that threw this error: the place for rules by type of error.
    ///
    /// ```swift
    /// static func outcome(of error: any Error) -> JobOutcome? {
    ///     error is CardDeclined ? .discard("card declined") : nil
    /// }
    /// ```
    ///
    /// - Returns: an outcome that is as good as thrown; nil, the default: it has failed, and is tried again as ``options`` say.
    static func outcome(of error: any Error) -> JobOutcome?

    /// Called after each attempt that failed, before its end is on record. Default: nothing.
    ///
    /// Not called where nobody could: the worker vanished, or its jobs hold every thread, so that an attempt over its time
    /// limit can only be recorded. After a time limit it runs in a task of its own, which is not cancelled. What it does
    /// may happen twice, as with `perform`.
    static func onFailure(_ failure: JobFailure) async

    /// Called after ``onFailure(_:)`` where that was the last attempt: the job is dead. Default: nothing.
    static func onDeath(_ failure: JobFailure) async

    /// Does the work.
    ///
    /// - Parameter context: what the job may know of this attempt.
    /// - Returns: the result, for whoever awaits it and for the next steps of a chain: as JSON at most
    ///   ``WorkerOptions/maximumResult`` bytes.
    /// - Throws: anything; the attempt has then failed with the error's type and description, and the job is tried again as
    ///   ``options`` say. A ``JobOutcome`` says what is to become of it instead.
    func perform(_ context: JobContext) async throws -> Output
}

extension Job {
    public static var name: String { String(describing: Self.self) }
    public static var queue: String { "default" }
    public static var options: JobOptions { JobOptions() }
    public static var execution: JobExecution { .pool }
    public static func outcome(of error: any Error) -> JobOutcome? { nil }
    public static func onFailure(_ failure: JobFailure) async {}
    public static func onDeath(_ failure: JobFailure) async {}
}
