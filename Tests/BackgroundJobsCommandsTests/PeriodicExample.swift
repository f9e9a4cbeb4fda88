// The example of docs/periodic.md, so that it goes on compiling; `ReadmeTests` compares the two.

// README begin
import BackgroundJobs
import BackgroundJobsCommands

struct Cleanup: Job {
    var days: Int

    func perform(_ context: JobContext) async throws {
        guard days > 0 else { throw JobOutcome.endPeriodic("there is nothing to be cleaned up") }
        print("What is older than \(days) days goes, says \(context.periodic?.name ?? "somebody")")
    }
}

struct Shop {
    static func main() async {
        var jobs = JobRegistry()
        jobs.program = "shop"
        jobs.register(Cleanup.self)
        jobs.periodic("nightly", .cron("0 3 * * *", timeZone: "Europe/Berlin"), Cleanup(days: 30), missed: .none)
        jobs.periodic("often", .every(.seconds(30)), Cleanup(days: 1), queue: "low", overlap: .skip)
        await WorkerProgram.main(jobs: jobs)
    }
}
// README end
