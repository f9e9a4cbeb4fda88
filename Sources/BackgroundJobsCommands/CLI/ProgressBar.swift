/// How far something has come, on one line of a terminal that is written over and over.
struct ProgressBar {
    private let total: Int?
    private let unit: String
    private let isShown: Bool
    private let start = ContinuousClock.now
    private var lastDrawn: ContinuousClock.Instant?
    private static let width = 30

    /// - Parameters:
    ///   - total: the value of `done` at the end; nil: nobody knows.
    ///   - unit: what is counted.
    ///   - isShown: whether anybody looks; standard error as a terminal unless a test says otherwise.
    init(total: Int?, unit: String = "jobs", isShown: Bool = StandardStream.error.isTerminal) {
        self.total = total
        self.unit = unit
        self.isShown = isShown
    }

    /// Draws the line anew, ten times a second at most.
    mutating func show(done: Int, count: Int) {
        let now = ContinuousClock.now
        guard isShown, lastDrawn.map({ $0.duration(to: now) >= .milliseconds(100) }) ?? true else { return }
        lastDrawn = now
        let text = Self.text(done: done, total: total, count: count, unit: unit, elapsed: start.duration(to: now))
        StandardStream.error.writeAll("\r\(text)\u{1B}[K")
    }

    /// Takes the line away.
    func end() {
        if isShown, lastDrawn != nil { StandardStream.error.writeAll("\r\u{1B}[K") }
    }

    static func text(done: Int, total: Int?, count: Int, unit: String, elapsed: Duration) -> String {
        let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
        let rate = seconds > 0.1 ? "  \(Int(Double(count) / seconds))/s" : ""
        guard let total, total > 0 else { return "\(count) \(unit)\(rate)" }
        let part = min(1, Double(done) / Double(total))
        let filled = Int(part * Double(width))
        let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
        let percent = "\(Int(part * 100))%"
        return "[\(bar)] \(String(repeating: " ", count: 4 - percent.count))\(percent)  \(count) \(unit)\(rate)"
    }
}
