/// How long a retry waits, by the number of attempts that have failed.
public enum Backoff: Sendable {
    /// n⁴ + 15 s + a random part of up to 10 s · (n + 1), where n is 0 after the first failure: the times that users of
    /// Sidekiq know (github.com/sidekiq/sidekiq/wiki/Error-Handling).
    case exponential
    /// The same time before every retry.
    case fixed(Duration)
    /// The time, twice the time, three times the time, …
    case linear(Duration)
    /// One time for each retry; the last one for all that follow. 1 to 100 times.
    case list([Duration])
    /// What a closure says, given the number of failed attempts, from 1, and the last error. It can't be sent through
    /// Redis: as an option of a job type only.
    case custom(@Sendable (_ attempt: Int, _ error: any Error) -> Duration)

    /// The longest wait: whatever is longer is cut to a year.
    package static let longest = Duration.seconds(365 * 86_400)

    /// How long to wait after so many failures.
    ///
    /// - Parameter failures: the number of attempts that have failed, from 1.
    package func delay(after failures: Int, _ error: any Error) -> Duration {
        var generator = SystemRandomNumberGenerator()
        return delay(after: failures, error, using: &generator)
    }

    package func delay(
        after failures: Int,
        _ error: any Error,
        using generator: inout some RandomNumberGenerator
    ) -> Duration {
        let delay: Duration
        switch self {
        case .exponential:
            let n = Double(max(0, failures - 1))
            let seconds = n * n * n * n + 15 + Double.random(in: 0...10, using: &generator) * (n + 1)
            delay = seconds < 1e9 ? .milliseconds(Int64((seconds * 1000).rounded(.up))) : Self.longest
        case .fixed(let time):
            delay = time
        case .linear(let time):
            let whole = Double(time.milliseconds) * Double(max(1, failures))
            delay = whole < 1e12 ? time * max(1, failures) : Self.longest
        case .list(let times):
            delay = times.isEmpty ? .zero : times[min(max(1, failures), times.count) - 1]
        case .custom(let closure):
            delay = closure(failures, error)
        }
        return min(max(delay, .zero), Self.longest)
    }

    /// The form in the field `bck`: `exponential`, `fixed:5000`, `linear:5000`, `list:1000,5000`, in ms. nil for a closure.
    package var text: String? {
        func ms(_ time: Duration) -> String { "\(time.ceilingMilliseconds)" }
        return switch self {
        case .exponential: "exponential"
        case .fixed(let time): "fixed:\(ms(time))"
        case .linear(let time): "linear:\(ms(time))"
        case .list(let times): "list:" + times.map(ms).joined(separator: ",")
        case .custom: nil
        }
    }

    /// Reads what ``text`` writes.
    ///
    /// - Parameter duration: reads one of the times; nil for what is none.
    package init?(text: String, duration: (Substring) -> Duration? = Self.milliseconds) {
        if text == "exponential" {
            self = .exponential
            return
        }
        guard let colon = text.firstIndex(of: ":") else { return nil }
        let rest = text[text.index(after: colon)...]
        let parts = rest.split(separator: ",", omittingEmptySubsequences: false)
        let times = parts.compactMap(duration)
        guard times.count == parts.count, times.allSatisfy({ $0 >= .zero && $0 <= Self.longest }) else { return nil }
        switch (text[..<colon], times.count) {
        case ("fixed", 1): self = .fixed(times[0])
        case ("linear", 1): self = .linear(times[0])
        case ("list", 1...100): self = .list(times)
        default: return nil
        }
    }

    @usableFromInline
    package static func milliseconds(_ text: Substring) -> Duration? {
        guard let number = text.utf8.allSatisfy({ (48...57).contains($0) }) ? Int64(text) : nil else { return nil }
        return .milliseconds(number)
    }
}
