public import BackgroundJobs

/// All jobs of the examples, for whoever runs them: a worker, a test, a program without Redis.
public func exampleJobs() -> JobRegistry {
    var jobs = JobRegistry()
    jobs.program = "examples"
    // The first one is the outermost. A span and the metrics of each attempt go to whatever the program has set up.
    jobs.use(.tracing, .metrics, .tenant)
    jobs.register(Welcome.self)
    jobs.register(CountWords.self)
    jobs.register(ReserveStock.self)
    jobs.register(ChargeCard.self)
    jobs.register(ReleaseStock.self)
    jobs.register(ImportRow.self)
    jobs.register(PublishImport.self)
    jobs.register(WhoAmI.self)
    jobs.register(CleanUp.self)
    return jobs
}
