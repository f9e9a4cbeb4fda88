package import Foundation

/// Jobs as they are sent, from what a caller said.
extension Manager {
    /// On what terms jobs are enqueued.
    struct Terms {
        var delay: Duration?
        var time: Date?
        var queue: String
        var id: String?
        var options: JobOptions
        /// What the job's type says.
        var `class` = JobOptions()
    }

    /// - Parameter name: the type's own, which takes a while to make: of many jobs it is made once.
    func newJob<J: Job>(_ job: J, _ terms: Terms, as name: String = J.name) throws -> NewJob {
        let arguments: Data
        do {
            arguments = try canonicalEncoder.encode(job)
        } catch {
            throw BackgroundError(.invalidArgument, "A \(name) can't be written as JSON: \(error)", cause: error)
        }
        return try newJob(name, [UInt8](arguments), terms)
    }

    func newJob(
        _ className: String,
        _ arguments: [UInt8],
        _ terms: Terms
    ) throws -> NewJob {
        try Names.checkClass(className)
        var request = JobRequest(
            className: className,
            arguments: arguments,
            queue: terms.queue,
            options: terms.options
        )
        for middleware in middleware { try middleware.body(&request) }
        try Names.checkQueue(request.queue)
        if let id = terms.id { try Names.checkID(id) }
        try Self.checkSize(of: arguments.count, className, limit: maximumArguments)
        return NewJob(
            id: terms.id ?? .randomUUID(),
            queue: request.queue,
            className: className,
            arguments: arguments,
            due: try DueTime.due(in: terms.delay, at: terms.time),
            fields: try request.options.fields() + request.options.placement(or: terms.class).placement()
                + Self.headerField(request.headers),
            expiry: try JobOptions.expiry(request.options.expires ?? terms.class.expires),
            lock: try (request.options.unique ?? terms.class.unique)?.lock(
                namespace: namespace,
                className: className,
                queue: request.queue,
                arguments: arguments
            ),
            isIDChosen: terms.id != nil
        )
    }

    /// The most bytes of the headers of a job.
    private static let mostHeaders = 8192

    private static func headerField(_ headers: [String: String]) throws -> [JobOptions.Field] {
        guard !headers.isEmpty else { return [] }
        let text = String(decoding: try JobResult.encoded(headers), as: UTF8.self)
        guard text.utf8.count <= mostHeaders else {
            throw BackgroundError(
                .invalidArgument,
                "The headers of a job have \(text.utf8.count) bytes; \(mostHeaders) are allowed."
            )
        }
        return [("hdr", text)]
    }

    static func checkSize(of arguments: Int, _ className: String, limit: Int) throws(BackgroundError) {
        guard arguments > limit else { return }
        throw BackgroundError(
            .invalidArgument,
            "The arguments of this \(className) have \(arguments) bytes; \(limit) are allowed. "
                + "Store large data elsewhere and pass a reference."
        )
    }
}

extension Manager.Terms {
    /// The terms of a job of a type, which says what the caller does not.
    init<J: Job>(
        of type: J.Type,
        in delay: Duration? = nil,
        at time: Date? = nil,
        queue: String? = nil,
        id: String? = nil,
        options: JobOptions = JobOptions()
    ) {
        self.init(delay: delay, time: time, queue: queue ?? J.queue, id: id, options: options, class: J.options)
    }
}

/// When a job is due, from what a caller said.
package enum DueTime {
    /// The latest time that can be scheduled: ms that a sorted set's score holds exactly.
    private static let latest = 9_007_199_254_740_992.0

    package static func due(in delay: Duration?, at time: Date?) throws(BackgroundError) -> NewJob.Due? {
        if let time {
            let milliseconds = (time.timeIntervalSince1970 * 1000).rounded(.up)
            guard milliseconds.isFinite, abs(milliseconds) <= latest else {
                throw BackgroundError(.invalidArgument, "The time \(time) can't be scheduled: it is too far away.")
            }
            return .at(milliseconds: Int64(milliseconds))
        }
        guard let delay, delay > .zero else { return nil }
        guard delay < .seconds(4_000_000_000_000) else {
            throw BackgroundError(.invalidArgument, "A delay of \(delay) can't be scheduled: it is too long.")
        }
        return .after(milliseconds: (delay + .nanoseconds(999_999)).milliseconds)
    }
}
