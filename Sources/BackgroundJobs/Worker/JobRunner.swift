import Foundation
import Logging

/// Something that keeps a job from running at all.
private struct Unrunnable: NamedFailure {
    var failureName: String
    var failureMessage: String
}

/// Runs claimed jobs and says how their attempts ended.
struct JobRunner: Sendable {
    var entries: [String: JobRegistry.Entry]
    var middleware: [JobMiddleware] = []
    var logger: Logger
    var node = ""
    /// The most bytes that a result may have.
    var maximumResult = 65_536
    /// The most bytes that all results of a chain may have, with what its steps have shared.
    static let maximumOfChain = 4 << 20
    var manager: (@Sendable () throws -> Manager)?
    /// How the last try of a suspect is run in a process of its own; nil: it runs here.
    var isolation: Isolation?
    /// How a periodic job is ended from inside.
    var endsPeriodic: PeriodicEnding?

    /// A claimed job with what this worker knows of its class.
    final class Attempt: Sendable {
        let job: ClaimedJob
        let entry: JobRegistry.Entry?
        /// What the job says, and where it doesn't, its class.
        let options: JobOptions
        let context: JobContext
        /// What it may take beyond `killAfter` to end when it is cancelled: a process that is killed has to be cleared away.
        let unwinding: Duration
        var isOnThread: Bool { entry?.execution == .thread }
        private let claimed = ContinuousClock.now

        fileprivate init(
            _ job: ClaimedJob,
            _ entry: JobRegistry.Entry?,
            _ options: JobOptions,
            _ context: JobContext,
            isIsolated: Bool
        ) {
            self.job = job
            self.entry = entry
            self.options = options
            self.context = context
            unwinding = isIsolated || entry?.isProgram == true ? .seconds(5) : .zero
        }

        /// Attempts that have failed by themselves, one more counted.
        var failures: Int { context.failures + 1 }

        /// How long ago it was queued; nil where the hash does not tell.
        var age: Duration? {
            job.queuedAt.map { .milliseconds(job.claimedAt - $0) + claimed.duration(to: .now) }
        }
    }

    func entry(of job: ClaimedJob) -> JobRegistry.Entry? { entries[job.className ?? ""] }

    /// - Parameter onNote: is called when the job has said something of itself that has not been sent.
    func attempt(
        _ job: ClaimedJob,
        onNote: @escaping @Sendable () -> Void = {},
        cancellation: @escaping @Sendable () -> JobContext.Cancellation?
    ) -> Attempt {
        let context = JobContext(
            job,
            node: node,
            logger: logger,
            notes: AttemptNotes(onChange: onNote),
            manager: manager,
            cancellation: cancellation
        )
        let entry = entry(of: job)
        let defaults = entry?.options ?? JobOptions()
        let isIsolated = job.isLastTry && isolation != nil
        guard !job.fields.isEmpty else { return Attempt(job, entry, defaults, context, isIsolated: isIsolated) }
        var faults: [String] = []
        let options = JobOptions(fields: job.fields, faults: &faults).or(defaults)
        for fault in faults { context.logger.warning("Job \(job.id): \(fault)") }
        return Attempt(job, entry, options, context, isIsolated: isIsolated)
    }

    /// What came of the run of a job.
    struct Performed: Sendable {
        /// What it threw.
        var error: (any Error)?
        /// What is to be kept with the attempt: its result, and what it said of itself.
        var fields: [String: String] = [:]
    }

    /// Runs an attempt's job, inside of the middleware.
    func perform(_ attempt: Attempt) async -> Performed {
        do {
            guard attempt.job.className != nil else {
                throw Unrunnable(
                    failureName: "Job Not Found",
                    failureMessage: "the job's hash vanished while it was being claimed"
                )
            }
            guard let entry = attempt.entry else {
                throw Unrunnable(
                    failureName: "Unknown Class",
                    failureMessage: "no class \(Names.quoted(attempt.context.className)) is registered with this worker"
                )
            }
            if attempt.job.isLastTry, !entry.isProgram, let isolation {
                let conclusion = try await isolation(attempt.job) { attempt.context.cancellation }
                let isCompleted = conclusion.ending == .completed
                let error = isCompleted ? nil : SettledElsewhere(ending: conclusion.ending)
                return Performed(error: error, fields: conclusion.fields)
            }
            let output = try await middleware.run(attempt.context) { context in
                try await entry.handler(attempt.job.arguments, context)
            }
            var fields = attempt.context.notes.fields
            if let output { fields["out"] = try checked(output) }
            try checkChain(attempt.job, fields)
            return Performed(fields: fields)
        } catch {
            return Performed(error: await endingPeriodic(attempt, error), fields: attempt.context.notes.fields)
        }
    }

    /// Ends the periodic job that fired this one where the error asks for it: then the attempt has completed. If that can't be
    /// done the attempt has failed.
    private func endingPeriodic(_ attempt: Attempt, _ error: any Error) async -> (any Error)? {
        guard attempt.context.cancellation == nil,
            case .endPeriodic(let reason)? = (error as? JobOutcome ?? attempt.entry?.outcome(error))?.kind
        else { return error }
        guard let name = attempt.context.periodic?.name else {
            attempt.context.logger.notice("The job ends its periodic job, but none has fired it: \(reason)")
            return nil
        }
        do {
            try await endsPeriodic?(name, reason)
            return nil
        } catch {
            return error
        }
    }

    /// What later steps are handed must not become too large for a worker to take.
    private func checkChain(_ job: ClaimedJob, _ fields: [String: String]) throws(BadResult) {
        guard job.fields["nxt"] != nil else { return }
        let bytes = [job.fields["stp"], fields["out"], fields["add"]].reduce(0) { $0 + ($1?.utf8.count ?? 0) }
        guard bytes <= Self.maximumOfChain else {
            throw BadResult(
                description: "what the steps of the chain have returned and shared has \(bytes) bytes, "
                    + "and the limit is \(Self.maximumOfChain)"
            )
        }
    }

    private func checked(_ output: [UInt8]) throws(BadResult) -> String {
        guard output.count <= maximumResult else {
            throw BadResult(
                description: "the result has \(output.count) bytes as JSON, and the limit is \(maximumResult)"
            )
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// How an attempt ends, and what its hooks are to be told, if anything.
    struct Settlement: Sendable {
        var ending: Ending
        var failure: JobFailure?
    }

    /// What becomes of an attempt whose job threw this, by why its task was cancelled if it was. Calls rules of the job, but
    /// not its hooks.
    func settlement(of attempt: Attempt, _ error: any Error) -> Settlement {
        switch attempt.context.cancellation {
        case .cancelled:
            Settlement(ending: .cancelled(message: error is CancellationError ? "" : FailureText.of(error).message))
        case .shutdown, .lost:
            Settlement(ending: .shutdown)
        case .timeout:
            failure(of: attempt, Self.timeout(of: attempt, error))
        case nil:
            switch error {
            case let elsewhere as SettledElsewhere:
                Settlement(ending: elsewhere.ending)
            case let died as ProcessDied:
                // Its worker lives, so somebody can tell the hooks. It was the last try: the job is dead.
                Settlement(
                    ending: .crashed(
                        message: FailureText.printable(died.description, limit: FailureText.messageLimit)
                    ),
                    failure: JobFailure(
                        context: attempt.context,
                        arguments: attempt.job.arguments,
                        error: died,
                        failures: attempt.context.failures,
                        retryDelay: nil
                    )
                )
            default:
                failure(of: attempt, error)
            }
        }
    }

    /// Calls the hooks of the job.
    func tell(_ attempt: Attempt, of settlement: Settlement) async {
        guard let failure = settlement.failure else { return }
        await attempt.entry?.onFailure(failure)
        switch settlement.ending {
        case .dead, .crashed: await attempt.entry?.onDeath(failure)
        default: break
        }
    }

    /// What becomes of an attempt that failed with this error.
    private func failure(of attempt: Attempt, _ error: any Error) -> Settlement {
        let outcome =
            error as? JobOutcome ?? (error is BadResult ? .dead("") : nil) ?? attempt.entry?.outcome(error)
        let (name, message) = FailureText.of(error)
        if case .skip(let reason)? = outcome?.kind {
            return Settlement(ending: .skipped(message: FailureText.printable(reason, limit: FailureText.messageLimit)))
        }
        if case .snooze(let time)? = outcome?.kind {
            return Settlement(ending: .snoozed(after: Self.milliseconds(time)))
        }
        let delay = outcome == nil ? retryDelay(attempt, error) : nil
        let failure = JobFailure(
            context: attempt.context,
            arguments: attempt.job.arguments,
            error: error,
            failures: attempt.failures,
            retryDelay: delay
        )
        let ending: Ending =
            if let delay {
                .retried(
                    error: name,
                    message: message,
                    after: Self.milliseconds(delay),
                    queue: attempt.options.retryQueue
                )
            } else {
                switch outcome?.kind {
                case .discard(let reason): .discarded(error: name, message: Self.message(message, reason))
                case .dead(let reason): .dead(error: name, message: Self.message(message, reason))
                case .snooze, .skip, .endPeriodic, nil: .dead(error: name, message: message)
                }
            }
        return Settlement(ending: ending, failure: failure)
    }

    private static func timeout(of attempt: Attempt, _ error: any Error) -> JobTimeout {
        var timeout = JobTimeout(limit: attempt.options.timeout ?? .zero)
        // The end of it, with room for the sentence before.
        let words = (error as? ProgramStopped)?.failureMessage ?? ""
        timeout.lastWords = String(decoding: words.utf8.suffix(FailureText.messageLimit - 128), as: UTF8.self)
        return timeout
    }

    /// How long the next attempt waits; nil if there is none.
    private func retryDelay(_ attempt: Attempt, _ error: any Error) -> Duration? {
        let options = attempt.options
        guard attempt.failures <= options.retries ?? JobOptions.defaultRetries else { return nil }
        let delay = (options.backoff ?? .exponential).delay(after: attempt.failures, error)
        if let limit = options.retryFor, let age = attempt.age, age + delay > limit { return nil }
        return delay
    }

    private static func milliseconds(_ time: Duration) -> Int64 {
        min(max(time, .zero), Backoff.longest).ceilingMilliseconds
    }

    /// The error's message with the reason that a rule gave.
    private static func message(_ message: String, _ reason: String) -> String {
        if reason.isEmpty || reason == message { return message }
        let both = message.isEmpty ? reason : "\(message) (\(reason))"
        return FailureText.printable(both, limit: FailureText.messageLimit)
    }
}
