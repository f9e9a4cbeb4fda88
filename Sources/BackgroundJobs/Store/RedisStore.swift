package import BackgroundRedis
import NIOCore
import Synchronization

/// The store that speaks to Redis: each verb is one script, a plain enqueue one transaction.
package final class RedisStore: Store {
    package let client: RedisClient
    package let keys: Keys
    package let scripts: Scripts
    /// How long an enqueue waits for Redis to come back.
    let patience: Duration
    let clock = ServerClock()
    private let digests = Mutex<[Script: String]>([:])

    package init(
        client: RedisClient,
        namespace: String,
        scripts: Scripts = Scripts(),
        patience: Duration = .seconds(1)
    ) {
        self.client = client
        self.keys = Keys(namespace: namespace)
        self.scripts = scripts
        self.patience = patience
    }

    /// Sends commands and returns one value for each; error replies are values here.
    package func send(_ pipeline: Pipeline, session: UInt64? = nil) async throws(BackgroundError) -> [RESPValue] {
        if let session { return try await send(pipeline, boundTo: session) }
        do {
            return try await client.send(pipeline)
        } catch {
            throw BackgroundError(error)
        }
    }

    /// Sends commands in the name of a worker's connection. The caller's cancellation does not end the wait, since a
    /// worker that is cancelled has its last reports to make; the command time-out does.
    private func send(_ pipeline: Pipeline, boundTo session: UInt64) async throws(BackgroundError) -> [RESPValue] {
        let replies: Result<[RESPValue], RedisError> = await withUnsafeContinuation { continuation in
            client.send(pipeline, session: session) { continuation.resume(returning: $0) }
        }
        do {
            return try replies.get()
        } catch {
            throw BackgroundError(error)
        }
    }

    /// Sends one command and returns its reply; an error reply is thrown.
    @discardableResult
    package func send(_ parts: String...) async throws(BackgroundError) -> RESPValue {
        var pipeline = Pipeline()
        pipeline.command(parts)
        return try await send(pipeline)[0].orThrow()
    }

    /// Runs a script; one that Redis has forgotten (a restart, SCRIPT FLUSH) is loaded and run again.
    ///
    /// - Parameters:
    ///   - arguments: how many `append` adds behind the namespace.
    package func run(
        _ script: Script,
        session: UInt64? = nil,
        arguments: Int,
        _ append: (inout Pipeline) -> Void
    ) async throws(BackgroundError) -> RESPValue {
        if digests.withLock({ $0[script] }) == nil {
            remember([script], [try await send(loading([script]), session: session)[0].orThrow().text ?? ""])
        }
        let digest = digests.withLock { $0[script] ?? "" }
        var pipeline = call(script, digest, arguments: arguments, append)
        var loads = 0
        while true {
            let reply = try await send(pipeline, session: session).last ?? .null
            guard case .error(let text) = reply, text.hasPrefix("NOSCRIPT"), loads < 100 else {
                return try reply.orThrow()
            }
            // Loaded in the same breath, so that whoever flushes the scripts all the time hardly ever comes between.
            pipeline = loading([script])
            pipeline.append(contentsOf: call(script, digest, arguments: arguments, append))
            loads += 1
        }
    }

    /// The same without a task: what comes of it is told on the event loop. The script has to have been loaded before.
    func run(
        _ script: Script,
        session: UInt64?,
        arguments: Int,
        _ append: (inout Pipeline) -> Void,
        completion: @escaping @Sendable (Result<RESPValue, BackgroundError>) -> Void
    ) {
        guard let call = call(script, arguments: arguments, append) else {
            let error = BackgroundError(.unavailable, "There has been no connection to Redis yet.")
            return client.eventLoop.execute { completion(.failure(error)) }
        }
        send(call, of: script, session: session, loads: 0, completion)
    }

    private func send(
        _ call: Pipeline,
        of script: Script,
        session: UInt64?,
        loads: Int,
        _ completion: @escaping @Sendable (Result<RESPValue, BackgroundError>) -> Void
    ) {
        var pipeline = call
        if loads > 0 {
            pipeline = loading([script])
            pipeline.append(contentsOf: call)
        }
        client.send(pipeline, session: session) { [self] result in
            switch result {
            case .success(let replies):
                if case .error(let text)? = replies.last, text.hasPrefix("NOSCRIPT"), loads < 10 {
                    return send(call, of: script, session: session, loads: loads + 1, completion)
                }
                do throws(BackgroundError) {
                    completion(.success(try (replies.last ?? .null).orThrow()))
                } catch {
                    completion(.failure(error))
                }
            case .failure(let error):
                completion(.failure(BackgroundError(error)))
            }
        }
    }

    /// The call of a script that is known to have been loaded, as bytes; nil if it has not.
    func call(_ script: Script, arguments: Int, _ append: (inout Pipeline) -> Void) -> Pipeline? {
        digests.withLock { $0[script] }.map { call(script, $0, arguments: arguments, append) }
    }

    func loading(_ scripts: [Script]) -> Pipeline {
        var pipeline = Pipeline()
        for script in scripts { pipeline.command("SCRIPT", "LOAD", script.source) }
        return pipeline
    }

    func remember(_ scripts: [Script], _ loaded: [String]) {
        digests.withLock { for (script, digest) in zip(scripts, loaded) { $0[script] = digest } }
    }

    private func call(
        _ script: Script,
        _ digest: String,
        arguments: Int,
        _ append: (inout Pipeline) -> Void
    ) -> Pipeline {
        var pipeline = Pipeline()
        pipeline.begin(argumentCount: 5 + arguments)
        pipeline.append("EVALSHA")
        pipeline.append(digest)
        pipeline.append(1)
        pipeline.append(keys.queues)
        pipeline.append(keys.namespace)
        append(&pipeline)
        return pipeline
    }
}

extension RESPValue {
    /// The value, or the error that the reply is.
    package func orThrow() throws(BackgroundError) -> RESPValue {
        if case .error(let text) = self { throw BackgroundError(RedisError.server(text)) }
        return self
    }
}

extension BackgroundError {
    /// An error of the connection in the terms of the library's users.
    package init(_ error: RedisError) {
        let code: Code =
            switch error.code {
            case .invalidURL, .overloaded: error.code == .invalidURL ? .invalidArgument : .unavailable
            case .authenticationFailed: .notPermitted
            case .server: ["NOPERM", "NOAUTH", "WRONGPASS"].contains(error.serverCode) ? .notPermitted : .refused
            default: error.fate == .unknown ? .unknownFate : .unavailable
            }
        self.init(code, error.message, cause: error)
    }
}
