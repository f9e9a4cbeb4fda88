import Foundation
import Synchronization
import TestSupport

/// What programs that live long take of memory and file descriptors, and Redis of memory, once a second.
final class Vitals: Sendable {
    private let samples = Samples()
    private let task: Task<Void, any Error>

    init(_ stage: Stage, worker: Program, watcher: Program) {
        let begin = ContinuousClock.now
        task = Task { [samples] in
            while true {
                let minutes = begin.duration(to: .now) / .seconds(60)
                for (name, pid) in [("worker", worker.pid), ("watcher", watcher.pid)] {
                    samples.add("\(name) memory", minutes, Self.memory(of: pid))
                    samples.add("\(name) descriptors", minutes, Self.descriptors(of: pid))
                }
                // It may be away.
                if let info = try? await stage.records("INFO", "memory").text {
                    samples.add("Redis memory", minutes, Self.used(info))
                }
                try await Task.sleep(for: .seconds(1))
            }
        }
    }

    func stop() async {
        task.cancel()
        _ = await task.result
    }

    /// The slopes after the first six tenths: until then everything grows to its size, as Redis keeps the hash of a trimmed job for
    /// five minutes. So their bounds are for runs of ten minutes or more.
    func tell(_ run: DrillRun) {
        let isLong = run.isFull
        // Of a program only where there is /proc, but Redis tells it everywhere.
        run.figure("looks at Redis's memory", samples.count("Redis memory"), atLeast: isLong ? 300 : 1)
        #if os(Linux)
        run.figure("looks at the worker's memory", samples.count("worker memory"), atLeast: isLong ? 300 : 1)
        #endif
        for (name, bound) in [("worker memory", 0.5), ("watcher memory", 0.5), ("Redis memory", 0.5)] {
            run.figure("\(name), last", samples.last(name) / 1_048_576, "MiB")
            let slope = samples.slope(name) / 1_048_576
            run.figure("\(name), slope", slope, "MiB/min", atMost: isLong ? bound : nil)
        }
        for name in ["worker descriptors", "watcher descriptors"] {
            run.figure("\(name), last", samples.last(name), "")
            run.figure("\(name), slope", samples.slope(name), "1/min", atMost: isLong ? 0.5 : nil)
        }
    }

    /// Bytes of memory that a process has resident; nothing where that can't be told.
    private static func memory(of pid: Int32) -> Double? {
        let pages = try? String(contentsOfFile: "/proc/\(pid)/statm", encoding: .utf8).split(separator: " ")
        return pages.flatMap { Double($0[1]) }.map { $0 * Double(sysconf(Int32(_SC_PAGESIZE))) }
    }

    private static func descriptors(of pid: Int32) -> Double? {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd")).map { Double($0.count) }
    }

    private static func used(_ info: String) -> Double? {
        info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("used_memory:") }.flatMap {
            Double($0.dropFirst(12))
        }
    }
}

private final class Samples: Sendable {
    private let all = Mutex<[String: [(time: Double, value: Double)]]>([:])

    func add(_ name: String, _ time: Double, _ value: Double?) {
        if let value { all.withLock { $0[name, default: []].append((time, value)) } }
    }

    func count(_ name: String) -> Int { all.withLock { $0[name]?.count ?? 0 } }

    func last(_ name: String) -> Double { all.withLock { $0[name]?.last?.value ?? 0 } }

    /// By least squares.
    func slope(_ name: String) -> Double {
        let samples = all.withLock { $0[name] ?? [] }
        let late = samples.dropFirst(samples.count * 6 / 10)
        guard late.count > 1 else { return 0 }
        let time = late.map(\.time).reduce(0, +) / Double(late.count)
        let value = late.map(\.value).reduce(0, +) / Double(late.count)
        let squares = late.map { ($0.time - time) * ($0.time - time) }.reduce(0, +)
        return late.map { ($0.time - time) * ($0.value - value) }.reduce(0, +) / squares
    }
}
