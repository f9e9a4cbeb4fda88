/// The first commands on every connection, and what their replies mean.
struct Handshake {
    enum Outcome {
        case done(clientID: Int64)
        /// Redis is loading or busy: the same may succeed on this connection a little later.
        case notYet(RedisError)
        /// Wrong credentials or too few permissions.
        case refused(RedisError)
        case failed(RedisError)
    }

    private enum Step: String {
        case authenticate = "AUTH"
        case select = "SELECT"
        case setName = "CLIENT SETNAME"
        case identify = "CLIENT ID"
    }

    private let steps: [Step]
    private let url: RedisURL
    let pipeline: Pipeline

    init(_ configuration: RedisConfiguration) {
        url = configuration.url
        var steps: [Step] = []
        var pipeline = Pipeline()
        if let password = url.password {
            steps.append(.authenticate)
            pipeline.command(url.user.map { ["AUTH", $0, password] } ?? ["AUTH", password])
        }
        // The name goes before all that a loading Redis might refuse: a worker is alive once it has named itself.
        if let name = configuration.clientName {
            steps.append(.setName)
            pipeline.command("CLIENT", "SETNAME", name)
        }
        if url.database != 0 {
            steps.append(.select)
            pipeline.command("SELECT", String(url.database))
        }
        steps.append(.identify)
        pipeline.command("CLIENT", "ID")
        self.steps = steps
        self.pipeline = pipeline
    }

    func outcome(of replies: [RESPValue]) -> Outcome {
        for (step, reply) in zip(steps, replies) {
            if case .error(let text) = reply { return failure(of: step, text) }
        }
        guard let clientID = replies.last?.int else {
            return .failed(RESPReader.violation("CLIENT ID was not answered with a number"))
        }
        return .done(clientID: clientID)
    }

    /// What an error reply means that came in the place of any of the replies.
    func failure(ofFirstStep reply: String) -> RedisError {
        switch failure(of: steps[0], reply) {
        case .notYet(let error), .refused(let error), .failed(let error): error
        case .done: RESPReader.violation("an error that is none")
        }
    }

    private func failure(of step: Step, _ reply: String) -> Outcome {
        let error = RedisError.server(reply)
        let code = error.serverCode ?? ""
        if ServerErrorAdvice.isPassing(code) { return .notYet(error) }
        // Sent in place of the first reply, by a server that then hangs up.
        let isUnrelated = code == "DENIED" || reply.contains("max number of clients")
        switch (step, code) {
        case _ where isUnrelated:
            return .failed(RedisError(.connectFailed, error.message, serverCode: code))
        case (.authenticate, _):
            let text = mayBeShown(reply) ? reply : "an error"
            let account = url.user.map { "user \($0)" } ?? "password"
            return .refused(
                RedisError(
                    .authenticationFailed,
                    "Redis at \(url) refused the \(account): “\(text)”. Check the user and the password in the URL.",
                    serverCode: code
                )
            )
        case (_, "NOAUTH"), (_, "WRONGPASS"), (_, "NOPERM"):
            let rights = code == "NOPERM" ? " SELECT, CLIENT SETNAME and CLIENT ID must be allowed." : ""
            return .refused(
                RedisError(
                    .authenticationFailed,
                    "\(step.rawValue) failed on \(url). \(error.message)\(rights)",
                    serverCode: code
                )
            )
        case (.select, _), (.setName, _), (.identify, _):
            return .failed(
                RedisError(.connectFailed, "\(step.rawValue) failed on \(url). \(error.message)", serverCode: code)
            )
        }
    }

    /// A server that does not know AUTH repeats its arguments.
    private func mayBeShown(_ reply: String) -> Bool {
        guard let password = url.password, !password.isEmpty else { return true }
        return !reply.contains(password)
    }
}
