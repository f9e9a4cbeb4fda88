/// What went wrong in a call to this library, and what to do about it.
///
/// A struct with an open set of codes, so that a new kind of error breaks no `switch` of its users.
public struct BackgroundError: Error, Sendable, CustomStringConvertible {
    /// The kind of an error.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Kind: String {
            case invalidArgument, jobNotFound, unavailable, refused, notPermitted, unknownFate, damaged, unsuitable,
                stalled, timedOut
        }
        private let kind: Kind

        /// An argument, option or name is not allowed; nothing was done.
        public static let invalidArgument = Code(kind: .invalidArgument)
        /// There is no job with that ID.
        public static let jobNotFound = Code(kind: .jobNotFound)
        /// Redis could not be reached; nothing was done.
        public static let unavailable = Code(kind: .unavailable)
        /// Redis answered with an error (no memory, no permission, read-only, …); nothing was done.
        public static let refused = Code(kind: .refused)
        /// Redis knows neither this user nor this password, or the user may not do this; nothing was done.
        public static let notPermitted = Code(kind: .notPermitted)
        /// The connection broke after the command was sent and Redis could not be asked afterwards: it may have been done.
        public static let unknownFate = Code(kind: .unknownFate)
        /// What Redis holds is not what the protocol says.
        public static let damaged = Code(kind: .damaged)
        /// This Redis, or its settings, can't be worked with.
        public static let unsuitable = Code(kind: .unsuitable)
        /// A worker's jobs ignore their cancellation and hold as many threads as there are: its process is to be started
        /// again.
        public static let stalled = Code(kind: .stalled)

        /// What was awaited did not come in time; it may come yet.
        public static let timedOut = Code(kind: .timedOut)

        /// The code's name.
        public var description: String { kind.rawValue }
    }

    /// The kind of error.
    public var code: Code
    /// What was wrong and what to do, in one or two sentences; it never contains a password.
    public var message: String
    /// The error beneath, if there is one.
    public var cause: (any Error)?

    /// Makes an error.
    public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    /// The message.
    public var description: String { message }
}
