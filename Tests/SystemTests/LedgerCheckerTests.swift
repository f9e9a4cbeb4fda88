import Foundation
import TestSupport
import Testing

/// That the witness of the drills can say no.
struct LedgerCheckerTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// Lines of the ledger, without the job, which is always the same.
        let lines: [String]
        var deaths: [Int32: Int64] = [:]
        var zombies: [Int32: [ClosedRange<Int64>]] = [:]
        /// Attempts that a watcher has ended.
        var taken: Set<String> = []
        /// What is said of the job.
        var expected: Set<String> = []

        init(_ name: String, _ lines: String..., expected: String...) {
            testDescription = name
            self.lines = lines
            self.expected = Set(expected)
        }

        func with(_ change: (inout Case) -> Void) -> Case {
            var copy = self
            change(&copy)
            return copy
        }
    }

    private static let once = Case("ran once", "start a 1 10", "end a 1 20")
    private static let never = Case("never ran", expected: "lost")
    private static let unended = Case("begun and never ended", "start a 1 10", expected: "lost")
    private static let cut = Case("cancelled, and not run again", "start a 1 10", "cut a 1 20", expected: "lost")
    private static let again = Case("cancelled, run again", "start a 1 10", "cut a 1 20", "start b 2 30", "end b 2 40")
    private static let oneEndsTwice = Case(
        "one attempt ended twice",
        "start a 1 10",
        "end a 1 20",
        "end a 1 30",
        expected: "duplicated"
    )

    private static func endedTwice(_ name: String, expected: String...) -> Case {
        Case(name, "start a 1 10", "end a 1 20", "start b 2 30", "end b 2 40").with { $0.expected = Set(expected) }
    }
    private static func sideBySide(_ name: String, expected: String...) -> Case {
        Case(name, "start a 1 10", "start b 2 15", "end b 2 30").with { $0.expected = Set(expected) }
    }
    private static let threeAttempts = Case(
        "a third one during the first",
        "start a 1 10",
        "start b 2 12",
        "cut b 2 14",
        "start c 3 16",
        "end c 3 18",
        "cut a 1 20",
        expected: "overlapping"
    )
    private static let begunTwice = Case(
        "one attempt begun twice",
        "start a 1 10",
        "start a 1 30",
        "end a 1 40",
        expected: "overlapping"
    )

    static let cases = [
        once, never, unended, cut, again, oneEndsTwice, threeAttempts, begunTwice,
        endedTwice("ended twice", expected: "duplicated"),
        endedTwice("ended, unreported, and again").with { ($0.deaths, $0.taken) = ([1: 25], ["a"]) },
        endedTwice("ended twice; one worker dies much later", expected: "duplicated").with { $0.deaths = [1: 1000] },
        sideBySide("two attempts at the same time", expected: "overlapping"),
        sideBySide("run again before its worker died", expected: "overlapping").with { $0.deaths = [1: 20] },
        sideBySide("run again as its worker died").with { $0.deaths = [1: 12] },
        sideBySide("its worker stood still").with { $0.zombies = [1: [12...38]] },
        sideBySide("its worker had stood still before", expected: "overlapping").with { $0.zombies = [1: [2...5]] },
    ]

    @Test("says what became of a job", arguments: cases)
    func verdict(_ example: Case) throws {
        let ledger = try Self.ledger(
            example.lines.map { line in
                let words = line.split(separator: " ", maxSplits: 1)
                return "\(words[0]) job \(words[1])"
            }
        )
        let checker = LedgerChecker(ledger, deaths: example.deaths, zombies: example.zombies)
        let report = checker.report(acknowledged: ["job"])
        var said: Set<String> = []
        if !report.lost.isEmpty { said.insert("lost") }
        if !checker.duplicated(besides: example.taken).isEmpty { said.insert("duplicated") }
        if !report.overlapping.isEmpty { said.insert("overlapping") }
        #expect(said == example.expected)
        #expect(report.unexpected == [])
        #expect(ledger.malformed == [])
    }

    @Test("names jobs that nobody knows, and lines that say nothing")
    func strangers() throws {
        let ledger = try Self.ledger(["start other a 1 10", "end other a 1 20", "start job a"])
        #expect(LedgerChecker(ledger).report(acknowledged: []).unexpected == ["other"])
        #expect(ledger.malformed == ["start job a"])
    }

    @Test("measures from the death of a worker to the next beginning of its job")
    func recovery() throws {
        let ledger = try Self.ledger(["start job a 1 10", "start job b 2 70", "end job b 2 80"])
        #expect(LedgerChecker(ledger, deaths: [1: 20]).report(acknowledged: ["job"]).recoveries == [50])
    }

    private static func ledger(_ lines: [String]) throws -> Ledger {
        let ledger = Ledger()
        try Data(lines.map { $0 + "\n" }.joined().utf8).write(to: URL(fileURLWithPath: ledger.path))
        return ledger
    }
}
