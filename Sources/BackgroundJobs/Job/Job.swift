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
    /// The class name under which the job is enqueued and found by workers. Default: the type's name.
    static var name: String { get }

    /// The queue used when a call to enqueue names none. Default: `default`.
    static var queue: String { get }

    /// Does the work.
    ///
    /// - Parameter context: what the job may know of this attempt.
    /// - Throws: anything; the attempt has then failed with the error's type and description.
    func perform(_ context: JobContext) async throws
}

extension Job {
    public static var name: String { String(describing: Self.self) }
    public static var queue: String { "default" }
}
