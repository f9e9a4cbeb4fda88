import BackgroundJobs
import Foundation

/// A job that is witnessed by the ledger.
protocol LedgerJob: Job {
    func work() async throws
}

extension LedgerJob {
    func perform(_ context: JobContext) async throws {
        LedgerFile.append("start", context)
        do {
            try await work()
        } catch is CancellationError {
            LedgerFile.append("cut", context)
            LedgerFile.tellWhy(context)
            throw CancellationError()
        } catch {
            LedgerFile.append("end", context)
            throw error
        }
        LedgerFile.append("end", context)
    }
}

struct Instant: LedgerJob {
    func work() async throws {}
}

/// Waits as a job does that waits for others, and ends when it is cancelled.
struct Sleeping: LedgerJob {
    var ms: Double

    func work() async throws { try await Task.sleep(for: .milliseconds(ms)) }
}

/// Holds its thread and the processor.
struct Spinning: LedgerJob {
    var ms: Double

    func work() async throws {
        let end = ContinuousClock.now + .milliseconds(ms)
        while ContinuousClock.now < end {}
    }
}

/// Holds its thread and the processor, until it is cancelled.
struct Obeying: LedgerJob {
    func work() async throws {
        while !Task.isCancelled {}
        throw CancellationError()
    }
}

/// Holds its thread and ignores its cancellation.
struct Blocking: LedgerJob {
    var ms: Double

    func work() async throws { Self.block(ms) }

    private static func block(_ ms: Double) {
        let end = ContinuousClock.now + .milliseconds(ms)
        while ContinuousClock.now < end { usleep(10_000) }
    }
}

struct Failing: LedgerJob {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    var message: String

    func work() async throws { throw Failure(description: message) }
}

/// Fails so many times, and then succeeds.
struct Flaky: Job {
    var ms: Double
    var fails: Int

    struct NotYet: Error {}

    func perform(_ context: JobContext) async throws {
        LedgerFile.append("start", context)
        try await Task.sleep(for: .milliseconds(ms))
        if context.failures < fails {
            LedgerFile.append("cut", context)
            throw NotYet()
        }
        LedgerFile.append("end", context)
    }
}

struct Trapping: LedgerJob {
    func work() async throws { fatalError("a job that traps") }
}

/// Uses up its stack.
struct Overflowing: LedgerJob {
    func work() async throws { _ = Self.descend(1) }

    private static func descend(_ depth: Int) -> Int {
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { bytes in
            bytes.storeBytes(of: depth, as: Int.self)
            return depth == .max ? 0 : descend(depth + 1) + bytes.load(as: Int.self) % 2
        }
    }
}

/// Takes memory until there is none: for a process whose memory is limited.
struct Exhausting: LedgerJob {
    func work() async throws {
        for _ in 0..<1000 {
            let size = 32 << 20
            memset(UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16), 1, size)
        }
    }
}

/// The file that the tests read; nothing where the variable is not set.
enum LedgerFile {
    private static let descriptor: Int32 = {
        guard let path = ProcessInfo.processInfo.environment["BG_LEDGER"] else { return -1 }
        return open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
    }()

    /// Why a job was cancelled, in a file beside the ledger.
    static func tellWhy(_ context: JobContext) {
        guard let path = ProcessInfo.processInfo.environment["BG_LEDGER"],
            let file = fopen(path + ".why", "a")
        else { return }
        fputs("\(context.jobID) \(context.cancellation?.rawValue ?? "-")\n", file)
        fclose(file)
    }

    static func append(_ event: String, _ context: JobContext) {
        guard descriptor >= 0 else { return }
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let nanoseconds = Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        let line = "\(event) \(context.jobID) \(context.attemptID) \(getpid()) \(nanoseconds)\n"
        // One write of a short line to a file opened with O_APPEND is whole, whoever else writes to it.
        _ = line.utf8.withContiguousStorageIfAvailable { write(descriptor, $0.baseAddress, $0.count) }
    }
}
