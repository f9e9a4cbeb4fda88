import Dispatch
import Synchronization
import TestSupport
import Testing

@testable import BackgroundJobs

@Suite("The tasks of the running attempts", .timeLimit(.minutes(20)))
struct RunningTasksTests {
    private let tasks = RunningTasks(aside: SideThreads())

    @Test("can be kept from beginning, and then nothing runs")
    func prevented() async {
        tasks.expect("a")
        #expect(tasks.prevent("a"))
        #expect(!tasks.prevent("a"))
        await tasks.tracking("a") { _ in Issue.record("it ran") }
        #expect(tasks["a"] == nil)
        #expect(!tasks.prevent("b"), "nobody announced it")
    }

    @Test("can't be prevented once they have begun, and have one who says how they ended")
    func begun() async {
        tasks.expect("a")
        await tasks.tracking("a") { task in
            #expect(!tasks.prevent("a"))
            #expect(tasks.count == 1)
            #expect(task.takeEnd())
            #expect(!task.takeEnd())
            #expect(task.abandon())
            #expect(!task.abandon())
            #expect(tasks.abandonedCount == 1)
        }
        #expect(tasks.count == 0)
        #expect(tasks.abandonedCount == 0)
    }

    @Test("are let go when they have ended, with what they ran")
    func released() async {
        let runner = JobRunner(entries: [:], logger: Workshop.quiet)
        weak var held: RunningTask?
        tasks.expect("a")
        await tasks.tracking("a") { task in
            held = task
            let job = ClaimedJob(
                attempt: "a",
                id: "j",
                queue: "q",
                number: 1,
                className: "C",
                arguments: [],
                queuedAt: nil
            )
            // Its context asks the task why it was cancelled.
            task.runs(runner.attempt(job) { task.cancellation }, since: .now)
            #expect(task.attempt?.job.id == "j")
        }
        #expect(held == nil)
    }

    @Test("are cancelled from their first moment where they were told to end before")
    func cancelledBefore() async {
        tasks.expect("a")
        tasks.cancel("a", because: .shutdown)
        await tasks.tracking("a") { task in
            #expect(Task.isCancelled)
            #expect(task.cancellation == .shutdown)
            tasks.cancel("a", because: .timeout)
            #expect(task.cancellation == .shutdown, "the first reason stays")
            tasks.cancel("a", because: .lost)
            #expect(task.cancellation == .lost)
            #expect(tasks.cancelled(because: .timeout, .lost).count == 1)
            #expect(tasks.cancelled(because: .timeout).isEmpty)
        }
    }
}

@Suite("The threads beside the pool", .timeLimit(.minutes(20)))
struct SideThreadsTests {
    /// Cancellation handlers may do anything, and as many as there are processors may do it.
    @Test("go on though many of them are blocked")
    func blocked() async throws {
        let threads = SideThreads()
        let blocked = DispatchSemaphore(value: 0)
        for _ in 0..<15 { threads.run { blocked.wait() } }
        for _ in 0..<100 {
            await withUnsafeContinuation { continuation in threads.run { continuation.resume() } }
        }
        for _ in 0..<15 { blocked.signal() }
    }

    @Test("do all that they are given, whatever it is given by")
    func everything() async throws {
        let threads = SideThreads()
        let done = TestSupport.Counter()
        await withUnsafeContinuation { continuation in
            for _ in 0..<1000 {
                threads.run { if done.next() == 1000 { continuation.resume() } }
            }
        }
    }
}
