import BackgroundJobs
import BackgroundJobsCommands

/// The worker program of the README, with the jobs of the whole-system tests.
@main struct TestWorker {
    static func main() async {
        var jobs = JobRegistry()
        jobs.register(Instant.self)
        jobs.register(Sleeping.self)
        jobs.register(Spinning.self)
        jobs.register(Obeying.self)
        jobs.register(Blocking.self)
        jobs.register(Failing.self)
        jobs.register(Flaky.self)
        jobs.register(Trapping.self)
        jobs.register(Overflowing.self)
        jobs.register(Exhausting.self)
        jobs.register(Step.self)
        jobs.register(Member.self)
        jobs.register(Callback.self)
        await WorkerProgram.main(jobs: jobs)
    }
}
