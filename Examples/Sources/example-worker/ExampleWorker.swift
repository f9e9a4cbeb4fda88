import BackgroundJobs
import BackgroundJobsCommands
import ExampleJobs

/// A whole worker program, with the options of `bg-worker`. Run a watcher beside it, or say `--with-watcher`:
///
///     swift run --package-path Examples example-worker --queues mail,default,low --with-watcher
@main
struct ExampleWorker {
    static func main() async {
        var jobs = exampleJobs()
        jobs.declarePeriodicJobs()
        await WorkerProgram.main(jobs: jobs)
    }
}
