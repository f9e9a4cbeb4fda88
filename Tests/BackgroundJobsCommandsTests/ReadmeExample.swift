// The README's example, so that it goes on compiling; `ReadmeTests` compares the two. Below the line of the region the
// text is the README's, less the attribute that makes it a program.

// README begin
import BackgroundJobs
import BackgroundJobsCommands

struct Greet: Job {
    static let queue = "high"
    var name: String

    func perform(_ context: JobContext) async throws {
        print("Hello, \(name), from job \(context.jobID)")
    }
}

func signedUp(_ name: String, _ manager: Manager) async throws {
    try await manager.enqueue(Greet(name: name))
    try await manager.enqueue(Greet(name: "again, \(name)"), in: .seconds(60))
}

struct MyWorker {
    static func main() async {
        var jobs = JobRegistry()
        jobs.register(Greet.self)
        await WorkerProgram.main(jobs: jobs)
    }
}
// README end
