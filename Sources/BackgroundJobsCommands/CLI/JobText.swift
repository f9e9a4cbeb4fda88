import BackgroundJobs
import Foundation

/// A job and its attempts for people: a heading for each, and a line for each field that has a value.
enum JobText {
    private typealias Line = (name: String, value: String?)

    static func text(_ history: JobHistory) -> String {
        block("job \(history.job.id)", lines(history.job), others: history.job.otherFields)
            + history.attempts.map { attempt in
                let number = attempt.number.map { " \($0)" } ?? ""
                return "\n" + block("attempt\(number), \(attempt.id)", lines(attempt), others: attempt.otherFields)
            }.joined()
    }

    /// A word for where the job is, with what belongs to it.
    static func state(_ state: JobState) -> String {
        switch state {
        case .scheduled(let due): "scheduled, due \(Timestamp.text(due))"
        case .ended(let how): "ended, \(how)"
        default: state.name
        }
    }

    private static func lines(_ job: JobRecord) -> [Line] {
        [
            ("state", state(job.state) + (job.isCancelRequested ? ", to be cancelled" : "")),
            ("queue", job.queue),
            ("class", job.className),
            ("arguments", job.arguments?.description),
            ("queued", job.queuedAt.map(Timestamp.text)),
            ("process at", job.processAt.map(Timestamp.text)),
            ("attempts", "\(job.attempts)"),
            ("errors", nonZero(job.errors)),
            ("crashes", nonZero(job.crashes)),
            ("first crash", job.firstCrashAt.map(Timestamp.text)),
            ("retries", job.retries.map { "\($0)" }),
            ("time limit", job.timeLimit?.readable),
            ("delivery", job.delivery),
            ("unique", job.uniqueDigest),
        ]
    }

    private static func lines(_ attempt: AttemptRecord) -> [Line] {
        [
            ("started", attempt.startedAt.map(Timestamp.text)),
            ("ended", attempt.endedAt.map(Timestamp.text)),
            ("took", attempt.processingTime?.readable),
            ("result", attempt.isCompleted ? "completed" : attempt.error),
            ("message", attempt.message?.description),
            ("output", attempt.output?.description),
            ("queue", attempt.queue),
            ("node", attempt.node),
            ("client", attempt.workerClient.map { "\($0)" }),
            ("adopted", nonZero(attempt.adoptions).map { "\($0) times" }),
            ("delivery", attempt.delivery),
            ("time limit", attempt.timeLimit?.readable),
            ("crash retries", attempt.crashRetries),
            ("crash window", attempt.crashWindow?.readable),
        ]
    }

    private static func block(_ heading: String, _ lines: [Line], others: [String: FieldValue]) -> String {
        let all = lines + others.sorted { $0.key < $1.key }.map { ("(\($0.key))", $0.value.description) }
        let shown = all.compactMap { line in line.value.map { (line.name, Printable.escaped($0)) } }
        return Printable.escaped(heading) + "\n"
            + shown.map { name, value in
                let name = Printable.escaped(name)
                return "  \(name)\(String(repeating: " ", count: max(0, 13 - name.count))) \(value)\n"
            }.joined()
    }

    private static func nonZero(_ number: Int) -> String? { number == 0 ? nil : "\(number)" }
}
