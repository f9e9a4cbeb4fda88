import BackgroundJobs
import Foundation
import Testing

@testable import BackgroundJobsCommands

extension Handlers {
    @Suite struct StandardErrorTests {
        private func message(_ chunks: [UInt8]...) -> String {
            var tail = StandardErrorTail()
            for chunk in chunks {
                chunk.withUnsafeBytes { tail.append($0) }
            }
            return tail.message
        }

        @Test func isKeptAsItIs() {
            #expect(message(Array("one\n".utf8), Array("\ttwo é 👩‍🔬\n\n".utf8)) == "one\n\ttwo é 👩‍🔬")
            #expect(message() == "")
        }

        @Test func controlCharactersAreEscaped() {
            let text = "\u{1B}[31mred\u{7}\0 a\rb \u{202E}evil\u{2028}\u{85}."
            let expected = #"\u{1B}[31mred\u{07}\0 a\rb \u{202E}evil\u{2028}\u{0085}."#
            #expect(message(Array(text.utf8)) == expected)
        }

        @Test func invalidBytesAreReplaced() {
            #expect(message([0x61, 0xFF, 0xC3]) == "a\u{FFFD}\u{FFFD}")
        }

        @Test func onlyTheEndIsKept() {
            let lines = (0..<100_000).map { "line \($0)\n" }.joined()
            let tail = message(Array(lines.utf8), Array("the end".utf8))
            #expect(tail.utf8.count == 4096)
            #expect(tail.hasSuffix("line 99999\nthe end"))
        }

        @Test func aCutCharacterIsDropped() {
            // 2,048 characters of two bytes and a single one: the cut goes through the first.
            let tail = message(Array((String(repeating: "é", count: 3000) + "x").utf8))
            #expect(tail == String(repeating: "é", count: 2047) + "x")
        }

        @Test func escapingCountsTowardsTheLimit() {
            let tail = message([UInt8](repeating: 1, count: 5000))
            #expect(tail == String(repeating: #"\u{01}"#, count: 4096 / 6))
        }
    }

    @Suite struct EnvironmentTests {
        @Test func secretsStayWithTheWorker() {
            let inherited = [
                "PATH=/bin", "REDIS_URL=redis://:pw@h", "BG_PASSWORD=pw", "BG_JOB_ID=x", "1=2", "=", "odd", "E=",
            ]
            let environment = HandlerEnvironment(
                node: "n1",
                marker: "BG_GUARDIAN=m",
                inheriting: inherited.map { Array($0.utf8) + [0] }
            )
            let entries = environment.entries(for: call("Nap")).map { String(decoding: $0, as: UTF8.self) }
            #expect(
                entries.map { $0.dropLast() } == [
                    "PATH=/bin", "=", "E=", "BG_NODE=n1", "BG_GUARDIAN=m", "BG_JOB_ID=job-1",
                    "BG_ATTEMPT_ID=attempt-1", "BG_ATTEMPT=2", "BG_QUEUE=mail", "BG_CLASS=Nap",
                ]
            )
            #expect(entries.allSatisfy { $0.hasSuffix("\0") })
        }

        @Test func theTimeOfAPeriodicJobIsTold() {
            let environment = HandlerEnvironment(node: "n1", marker: "BG_GUARDIAN=m", inheriting: [])
            var call = call("Nap")
            for (time, expected) in [
                (Date(timeIntervalSince1970: 1.5), ["BG_PERIODIC=p", "BG_PERIODIC_TIME=1970-01-01T00:00:01.500Z"]),
                (nil, ["BG_PERIODIC=p"]),
            ] {
                call.periodic = PeriodicFiring(name: "p", time: time)
                let entries = environment.entries(for: call).map { String(decoding: $0.dropLast(), as: UTF8.self) }
                #expect(entries.filter { $0.hasPrefix("BG_PERIODIC") } == expected)
            }
        }
    }
}
