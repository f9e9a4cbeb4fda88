/// Which entries of a list are meant: those that have all that is asked for here.
public struct JobFilter: Sendable, Hashable {
    /// The class of the job; with `*` at its end all classes that begin so. nil: any.
    public var className: String?
    /// The error (`err`) of the attempt, of a dead job that of its last attempt; with `*` at its end all that begin so. nil: any,
    /// or none.
    public var error: String?

    /// The node of the attempt, or the name of such nodes. nil: any.
    public var node: String?

    /// Makes a filter.
    ///
    /// - Parameters:
    ///   - className: the class, or its beginning and `*`.
    ///   - error: the error, or its beginning and `*`.
    ///   - node: the node, or the name of nodes.
    public init(className: String? = nil, error: String? = nil, node: String? = nil) {
        self.className = className
        self.error = error
        self.node = node
    }

    /// Whether it lets everything through.
    var isEmpty: Bool { className == nil && error == nil && node == nil }

    func matches(_ entry: JobListing) -> Bool {
        matches(className: entry.job?.className, error: entry.attempt?.error) && matches(node: entry.attempt?.node)
    }

    func matches(className: String?, error: String?) -> Bool {
        Self.matches(self.className, className) && Self.matches(self.error, error)
    }

    private func matches(node actual: String?) -> Bool {
        guard let node else { return true }
        return actual.map { $0 == node || Node.name(of: $0) == node } ?? false
    }

    private static func matches(_ pattern: String?, _ text: String?) -> Bool {
        guard let pattern else { return true }
        guard let text else { return false }
        guard pattern.utf8.last == UInt8(ascii: "*") else { return text == pattern }
        return text.utf8.starts(with: pattern.utf8.dropLast())
    }
}
