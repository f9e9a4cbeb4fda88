import Foundation

/// The witness outside Redis: a file to which each job appends when it begins and when it ends.
///
/// A line is `event job attempt pid ns`, where the event is `start`, `end`, or `cut` for a job that was cancelled, and the
/// time is that of the monotonic clock, which all processes of a machine share.
package final class Ledger: Sendable {
    package struct Entry: Sendable, Equatable {
        package enum Event: String, Sendable {
            case start, end, cut
        }
        package var event: Event
        package var job: String
        package var attempt: String
        package var pid: Int32
        package var time: Int64
    }

    /// The variable that tells a worker where the ledger is.
    package static let variable = "BG_LEDGER"

    package let path: String

    /// Makes an empty one.
    package init() {
        path = "/tmp/bg-ledger-\(UInt32.random(in: 0 ... .max))"
        _ = FileManager.default.createFile(atPath: path, contents: nil)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    package var environment: [String: String] { [Self.variable: path] }

    /// All whole lines written so far.
    package var entries: [Entry] {
        let data = (try? Data(contentsOf: URL(fileURLWithPath: path))) ?? Data()
        return String(decoding: data, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            .compactMap { line in
                let words = line.split(separator: " ").map(String.init)
                guard words.count == 5, let event = Entry.Event(rawValue: words[0]), let pid = Int32(words[3]),
                    let time = Int64(words[4])
                else { return nil }
                return Entry(event: event, job: words[1], attempt: words[2], pid: pid, time: time)
            }
    }

    /// How many jobs have ended at least once.
    package var ended: Int { Set(entries.filter { $0.event == .end }.map(\.job)).count }

    /// How many attempts have begun.
    package var started: Int { entries.count { $0.event == .start } }

    /// The monotonic clock.
    package static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
