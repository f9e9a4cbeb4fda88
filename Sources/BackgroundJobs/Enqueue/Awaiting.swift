import Synchronization

/// How a producer hears how jobs have ended: by a list of notes of its own.
package protocol NoteSource: Sendable {
    /// What is noted with the jobs that are awaited.
    var listener: Listener { get }
    /// Begins to listen, unless it does. It listens as long as anything is awaited, and asks again for all that is, now and
    /// then and after each loss of its connection.
    func listen(for host: any NoteHost)
    func close() async
}

/// Whom a ``NoteSource`` tells.
package protocol NoteHost: AnyObject, Sendable {
    /// The jobs that are awaited.
    var awaited: [String] { get }
    /// Whether there are any.
    var isAwaiting: Bool { get }
    func heard(_ end: JobEnd)
    /// Nothing can be heard of this job.
    func failed(_ job: String, _ error: BackgroundError)
    /// Nothing can be heard.
    func failed(_ error: BackgroundError)
}

/// The tasks that await the ends of jobs. They share one connection that waits, whatever their number.
final class Awaiting: NoteHost {
    private struct State {
        var waiting: [String: [ObjectIdentifier: Waiter]] = [:]
        var isClosed = false
    }

    private let store: any Store
    private let source: any NoteSource
    private let state = Mutex(State())

    init(store: any Store, source: any NoteSource) {
        self.store = store
        self.source = source
    }

    /// Waits for the end of a job.
    func end(of job: String, within limit: Duration?) async throws -> JobEnd {
        guard let limit else { return try await end(of: job) }
        return try await withThrowingTaskGroup(of: JobEnd.self) { group in
            group.addTask { try await self.end(of: job) }
            group.addTask {
                try await Task.sleep(for: limit)
                throw BackgroundError(.timedOut, "Job \(job) has not ended within \(limit). It goes on.")
            }
            defer { group.cancelAll() }
            guard let end = try await group.next() else { throw CancellationError() }
            return end
        }
    }

    private func end(of job: String) async throws -> JobEnd {
        let waiter = Waiter()
        let isOpen = state.withLock { state in
            if !state.isClosed { state.waiting[job, default: [:]][ObjectIdentifier(waiter)] = waiter }
            return !state.isClosed
        }
        guard isOpen else { throw BackgroundError(.unavailable, "The manager has been closed.") }
        defer { forget(job, waiter) }
        source.listen(for: self)
        if let end = try await ask(job) { return end }
        return try await waiter.value()
    }

    /// How the job has ended; nil: it has not, or the source is going to ask. As long as Redis answers nobody it is asked again.
    private func ask(_ job: String) async throws -> JobEnd? {
        while true {
            do throws(BackgroundError) {
                return try await store.ends(of: [job], for: source.listener)[0]
            } catch {
                if Task.isCancelled { throw CancellationError() }
                // A connection that broke is made again, and then the source asks for all.
                if error.isOfConnection { return nil }
                guard error.maySoonBeAnswered else { throw error }
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    private func forget(_ job: String, _ waiter: Waiter) {
        state.withLock { state in
            state.waiting[job]?[ObjectIdentifier(waiter)] = nil
            if state.waiting[job]?.isEmpty == true { state.waiting[job] = nil }
        }
    }

    func close() async {
        let waiting = state.withLock { state in
            state.isClosed = true
            return state.waiting.values.flatMap(\.values)
        }
        for waiter in waiting { waiter.resolve(.failure(BackgroundError(.unavailable, "The manager was closed."))) }
        await source.close()
    }

    // MARK: What the source tells

    var isAwaiting: Bool { state.withLock { !$0.waiting.isEmpty } }

    var awaited: [String] { state.withLock { Array($0.waiting.keys) } }

    func heard(_ end: JobEnd) {
        for waiter in state.withLock({ $0.waiting.removeValue(forKey: end.job)?.values.map(\.self) ?? [] }) {
            waiter.resolve(.success(end))
        }
    }

    func failed(_ job: String, _ error: BackgroundError) {
        for waiter in state.withLock({ $0.waiting[job]?.values.map(\.self) ?? [] }) { waiter.resolve(.failure(error)) }
    }

    func failed(_ error: BackgroundError) {
        for waiter in state.withLock({ $0.waiting.values.flatMap(\.values) }) { waiter.resolve(.failure(error)) }
    }
}

/// One task that waits.
private final class Waiter: Sendable {
    private struct State {
        var result: Result<JobEnd, any Error>?
        var continuation: CheckedContinuation<JobEnd, any Error>?
    }

    private let state = Mutex(State())

    func value() async throws -> JobEnd {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result = state.withLock { state in
                    if state.result == nil { state.continuation = continuation }
                    return state.result
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            resolve(.failure(CancellationError()))
        }
    }

    /// The first result counts.
    func resolve(_ result: Result<JobEnd, any Error>) {
        let continuation = state.withLock { state in
            guard state.result == nil else { return nil as CheckedContinuation<JobEnd, any Error>? }
            state.result = result
            defer { state.continuation = nil }
            return state.continuation
        }
        continuation?.resume(with: result)
    }
}
