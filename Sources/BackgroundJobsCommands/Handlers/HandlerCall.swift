package import BackgroundJobs

/// What a handler program is told of the attempt.
package struct HandlerCall: Sendable {
    package var jobID: String
    package var attemptID: String
    package var queue: String
    package var className: String
    /// The number of this attempt, from 1.
    package var attempt: Int
    /// The job's arguments, byte by byte as they were enqueued.
    package var arguments: [UInt8]
    /// The periodic job that fired it.
    package var periodic: PeriodicFiring?

    package init(
        jobID: String,
        attemptID: String,
        queue: String,
        className: String,
        attempt: Int,
        arguments: [UInt8],
        periodic: PeriodicFiring? = nil
    ) {
        self.jobID = jobID
        self.attemptID = attemptID
        self.queue = queue
        self.className = className
        self.attempt = attempt
        self.arguments = arguments
        self.periodic = periodic
    }
}

/// Why a handler program did not succeed.
package struct HandlerFailure: Error, Equatable {
    /// The attempt's `err`: `Exit 3`, `Signal 9`, or what kept the program from running at all.
    package var name: String
    /// The attempt's `msg`: the end of what the program wrote to stderr, 4 KiB at most.
    package var message: String
}
