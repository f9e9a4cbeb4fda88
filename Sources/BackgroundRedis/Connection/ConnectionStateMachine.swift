/// The life of a client's connection, without I/O, clock or chance.
///
/// ```
/// idle → connecting → handshaking → preparing → ready
///             ▲            │  ▲ ▲       │ ▲       │
///             │            │  │ └ loading ┘       │      any → ended
///             └─ backingOff ◀─┴──────────◀────────┘
/// ```
struct ConnectionStateMachine {
    /// The two things that Redis may be unable to do as yet on a connection that is worth keeping.
    enum Step: Hashable { case handshake, preparation }

    enum State: Hashable {
        /// Nobody has asked for a connection.
        case idle
        case connecting(failures: Int)
        case handshaking(failures: Int, pauses: Int)
        /// Connected to a Redis that is loading or busy; the step is repeated after a pause.
        case loading(Step, failures: Int, pauses: Int)
        case preparing(failures: Int, pauses: Int)
        /// Open to all. `failures` is what counts again if the connection breaks right away.
        case ready(failures: Int)
        case backingOff(failures: Int)
        case ended
    }

    enum Action: Hashable {
        case nothing
        case connect
        case shakeHands
        case prepare
        /// Let the commands through.
        case open
        /// Keep the connection, and report `pauseElapsed` after a random part of this time.
        case pause(upTo: Duration)
        /// Drop the connection, and report `backoffElapsed` after a random part of this time.
        case backOff(upTo: Duration)
        /// Drop the connection and never make another.
        case end
    }

    /// Why an attempt came to nothing, as far as it matters here.
    enum Failure: Hashable {
        case ordinary
        /// Wrong credentials or unusable files: final, unless it has worked before.
        case configuration
        /// Redis is loading or busy.
        case notYet
    }

    /// How many failures a handshake leaves remembered. Watchers take a worker for dead that has no connection for half a
    /// second, so one whose connections keep breaking must not pause for longer than 200 ms.
    private static let mostRemembered = 2

    private(set) var state = State.idle
    private(set) var hasShakenHands = false
    private let maximumBackoff: Duration

    init(maximumBackoff: Duration) {
        self.maximumBackoff = maximumBackoff
    }

    /// Somebody wants a connection.
    mutating func start() -> Action {
        switch state {
        case .idle:
            state = .connecting(failures: 0)
            return .connect
        case .connecting, .handshaking, .loading, .preparing, .ready, .backingOff, .ended:
            return .nothing
        }
    }

    mutating func connected() -> Action {
        switch state {
        case .connecting(let failures):
            state = .handshaking(failures: failures, pauses: 0)
            return .shakeHands
        case .idle, .handshaking, .loading, .preparing, .ready, .backingOff, .ended:
            return .nothing
        }
    }

    mutating func handshakeSucceeded() -> Action {
        switch state {
        case .handshaking(let failures, let pauses):
            hasShakenHands = true
            state = .preparing(failures: failures, pauses: pauses)
            return .prepare
        case .idle, .connecting, .loading, .preparing, .ready, .backingOff, .ended:
            return .nothing
        }
    }

    mutating func prepared() -> Action {
        switch state {
        case .preparing(let failures, _):
            state = .ready(failures: min(failures, Self.mostRemembered))
            return .open
        case .idle, .connecting, .handshaking, .loading, .ready, .backingOff, .ended:
            return .nothing
        }
    }

    /// The attempt under way failed, at whatever stage.
    mutating func attemptFailed(_ failure: Failure) -> Action {
        switch state {
        case .connecting(let failures):
            return fail(failure, failures)
        case .handshaking(let failures, let pauses):
            if failure == .notYet { return pause(.handshake, failures, pauses) }
            return fail(failure, failures)
        case .preparing(let failures, let pauses):
            if failure == .notYet { return pause(.preparation, failures, pauses) }
            return fail(failure, failures)
        case .loading(_, let failures, _):
            return fail(failure, failures)
        case .idle, .ready, .backingOff, .ended:
            return .nothing
        }
    }

    mutating func pauseElapsed() -> Action {
        switch state {
        case .loading(.handshake, let failures, let pauses):
            state = .handshaking(failures: failures, pauses: pauses)
            return .shakeHands
        case .loading(.preparation, let failures, let pauses):
            state = .preparing(failures: failures, pauses: pauses)
            return .prepare
        case .idle, .connecting, .handshaking, .preparing, .ready, .backingOff, .ended:
            return .nothing
        }
    }

    /// The ready connection broke.
    ///
    /// - Parameter afterSteadyTime: Whether it had lasted long enough for the failures before it to be forgotten. A
    ///   server that accepts and hangs up at once must not be called forty times a second; but whoever has shaken hands
    ///   is back within 200 ms, since a watcher takes a worker that is not for dead.
    mutating func lost(afterSteadyTime: Bool) -> Action {
        switch state {
        case .ready(let failures):
            return fail(.ordinary, afterSteadyTime ? 0 : min(failures, 2))
        case .idle, .connecting, .handshaking, .loading, .preparing, .backingOff, .ended:
            return .nothing
        }
    }

    mutating func backoffElapsed() -> Action {
        switch state {
        case .backingOff(let failures):
            state = .connecting(failures: failures)
            return .connect
        case .idle, .connecting, .handshaking, .loading, .preparing, .ready, .ended:
            return .nothing
        }
    }

    mutating func close() -> Action {
        switch state {
        case .idle, .connecting, .handshaking, .loading, .preparing, .ready, .backingOff:
            state = .ended
            return .end
        case .ended:
            return .nothing
        }
    }

    private mutating func fail(_ failure: Failure, _ failures: Int) -> Action {
        if failure == .configuration, !hasShakenHands {
            state = .ended
            return .end
        }
        state = .backingOff(failures: failures + 1)
        return .backOff(upTo: Self.ceiling(failures, maximumBackoff))
    }

    private mutating func pause(_ step: Step, _ failures: Int, _ pauses: Int) -> Action {
        state = .loading(step, failures: failures, pauses: pauses + 1)
        return .pause(upTo: Self.ceiling(pauses, min(maximumBackoff, .seconds(1))))
    }

    /// 50 ms, doubled for each failure before.
    static func ceiling(_ failures: Int, _ maximum: Duration) -> Duration {
        min(maximum, .milliseconds(50) * (1 << min(failures, 16)))
    }
}
