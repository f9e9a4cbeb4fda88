/// Options as fields of the job's hash (protocol, Fields of a job).
extension JobOptions {
    /// A field of a job's hash and its text.
    package typealias Field = (name: String, value: String)

    /// Retries where neither the job nor its class says.
    package static let defaultRetries = 25
    /// The most retries that can be asked for.
    package static let mostRetries = 1_000_000
    /// The longest time limit, age or window: a hundred years.
    package static let longest = Duration.seconds(36_500 * 86_400)

    /// The fields that travel in the hash, those that are nil left out. `expires` and `unique` are not among them, since they
    /// depend on when the job is enqueued, nor is where it may run: that is ``placement()``, since the type may say it.
    ///
    /// - Throws: ``BackgroundError`` for a value that is not allowed.
    package func fields() throws(BackgroundError) -> [Field] {
        var fields: [Field] = []
        if let retries { fields.append(("ret", "\(try Self.checked(retries, "retries"))")) }
        if let backoff { fields.append(("bck", try Self.checked(backoff))) }
        if let retryFor { fields.append(("rfr", try Self.checked(retryFor, "retryFor", from: .zero))) }
        if let retryQueue {
            try Names.checkQueue(retryQueue)
            fields.append(("rqu", retryQueue))
        }
        if let timeout { fields.append(("tmo", try Self.checked(timeout, "timeout"))) }
        if let delivery { fields.append(("dlv", delivery.code)) }
        if let crashRetries { fields.append(("crm", try crashRetries.text())) }
        if let crashWindow { fields.append(("crw", try Self.checked(crashWindow, "crashWindow", from: .zero))) }
        return fields
    }

    /// How long after its time the first attempt may begin, in ms.
    package func expiry() throws(BackgroundError) -> Int64? { try Self.expiry(expires) }

    static func expiry(_ expires: Duration?) throws(BackgroundError) -> Int64? {
        guard let expires else { return nil }
        _ = try Self.checked(expires, "expires")
        return expires.ceilingMilliseconds
    }

    /// - Throws: ``BackgroundError`` for a value that is not allowed.
    package func check() throws(BackgroundError) {
        var plain = self
        if case .custom = backoff { plain.backoff = nil }
        _ = try plain.fields()
        _ = try placement()
        _ = try expiry()
        try unique?.check()
    }

    private static func checked(_ count: Int, _ name: String) throws(BackgroundError) -> Int {
        guard (0...mostRetries).contains(count) else {
            throw BackgroundError(
                .invalidArgument,
                "The option \(name) is \(count); it must lie in 0 to \(mostRetries)."
            )
        }
        return count
    }

    static func checked(
        _ time: Duration,
        _ name: String,
        from least: Duration = .milliseconds(1)
    ) throws(BackgroundError) -> String {
        guard time >= least, time <= longest else {
            throw BackgroundError(
                .invalidArgument,
                "The option \(name) is \(time); it must lie between \(least) and a hundred years."
            )
        }
        return "\(time.ceilingMilliseconds)"
    }

    private static func checked(_ backoff: Backoff) throws(BackgroundError) -> String {
        let times: [Duration] =
            switch backoff {
            case .exponential, .custom: []
            case .fixed(let time), .linear(let time): [time]
            case .list(let times): times
            }
        if case .list = backoff, !(1...100).contains(times.count) {
            throw BackgroundError(.invalidArgument, "A list of delays has 1 to 100 times, not \(times.count).")
        }
        if let wrong = times.first(where: { $0 < .zero || $0 > Backoff.longest }) {
            throw BackgroundError(.invalidArgument, "A delay of \(wrong) before a retry: it must lie in 0 to a year.")
        }
        guard let text = backoff.text else {
            throw BackgroundError(
                .invalidArgument,
                "A backoff that is a closure can't be sent through Redis: set it in the options of the job's type."
            )
        }
        return text
    }

    /// Reads the fields of a hash. What can't be read counts as absent; `faults` are sentences about it.
    package init(fields: [String: String], faults: inout [String]) {
        self.init()
        func read<Value>(_ name: String, _ expected: String, _ parse: (String) -> Value?) -> Value? {
            guard let text = fields[name], !text.isEmpty else { return nil }
            if let value = parse(text) { return value }
            faults.append("the field \(name) is \(Names.quoted(text)) and counts as absent: expected \(expected)")
            return nil
        }
        func milliseconds(_ least: Int64) -> (String) -> Duration? {
            { Int64($0).flatMap { $0 >= least && .milliseconds($0) <= Self.longest ? .milliseconds($0) : nil } }
        }
        retries = read("ret", "0 to \(Self.mostRetries)") { text in
            Int(text).flatMap { (0...Self.mostRetries).contains($0) ? $0 : nil }
        }
        backoff = read("bck", "exponential, fixed:MS, linear:MS or list:MS,MS,…") { Backoff(text: $0) }
        retryFor = read("rfr", "milliseconds", milliseconds(0))
        retryQueue = read("rqu", "the name of a queue") { (try? Names.checkQueue($0)) == nil ? nil : $0 }
        timeout = read("tmo", "milliseconds, at least 1", milliseconds(1))
        delivery = read("dlv", "amo or alo") { code in Delivery.allCases.first { $0.code == code } }
        crashRetries = read("crm", "a number or all") { CrashRetries(text: $0) }
        crashWindow = read("crw", "milliseconds", milliseconds(0))
        on = read("on", "the name of a worker") { Names.isNodeName($0) ? $0 : nil }
        // Beside the other it has no effect.
        if on == nil { avoiding = read("avo", "the name of a worker") { Names.isNodeName($0) ? $0 : nil } }
        if on != nil || avoiding != nil { fallback = read("fbk", "milliseconds or never") { Fallback(text: $0) } }
    }
}

extension CrashRetries {
    /// The form in the field `crm`: a number, or `all`.
    package func text() throws(BackgroundError) -> String {
        switch self {
        case .all: return "all"
        case .limited(let count):
            guard (0...JobOptions.mostRetries).contains(count) else {
                throw BackgroundError(
                    .invalidArgument,
                    "The option crashRetries is \(count); it must lie in 0 to \(JobOptions.mostRetries), or be all."
                )
            }
            return "\(count)"
        }
    }

    /// Reads what ``text()`` writes.
    package init?(text: String) {
        if text == "all" {
            self = .all
        } else if let count = Int(text), (0...JobOptions.mostRetries).contains(count) {
            self = .limited(count)
        } else {
            return nil
        }
    }
}
