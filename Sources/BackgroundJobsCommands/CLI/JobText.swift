import BackgroundJobs
import Foundation

/// A job and its attempts for people: a heading for each, and a line for each field that has a value.
enum JobText {
    private typealias Line = (name: String, value: String?)

    static func text(_ history: JobHistory) -> String {
        block(history.job)
            + history.attempts.map { "\n" + text($0) }.joined()
    }

    /// An attempt, and its job where that is there.
    static func text(_ attempt: AttemptRecord, of job: JobRecord?) -> String {
        text(attempt) + (job.map { "\n" + block($0) } ?? "")
    }

    private static func text(_ attempt: AttemptRecord) -> String {
        let number = attempt.number.map { " \($0)" } ?? ""
        return block("attempt\(number), \(attempt.id)", lines(attempt), others: attempt.otherFields)
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
            ("state", state(job.state) + (job.isCancelRequested && !job.state.isEnd ? ", to be cancelled" : "")),
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
            ("backoff", job.backoff.map(backoff)),
            ("retried for", job.retryFor.map(time)),
            ("retry queue", job.retryQueue),
            ("time limit", job.timeLimit.map(time)),
            ("expires", job.expiresAt.map(Timestamp.text)),
            ("delivery", job.delivery.map(delivery)),
            ("crash retries", job.crashRetries),
            ("crash window", job.crashWindow.map(window)),
            ("unique", unique(job)),
            ("on node", job.on),
            ("avoids node", job.avoiding),
            ("fallback", job.fallback.map(fallback)),
            ("set aside", place(job)),
            ("after", job.after),
            ("then", job.next),
            ("on failure", job.onFailure),
            ("batch", job.batch),
            ("copy of", job.origin),
            ("periodic job", job.periodic),
            ("for the time", job.periodicTime.map(Timestamp.text)),
        ]
    }

    private static func lines(_ attempt: AttemptRecord) -> [Line] {
        [
            ("started", attempt.startedAt.map(Timestamp.text)),
            ("ended", attempt.endedAt.map(Timestamp.text)),
            ("took", attempt.processingTime?.readable),
            ("result", attempt.isCompleted ? "completed" : attempt.error),
            ("message", message(attempt)),
            ("output", attempt.output?.description),
            ("progress", progress(attempt)),
            ("notes", attempt.notes?.description),
            ("shared", attempt.shared?.description),
            ("queue", attempt.queue),
            ("node", attempt.node),
            ("client", attempt.workerClient.map { "\($0)" }),
            ("adopted", nonZero(attempt.adoptions).map { "\($0) times" }),
            ("delivery", attempt.delivery.map(delivery)),
            ("time limit", attempt.timeLimit.map(time)),
            ("crash retries", attempt.crashRetries),
            ("crash window", attempt.crashWindow.map(window)),
        ]
    }

    private static func progress(_ attempt: AttemptRecord) -> String? {
        attempt.progress.map { part in
            let percent = "\((part * 1000).rounded() / 10) %"
            return attempt.progressMessage.map { "\(percent), \($0)" } ?? percent
        }
    }

    // MARK: Options in words

    /// As on the command line.
    private static func time(_ time: Duration) -> String { "\(DurationArgument(time))" }

    private static func window(_ window: Duration) -> String { window == .zero ? "for ever" : time(window) }

    private static func delivery(_ code: String) -> String {
        Delivery.allCases.first { $0.code == code }?.rawValue ?? code
    }

    private static func backoff(_ text: String) -> String {
        switch Backoff(text: text) {
        case .fixed(let delay): "fixed, \(time(delay))"
        case .linear(let delay): "linear, \(time(delay)) more each time"
        case .list(let delays): (["list"] + delays.map(time)).joined(separator: ", ")
        case .exponential, .custom, nil: text
        }
    }

    private static func fallback(_ text: String) -> String {
        guard case .after(let time)? = Fallback(text: text) else { return text }
        return "after \(self.time(time))"
    }

    private static func place(_ job: JobRecord) -> String? {
        job.place.map {
            $0 == "any"
                ? "no longer: any node may run it" : $0 + (job.placedAt.map { ", since \(Timestamp.text($0))" } ?? "")
        }
    }

    private static func unique(_ job: JobRecord) -> String? {
        job.uniqueDigest.map { $0 + (job.uniqueUntil == Uniqueness.End.started.rawValue ? ", until it starts" : "") }
    }

    private static func block(_ job: JobRecord) -> String {
        let others = job.otherFields.map { name, value -> (String, FieldValue) in
            guard let instead = unreadable[name] else { return (name, value) }
            return (name, FieldValue(Array("\(value.description) (can't be read; in force: \(instead))".utf8)))
        }
        return block("job \(job.id)", lines(job), others: Dictionary(uniqueKeysWithValues: others))
    }

    /// What counts where a field of the protocol holds something that is none.
    private static let unreadable: [String: String] = [
        "qat": "none", "pat": "none", "att": "0", "ers": "0", "crs": "0", "crt": "none",
        "ret": "as the class says, else \(JobOptions.defaultRetries)", "bck": "as the class says, else exponential",
        "rfr": "as the class says, else no limit", "rqu": "as the class says, else its queue",
        "tmo": "as the class says, else no limit", "exp": "never",
        "dlv": "as the class or the worker's --mode says", "crm": "as the class says, else 3",
        "crw": "as the class says, else 72h", "unu": "the lock is held until it has ended",
    ]

    /// The message of an attempt, with times for people.
    static func message(_ attempt: AttemptRecord) -> String? {
        let text = attempt.message?.description
        guard attempt.error == "Expired", let late = text?.wholeMatch(of: /([0-9]{1,15}) ms too late/),
            let milliseconds = Int64(late.1)
        else { return text }
        return "\(Duration.milliseconds(milliseconds).readable) too late"
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
