/// Where a job runs.
public enum JobExecution: Sendable, Hashable {
    /// On Swift's pool of threads, beside the other jobs and the worker's own loop: for jobs that await.
    case pool
    /// On threads that the worker keeps for such jobs (``WorkerOptions/threads``): for jobs that block a thread or compute for
    /// long. However many of them run, nobody else waits for them.
    case thread
}
