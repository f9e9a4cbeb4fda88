import ArgumentParser
import Foundation
import Testing

@testable import BackgroundJobsCommands

@Suite struct EnqueueCommandTests {
    @Test func readsItsArguments() throws {
        let command = try EnqueueCommand.parse(["Jobs::Nap", #"{"a":1}"#, "-q", "high", "--in", "5m"])
        #expect(command.className == "Jobs::Nap")
        #expect(command.arguments == #"{"a":1}"#)
        #expect(command.queue == "high")
        #expect(command.delay?.duration == .seconds(300))
        let later = try EnqueueCommand.parse(["Report", "--at", "1970-01-01T00:01:00Z", "--id", "report-1"])
        #expect(later.time == Date(timeIntervalSince1970: 60))
        #expect(later.id == "report-1")
    }

    @Test(arguments: [
        [], ["X", "{"], ["X", "{}", "{}"], ["X", "--in", "5m", "--at", "2026-12-01T08:00:00Z"], ["X", "--in", "soon"],
        ["X", "--at", "soon"], ["X", "--at", "2026-02-30T08:00:00Z"],
        ["X", "--count", "0"], ["X", "--count", "2", "--id", "a"], ["X", "{}", "--file", "f"],
        ["X", "--file", "f", "--count", "2"], ["X", "--file", "f", "--id", "a"],
    ])
    func refusesWithTheCodeOfUsage(arguments: [String]) {
        #expect { try EnqueueCommand.parse(arguments) } throws: { EnqueueCommand.exitCode(for: $0).rawValue == 64 }
    }

    @Test func watchRefusesWhatIsNoTime() throws {
        #expect(try StatusCommand.parse(["--watch"]).watch?.duration == .seconds(1))
        #expect(try StatusCommand.parse(["--watch=3"]).watch?.duration == .seconds(3))
        #expect(try StatusCommand.parse(["-w", "500ms", "--json"]).watch?.duration == .milliseconds(500))
        for text in ["--watch=x", "--watch=5y", "--watch=0"] {
            #expect { try StatusCommand.parse([text]) } throws: { StatusCommand.exitCode(for: $0).rawValue == 64 }
        }
    }
}

@Suite struct LineReaderTests {
    private func lines(_ text: String, limit: Int = 1 << 20) throws -> [String] {
        let path = FileManager.default.temporaryDirectory.appending(path: "lines-\(UUID())").path
        try Data(text.utf8).write(to: URL(filePath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        var reader = try LineReader(path: path, limit: limit)
        #expect(reader.size == text.utf8.count)
        var lines: [String] = []
        while let line = try reader.next() { lines.append(String(decoding: line, as: UTF8.self)) }
        #expect(reader.bytesRead == text.utf8.count)
        return lines
    }

    @Test func readsLineByLine() throws {
        #expect(try lines("") == [])
        #expect(try lines("a") == ["a"])
        #expect(try lines("a\n") == ["a"])
        #expect(try lines("a\n\nb\r\n") == ["a", "", "b\r"])
    }

    @Test func readsLinesLongerThanItsPieces() throws {
        let long = String(repeating: "x", count: 300_000)
        #expect(try lines("\(long)\ny\n\(long)") == [long, "y", long])
        #expect(throws: LineReader.TooLong.self) { try lines(long, limit: 299_999) }
        #expect(try lines(long, limit: 300_000) == [long])
    }

    @Test func saysWhyItCannot() {
        #expect(throws: LineReader.Failed.self) { _ = try LineReader(path: "/nonexistent", limit: 1) }
        #expect(throws: LineReader.Failed.self) {
            var reader = try LineReader(path: "/", limit: 1)
            _ = try reader.next()
        }
    }
}

@Suite struct ProgressBarTests {
    private func text(_ done: Int, _ total: Int?, _ count: Int, _ elapsed: Duration) -> String {
        ProgressBar.text(done: done, total: total, count: count, unit: "jobs", elapsed: elapsed)
    }

    @Test func showsHowFarItIs() {
        #expect(text(50, 100, 500, .seconds(2)) == "[###############...............]  50%  500 jobs  250/s")
        #expect(text(5, nil, 500, .zero) == "500 jobs")
        #expect(text(200, 100, 1, .zero).hasSuffix("] 100%  1 jobs"))
    }
}
