import NIOCore
import Synchronization

/// A pipeline on its way: who waits for how many replies.
struct Slot: Sendable {
    let commandCount: Int
    let byteCount: Int
    /// The session that it is bound to, 0 for any.
    let session: UInt64
    /// Since when it has waited, for a connection or, once written, for its replies.
    var since: NIODeadline
    /// Whether it counts as pending; what the client sends for itself does not.
    let isCounted: Bool
    let sink: ReplySink
}

/// What waits to be written, and whether it may be.
///
/// This is one half of group commit: any thread appends under the lock, and only the push that finds the mailbox empty
/// has the event loop take it all. The other half is ``ConnectionDriver/drain()``.
final class Mailbox: Sendable {
    enum Gate {
        /// There is no connection to write to; what comes waits. → open, ended
        case shut
        /// → shut, ended
        case open(RedisSession)
        /// Nothing can be sent any more, for this reason.
        case ended(RedisError)
    }

    enum Verdict {
        case queued
        /// Queued, and the event loop has to be told.
        case queuedFirst
        case refused(RedisError)
    }

    fileprivate struct State {
        var gate = Gate.shut
        /// The number of the session the gate is open to, else 0.
        var session: UInt64 = 0
        var bytes = ByteBuffer()
        var slots: [Slot] = []
        /// The commands that were pushed and not answered yet.
        var pending = 0
        var lastError: RedisError?
        var waiters: [UInt64: Readiness] = [:]
        var nextWaiter: UInt64 = 0
    }

    typealias Readiness = UnsafeContinuation<Result<Void, RedisError>, Never>

    private let state = Mutex(State())
    private let maximumPending: Int

    init(maximumPending: Int) {
        self.maximumPending = maximumPending
    }

    // MARK: any thread

    /// Appends a pipeline, unless it cannot go out.
    ///
    /// - Parameter session: The session that it is bound to, nil for any.
    func push(_ pipeline: Pipeline, session: UInt64?, sink: ReplySink) -> Verdict {
        state.withLock { state in
            switch state.gate {
            case .ended(let error): return .refused(error.with(fate: .notSent))
            case .open, .shut: break
            }
            if let session, session != state.session || session == 0 { return .refused(Self.sessionOver(session)) }
            guard state.pending + pipeline.commandCount <= maximumPending else { return .refused(overloaded) }
            state.pending += pipeline.commandCount
            state.bytes.writeBytes(pipeline.bytes)
            state.slots.append(
                Slot(
                    commandCount: pipeline.commandCount,
                    byteCount: pipeline.byteCount,
                    session: session ?? 0,
                    since: state.session == 0 ? .now() : .distantFuture,
                    isCounted: true,
                    sink: sink
                )
            )
            return state.slots.count == 1 ? .queuedFirst : .queued
        }
    }

    var session: RedisSession? {
        state.withLock { state in
            if case .open(let session) = state.gate { return session }
            return nil
        }
    }

    var hasEnded: Bool {
        state.withLock { state in
            if case .ended = state.gate { return true }
            return false
        }
    }

    var lastError: RedisError? { state.withLock { $0.lastError } }

    /// Has the continuation resumed when the gate opens or the client ends; at once if either is so.
    ///
    /// - Returns: A number by which it can be given up before, 0 if it has been resumed.
    func addWaiter(_ continuation: Readiness) -> UInt64 {
        let (number, result): (UInt64, Result<Void, RedisError>?) = state.withLock { state in
            switch state.gate {
            case .open: return (0, .success(()))
            case .ended(let error): return (0, .failure(error))
            case .shut:
                state.nextWaiter += 1
                state.waiters[state.nextWaiter] = continuation
                return (state.nextWaiter, nil)
            }
        }
        if let result { continuation.resume(returning: result) }
        return number
    }

    func giveUpWaiter(_ number: UInt64, _ error: RedisError) {
        let continuation = state.withLock { $0.waiters.removeValue(forKey: number) }
        continuation?.resume(returning: .failure(error))
    }

    // MARK: the event loop

    func open(_ session: RedisSession) {
        let waiters = state.withLock { state in
            state.gate = .open(session)
            state.session = session.number
            state.lastError = nil
            defer { state.waiters = [:] }
            return state.waiters
        }
        for waiter in waiters.values { waiter.resume(returning: .success(())) }
    }

    /// Shuts the gate after a connection broke or an attempt failed.
    ///
    /// - Parameter failingAll: Whether all that waits has waited in vain, or only what is bound to the session that
    ///   is over. The rest stays for the next connection.
    /// - Returns: What cannot be sent any more. It is found under the same lock under which a bound command is let in,
    ///   so that none can slip onto another connection.
    func shut(_ error: RedisError, failingAll: Bool) -> [Slot] {
        state.withLock { state in
            state.gate = .shut
            state.session = 0
            state.lastError = error
            let now = NIODeadline.now()
            return state.remove { slot in
                if failingAll || slot.session != 0 { return true }
                slot.since = min(slot.since, now)
                return false
            }
        }
    }

    /// Ends the mailbox for good and returns what was in it.
    func end(_ error: RedisError) -> [Slot] {
        let (slots, waiters) = state.withLock { state in
            state.gate = .ended(error)
            state.session = 0
            state.lastError = error
            defer { state.waiters = [:] }
            return (state.remove { _ in true }, state.waiters)
        }
        for waiter in waiters.values { waiter.resume(returning: .failure(error)) }
        return slots
    }

    /// Exchanges the content for two empty buffers, if the gate is open.
    func take(_ bytes: inout ByteBuffer, _ slots: inout [Slot]) -> Bool {
        state.withLock { state in
            guard state.session != 0, !state.slots.isEmpty else { return false }
            swap(&state.bytes, &bytes)
            swap(&state.slots, &slots)
            return true
        }
    }

    /// Takes out what has waited for a connection since before `limit`.
    ///
    /// - Returns: It, and since when the oldest of the others has waited.
    func expire(_ limit: NIODeadline) -> (expired: [Slot], oldest: NIODeadline?) {
        state.withLock { state in
            guard state.session == 0 else { return ([], nil) }
            return (state.remove { $0.since <= limit }, state.slots.map(\.since).min())
        }
    }

    func answered(_ commandCount: Int) {
        state.withLock { $0.pending -= commandCount }
    }

    // MARK: errors

    static func sessionOver(_ number: UInt64) -> RedisError {
        RedisError(
            .connectionLost,
            "The connection that the command was meant for, session \(number), is over."
        )
    }

    private var overloaded: RedisError {
        RedisError(.overloaded, "\(maximumPending) commands await their replies already. Send less at a time, or wait.")
    }
}

extension Mailbox.State {
    /// Removes slots with their bytes; they are no longer pending.
    fileprivate mutating func remove(where isRemoved: (inout Slot) -> Bool) -> [Slot] {
        var removed: [Slot] = []
        var kept: [Slot] = []
        var keptBytes = ByteBuffer()
        for var slot in slots {
            let slotBytes = bytes.readSlice(length: slot.byteCount) ?? ByteBuffer()
            if isRemoved(&slot) {
                removed.append(slot)
                pending -= slot.commandCount
            } else {
                kept.append(slot)
                keptBytes.writeImmutableBuffer(slotBytes)
            }
        }
        slots = kept
        bytes = keptBytes
        return removed
    }
}
