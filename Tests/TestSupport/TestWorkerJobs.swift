package import BackgroundJobs

// The jobs of the test worker (Tests/TestWorker), as a producer knows them.

/// A step of a chain.
package struct Step: Job {
    package var number: Int
    package var ms: Int
    package var dies: Bool

    package init(number: Int, ms: Int, dies: Bool = false) { (self.number, self.ms, self.dies) = (number, ms, dies) }
    package func perform(_ context: JobContext) async throws -> Int { number }
}

/// A job of a batch.
package struct Member: Job {
    package var ms: Int
    package var dies: Bool

    package init(ms: Int, dies: Bool = false) { (self.ms, self.dies) = (ms, dies) }
    package func perform(_ context: JobContext) async throws {}
}

/// What a chain or a batch calls.
package struct Callback: Job {
    package init() {}
    package func perform(_ context: JobContext) async throws -> String { "" }
}
