import Foundation
import TestSupport

/// strace, with which a process is killed at a system call of choice.
struct Tracer: Sendable {
    private let path: String

    /// Those between which something has changed for others: what is written, received, awaited, and told to other threads. (What
    /// the loader reads at the start, by `read`, would hide the reads of the other threads, and none of them is far from an
    /// `epoll_wait`.)
    private static let calls = [
        "write", "writev", "sendto", "sendmsg", "recvfrom", "recvmsg", "epoll_wait", "epoll_pwait", "epoll_ctl",
        "connect", "futex",
        "timerfd_settime", "shutdown", "exit_group",
    ]

    /// Nil where there is none, or it may not trace.
    static func find() async throws -> Tracer? {
        guard let path = Program.find("strace") else { return nil }
        let tracer = Tracer(path: path)
        let attempt = try tracer.start("bg-cli", ["--version"], killedAt: nil)
        return try await attempt.program.exit() == .status(0) ? tracer : nil
    }

    /// Starts a program that was built beside this one.
    ///
    /// - Parameter point: where it is killed, before the call is made; nil: it is only written down which calls it makes.
    func start(_ name: String, _ arguments: [String], killedAt point: CrashPoint?) throws -> (
        program: Program, trace: Trace
    ) {
        let trace = Trace()
        let known = "?" + Self.calls.joined(separator: ",?")
        var words = [path, "-f", "-o", trace.path, "-e", "trace=\(known)"]
        if let point { words += ["-e", "inject=\(point.call):signal=KILL:when=\(point.number)"] }
        // It is a process of strace's, so it would outlive this one; but not for long.
        let program = try Program(name, arguments, under: words, limits: ["-t 30"])
        return (program, trace)
    }

    /// What strace has written down of a process.
    final class Trace: Sendable {
        fileprivate let path = Files.path("trace")

        deinit { Files.remove(path) }

        private var lines: [Substring] {
            let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
            return text.split(separator: "\n")
        }

        /// How often a thread has made each call at most.
        var counts: [String: Int] {
            var counts: [String: [Substring: Int]] = [:]
            for line in lines {
                let words = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
                guard words.count == 2 else { continue }
                let call = words[1].drop { $0 == " " }.prefix { $0.isLetter || $0 == "_" || $0.isNumber }
                guard !call.isEmpty, words[1].drop(while: { $0 == " " }).dropFirst(call.count).first == "(" else {
                    continue
                }
                counts[String(call), default: [:]][words[0], default: 0] += 1
            }
            return counts.compactMapValues { $0.values.max() }
        }

        /// Sends a signal to the process itself.
        func signal(_ number: Int32) {
            guard let first = lines.first?.split(separator: " ").first, let pid = Int32(first) else { return }
            kill(pid, number)
        }
    }
}
