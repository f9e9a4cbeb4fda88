import NIOCore
import Synchronization

/// Who gets the replies to a pipeline.
enum ReplySink: Sendable {
    typealias Replies = Result<[RESPValue], RedisError>

    case nobody
    case closure(@Sendable (Replies) -> Void)
    case task(ReplyWaiter)
    case promise(EventLoopPromise<[RESPValue]>)

    func deliver(_ replies: Replies) {
        switch self {
        case .nobody: break
        case .closure(let closure): closure(replies)
        case .task(let waiter): waiter.complete(replies)
        case .promise(let promise): promise.completeWith(replies.mapError { $0 as any Error })
        }
    }
}

/// A task that waits for replies, and may be cancelled meanwhile: whichever comes first resumes it, once.
final class ReplyWaiter: Sendable {
    typealias Continuation = UnsafeContinuation<ReplySink.Replies, Never>

    private enum State {
        /// Not waiting yet. → waiting, done
        case fresh
        /// → done
        case waiting(Continuation)
        case done
    }

    private let state = Mutex(State.fresh)

    /// Makes the continuation the one to resume.
    ///
    /// - Returns: false if the task was cancelled before; then the caller resumes it.
    func install(_ continuation: Continuation) -> Bool {
        state.withLock { state in
            guard case .fresh = state else { return false }
            state = .waiting(continuation)
            return true
        }
    }

    func complete(_ replies: ReplySink.Replies) {
        let continuation: Continuation? = state.withLock { state in
            defer { state = .done }
            if case .waiting(let continuation) = state { return continuation }
            return nil
        }
        continuation?.resume(returning: replies)
    }

    func cancel(fate: RedisError.Fate) {
        complete(.failure(.cancelled(fate: fate)))
    }
}

extension RedisError {
    static func cancelled(fate: Fate) -> RedisError {
        RedisError(.cancelled, "The task that sent the command was cancelled.", fate: fate, cause: CancellationError())
    }
}
