import BackgroundJobs
import Foundation
import Synchronization

/// Lines that jobs have told, in order.
final class Told: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }
    func tell(_ line: String) { lines.withLock { $0.append(line) } }
}

/// What each test has of its own: its jobs tell it there.
enum Here {
    @TaskLocal static var told = Told()
}

struct Broken: Error, CustomStringConvertible {
    var description = "it is broken"
}

struct Mail: Job {
    static let queue = "mail"
    var to: String

    func perform(_ context: JobContext) async throws { Here.told.tell("mail \(to)") }
}

struct Sum: Job {
    var of: [Int]

    func perform(_ context: JobContext) async throws -> Int { of.reduce(0, +) }
}

/// Fails so many times.
struct Flaky: Job {
    static let options = JobOptions(retries: 5, backoff: .fixed(.seconds(60)))
    var failures: Int

    static func onFailure(_ failure: JobFailure) async { Here.told.tell("failed \(failure.failures)") }
    static func onDeath(_ failure: JobFailure) async { Here.told.tell("dead") }

    func perform(_ context: JobContext) async throws -> String {
        if context.failures < failures { throw Broken() }
        return "attempt \(context.attempt)"
    }
}

/// Comes back later once, or is what it is told to be.
struct Moody: Job {
    var mood: String

    func perform(_ context: JobContext) async throws {
        switch mood {
        case "snooze" where context.queuedAt == Here.start: throw JobOutcome.snooze(for: .seconds(5))
        case "discard": throw JobOutcome.discard("not wanted")
        case "dead": throw JobOutcome.dead("hopeless")
        default: break
        }
    }
}

/// Enqueues itself for ever.
struct Endless: Job {
    func perform(_ context: JobContext) async throws { try await context.manager.enqueue(Endless()) }
}

/// Enqueues another one and says in which order it goes.
struct Parent: Job {
    func perform(_ context: JobContext) async throws {
        Here.told.tell("parent begins")
        try await context.manager.enqueue(Mail(to: "child"))
        Here.told.tell("parent ends")
    }
}

/// Adds one to the result of the step before.
struct Next: Job {
    func perform(_ context: JobContext) async throws -> Int {
        let before = try context.result(of: Next.self) ?? context.result(of: Sum.self) ?? 0
        if before > 100 { throw JobOutcome.dead("too much") }
        return before + 1
    }
}

struct Report: Job {
    var name: String

    func perform(_ context: JobContext) async throws {
        let batch = context.batchCounts.map { "\($0.completed) of \($0.total)" }
        Here.told.tell("\(name) \(context.cause?.message ?? batch ?? "-")")
    }
}

/// Adds two jobs to its batch.
struct Adding: Job {
    func perform(_ context: JobContext) async throws {
        try await context.batch?.enqueue(contentsOf: [Sum(of: [1]), Sum(of: [2])])
    }
}

/// Sleeps until it is cancelled, and says why it was.
struct Sleeper: Job {
    static let options = JobOptions(retries: 0)
    var isCancelledFromInside = false

    func perform(_ context: JobContext) async throws {
        context.progress(0.5, "half")
        Here.told.tell("sleeps")
        if isCancelledFromInside { try await context.manager.cancel(context.jobID) }
        do {
            try await Task.sleep(for: .seconds(600))
        } catch {
            Here.told.tell("woken: \(context.cancellation.map { "\($0)" } ?? "nothing")")
            throw error
        }
    }

    static func onDeath(_ failure: JobFailure) async {
        Here.told.tell("dead of \(type(of: failure.error)), cancelled: \(Task.isCancelled)")
    }
}

/// Runs on a thread of its own.
struct Blocking: Job {
    static let execution = JobExecution.thread

    func perform(_ context: JobContext) async throws -> String { context.node }
}

struct Beat: Job {
    var isLast = false

    func perform(_ context: JobContext) async throws {
        let seconds = context.periodic?.time.map { Int($0.timeIntervalSince1970) }
        Here.told.tell("beat \(seconds.map { "\($0)" } ?? "-")")
        if isLast { throw JobOutcome.endPeriodic("enough") }
    }
}

func registry() -> JobRegistry {
    var jobs = JobRegistry()
    jobs.register(Mail.self)
    jobs.register(Sum.self)
    jobs.register(Flaky.self)
    jobs.register(Moody.self)
    jobs.register(Endless.self)
    jobs.register(Parent.self)
    jobs.register(Next.self)
    jobs.register(Report.self)
    jobs.register(Adding.self)
    jobs.register(Sleeper.self)
    jobs.register(Blocking.self)
    jobs.register(Beat.self)
    return jobs
}
