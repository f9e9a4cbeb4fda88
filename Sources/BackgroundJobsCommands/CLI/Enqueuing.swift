import BackgroundJobs
import Foundation

/// Enqueues jobs of one class, up to a thousand in one call, and prints the IDs of each as soon as it is done, so that any
/// number of jobs takes no more memory than these.
struct Enqueuing {
    static let maximumDepth = 64
    /// The longest line: what arguments may have, and some space around them.
    private static let longestLine = 1 << 20
    private let batchCount: Int
    /// What is held of a file.
    private static let batchBytes = 4 << 20

    let manager: Manager
    let className: String
    let queue: String
    let delay: Duration?
    let time: Date?
    let options: JobOptions
    /// How many jobs were taken in, duplicates included.
    private var done = 0
    private var duplicates = 0
    /// How many of these have changed the job that holds the lock.
    private var replaced = 0
    /// What the arguments are read from.
    private var source = ""
    private var queued: Int { done - duplicates }

    init(manager: Manager, className: String, queue: String, delay: Duration?, time: Date?, options: JobOptions) {
        self.manager = manager
        self.className = className
        self.queue = queue
        self.delay = delay
        self.time = time
        self.options = options
        // Those with a lock take a call each in any case, and singly it is known of each whether it is queued.
        batchCount = options.unique == nil ? 1000 : 1
    }

    /// Enqueues jobs with the same arguments.
    mutating func copies(of arguments: String, _ count: Int) async throws {
        var bar = ProgressBar(total: count)
        defer { bar.end() }
        while done < count {
            let batch = min(batchCount, count - done)
            try await send(Array(repeating: arguments, count: batch), "\(batch)")
            if done < count { bar.show(done: done, count: done) }
        }
    }

    /// Enqueues a job for each line.
    mutating func lines(of path: String) async throws {
        let name = path == "-" ? "Standard input" : path
        source = name
        var reader: LineReader
        do {
            reader = try LineReader(path: path, limit: Self.longestLine)
        } catch {
            throw CommandFailure(code: 1, message: "\(name) can't be read: \(error.reason)")
        }
        var bar = ProgressBar(total: reader.size)
        defer { bar.end() }
        var batch: [String] = []
        var bytes = 0
        var number = 0
        var first = 1
        while let line = try next(&reader, number + 1) {
            number += 1
            guard !line.allSatisfy(Self.isSpace) else { continue }
            do throws(JSONScanner.Fault) {
                try JSONScanner.check(line, maximumDepth: Self.maximumDepth)
            } catch {
                throw stopped(code: 64, "Line \(number) of \(name), \(error).")
            }
            batch.append(String(decoding: line, as: UTF8.self))
            bytes += line.count
            guard batch.count == batchCount || bytes >= Self.batchBytes else { continue }
            try await send(batch, "lines \(first) to \(number)")
            bar.show(done: reader.bytesRead, count: done)
            (batch, bytes, first) = ([], 0, number + 1)
        }
        if !batch.isEmpty { try await send(batch, "lines \(first) to \(number)") }
    }

    private func next(_ reader: inout LineReader, _ number: Int) throws -> [UInt8]? {
        do {
            return try reader.next()
        } catch let error as LineReader.TooLong {
            throw stopped(
                code: 64,
                "Line \(number) has more than \(error.limit) bytes. Store large data elsewhere and pass a reference."
            )
        } catch let error as LineReader.Failed {
            throw stopped(code: 1, "\(source) could not be read on: \(error.reason).")
        }
    }

    /// Says how many of the IDs are those of other jobs.
    func tellDuplicates() {
        guard duplicates > 0 else { return }
        note(
            done == 1
                ? (replaced == 1 ? Self.replaced : Self.duplicate)
                : "\(duplicates) of \(done) are duplicates: their lines name the jobs that hold the locks"
                    + (replaced > 0 ? ", \(replaced) of which were changed." : ".")
        )
    }

    /// What is said of a single one.
    static let duplicate = "A duplicate, not queued: the ID is that of the job that holds the lock."

    static let replaced = "A duplicate: the job that holds the lock was changed in its stead, and the ID is that one's."

    private mutating func send(_ batch: [String], _ what: String) async throws {
        do {
            let handles = try await manager.enqueue(
                className,
                contentsOf: batch,
                in: delay,
                at: time,
                queue: queue,
                options: options
            )
            duplicates += handles.count(where: \.isDuplicate)
            replaced += handles.count(where: \.hasReplaced)
            try report(handles.map(\.id))
        } catch let error as BulkError {
            try report(error.queued)
            let failure = CommandFailure(error.cause)
            throw stopped(code: failure.code, failure.message ?? "", of: what)
        }
    }

    private mutating func report(_ ids: [String]) throws {
        guard !ids.isEmpty else { return }
        done += ids.count
        do {
            try StandardStream.output.write(ids.joined(separator: "\n") + "\n")
        } catch {
            throw stopped(code: 1, CommandFailure(error).message ?? "Nobody reads the IDs any more.")
        }
    }

    /// Why it went no further, and how far it came: what is queued stays queued.
    private func stopped(code: Int32, _ reason: String, of what: String? = nil) -> CommandFailure {
        guard queued > 0 else { return CommandFailure(code: code, message: reason) }
        let place = what.map { " at \($0)" } ?? ""
        return CommandFailure(code: code, message: "\(reason) It stopped\(place); \(queued) jobs are queued.")
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0D
    }
}
