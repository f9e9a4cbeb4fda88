import ArgumentParser
import Foundation
import Logging
import Synchronization
import Testing

@testable import BackgroundJobsCommands

@Suite struct LogLineTests {
    private final class Lines: Sendable {
        let all = Mutex<[String]>([])
    }

    private func written(_ format: LogFormat, _ body: (Logger) -> Void) -> [String] {
        let lines = Lines()
        let logger = Logger(label: "test") {
            LineLogHandler(
                label: $0,
                level: .info,
                format: format,
                write: { line in lines.all.withLock { $0.append(line) } },
                now: { Date(timeIntervalSince1970: 1_795_266_000.123) }
            )
        }
        body(logger)
        return lines.all.withLock { $0 }
    }

    @Test func writesTextForPeople() {
        let lines = written(.text) { logger in
            logger.info("Job failed", metadata: ["queue": "high", "attempt": "5e", "error": "no such file"])
            logger.warning("Lost Redis")
            logger.debug("not asked for")
        }
        #expect(
            lines == [
                "2026-11-21T13:00:00.123Z info  Job failed attempt=5e error=\"no such file\" queue=high\n",
                "2026-11-21T13:00:00.123Z warning Lost Redis\n",
            ]
        )
    }

    @Test func writesJSONForPrograms() throws {
        let lines = written(.json) {
            $0.error("It \"broke\"\n", metadata: ["time": "x", "n": "\(1)", "s": "\u{1B}[0m"])
        }
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(lines[0].utf8)) as? [String: String]
        )
        #expect(
            object == [
                "time": "2026-11-21T13:00:00.123Z", "level": "error", "logger": "test", "message": "It \"broke\"\n",
                "_time": "x", "n": "1", "s": "\u{1B}[0m",
            ]
        )
        #expect(!lines[0].contains("\u{1B}"))
    }

    @Test(arguments: [LogFormat.text, .json])
    func oneEventIsOneLine(format: LogFormat) {
        let forged = "x\n2026-11-21T13:00:00.123Z info  Job done\r\u{2028}\u{85}\u{1B}[2J\u{202E}"
        let lines = written(format) {
            $0.info("\(forged)", metadata: ["a": "\(forged)", "\(forged)": "b", "d": ["k": "\(forged)"]])
        }
        #expect(lines.count == 1)
        #expect(lines[0].unicodeScalars.filter { $0 == "\n" }.count == 1)
        #expect(lines[0].unicodeScalars.dropLast().allSatisfy { $0.value >= 0x20 && !$0.properties.isBidiControl })
        #expect(!lines[0].unicodeScalars.contains("\u{2028}") && !lines[0].unicodeScalars.contains("\u{85}"))
    }

    @Test func valuesCannotPassForOthers() {
        let lines = written(.text) { $0.info("m", metadata: ["a": "1 b=2", "c": "", "d": "x=y", "e": "q\"r"]) }
        #expect(lines[0].hasSuffix(" m a=\"1 b=2\" c=\"\" d=\"x=y\" e=\"q\\\"r\"\n"))
    }

    @Test func levelsComeFromTheCommandLine() throws {
        #expect(try LogOptions.parse([]).level() == .info)
        #expect(try LogOptions.parse([]).level(or: .critical) == .critical)
        #expect(try LogOptions.parse(["-v"]).level() == .debug)
        #expect(try LogOptions.parse(["-v", "--log-level", "ERROR"]).level() == .error)
        #expect(try LogOptions.parse(["--log-format", "json"]).format == .json)
        #expect(throws: (any Error).self) { try LogOptions.parse(["--log-level", "loud"]) }
    }

    @Test(.timeLimit(.minutes(20)))
    func aLogThatNobodyReadsHoldsUpNobody() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        let queue = LineQueue(StandardStream(descriptor: ends[1]))
        let logger = Logger(label: "test") {
            LineLogHandler(label: $0, level: .info, format: .text, write: { queue.add($0, as: .text) })
        }
        let total = 100_000
        // Nobody reads: these return although the pipe is full.
        for number in 0..<total { logger.info("\(number)") }
        queue.flush(within: .milliseconds(10))

        var next = 0
        var drops = 0
        try forEachLine(of: ends[0]) { line in
            let words = line.split(separator: " ")
            if line.hasSuffix(" log lines were dropped") {
                next += try #require(Int(words[2]))
                drops += 1
            } else {
                #expect(Int(words[2]) == next)
                next += 1
            }
            return next < total
        }
        #expect(next == total)
        #expect(drops > 0)

        queue.flush(within: .seconds(60))
        logger.info("read again")
        try forEachLine(of: ends[0]) { line in
            #expect(line.hasSuffix(" read again"))
            return false
        }
    }

    /// Reads lines until `body` returns false.
    private func forEachLine(of descriptor: Int32, _ body: (Substring) throws -> Bool) throws {
        var text = ""
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            try #require(count > 0)
            text += String(decoding: buffer[..<count], as: UTF8.self)
            var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            let rest = String(lines.removeLast())
            for line in lines where try !body(line) { return }
            text = rest
        }
    }

    @Test func aLogThatNobodyReadsEndsNothing() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let stream = StandardStream(descriptor: ends[1])
        close(ends[0])
        #expect(stream.writeAll("lost\n") == false)
        #expect(throws: StandardStream.Closed.self) { try stream.write("lost\n") }
        close(ends[1])
    }
}
