import Foundation
import Synchronization

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
        path = Files.path("ledger")
        _ = FileManager.default.createFile(atPath: path, contents: nil)
    }

    deinit {
        Files.remove(path)
    }

    package var environment: [String: String] { [Self.variable: path] }

    /// What has been read: a drill asks often, and the file may have millions of lines.
    private struct Reading {
        var offset: UInt64 = 0
        var entries: [Entry] = []
        var started = 0
        var ended: Set<String> = []
        var malformed: [String] = []
    }

    private let reading = Mutex(Reading())

    /// All whole lines written so far.
    package var entries: [Entry] { read { $0.entries } }

    /// How many jobs have ended at least once.
    package var ended: Int { read { $0.ended.count } }

    /// How many attempts have begun.
    package var started: Int { read { $0.started } }

    /// Lines that say nothing: there is to be none.
    package var malformed: [String] { read { $0.malformed } }

    /// Takes in what is new, whole lines only.
    private func read<Value>(_ look: (Reading) -> Value) -> Value {
        reading.withLock { reading in
            guard let file = FileHandle(forReadingAtPath: path) else { return look(reading) }
            defer { try? file.close() }
            try? file.seek(toOffset: reading.offset)
            let new = (try? file.readToEnd()) ?? Data()
            guard let end = new.lastIndex(of: UInt8(ascii: "\n")) else { return look(reading) }
            reading.offset += UInt64(end + 1 - new.startIndex)
            for line in String(decoding: new[...end], as: UTF8.self).split(separator: "\n") {
                guard let entry = Entry(line) else {
                    reading.malformed.append(String(line))
                    continue
                }
                reading.entries.append(entry)
                if entry.event == .start { reading.started += 1 }
                if entry.event == .end { reading.ended.insert(entry.job) }
            }
            return look(reading)
        }
    }

    /// The monotonic clock.
    package static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// What the monotonic clock showed when the clock of a Redis on this machine showed these milliseconds.
    package static func time(ofRedis milliseconds: Double) -> Int64 {
        now - Int64((Date().timeIntervalSince1970 - milliseconds / 1000) * 1e9)
    }
}

extension Ledger.Entry {
    fileprivate init?(_ line: Substring) {
        let words = line.split(separator: " ").map(String.init)
        guard words.count == 5, let event = Event(rawValue: words[0]), let pid = Int32(words[3]),
            let time = Int64(words[4])
        else { return nil }
        self.init(event: event, job: words[1], attempt: words[2], pid: pid, time: time)
    }
}
