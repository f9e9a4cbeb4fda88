import BackgroundRedis

extension RedisStore {
    package func exchange(
        _ finishes: [Finish],
        _ claim: Claim,
        as voucher: Voucher
    ) async throws(BackgroundError) -> Exchange {
        let request = ExchangeRequest(finishes, claim, as: voucher)
        let reply = try await run(scripts.exchange, session: voucher.session, arguments: request.argumentCount) {
            request.append(to: &$0)
        }
        return try Exchange(reply, order: request.order)
    }

    /// The same without a task.
    ///
    /// - Parameter completion: is called on the event loop with what reads the answer.
    func exchange(
        _ finishes: [Finish],
        _ claim: Claim,
        as voucher: Voucher,
        completion: @escaping @Sendable (@escaping @Sendable () throws(BackgroundError) -> Exchange) -> Void
    ) {
        let request = ExchangeRequest(finishes, claim, as: voucher)
        run(scripts.exchange, session: voucher.session, arguments: request.argumentCount) {
            request.append(to: &$0)
        } completion: { [order = request.order] reply in
            completion { () throws(BackgroundError) in try Exchange(try reply.get(), order: order) }
        }
    }

    package func adopt(_ adoption: Adoption, as voucher: Voucher) async throws(BackgroundError) -> Adopted {
        let reply = try await run(scripts.adopt, session: voucher.session, arguments: adoption.argumentCount) {
            adoption.append(to: &$0, as: voucher)
        }
        return try Adopted(reply, of: adoption)
    }

    package func recover(_ jobs: [String], in queue: String) async throws(BackgroundError) -> [String] {
        let reply = try await run(scripts.recover, arguments: 1 + jobs.count) { pipeline in
            pipeline.append(queue)
            for job in jobs { pipeline.append(job) }
        }
        return (reply.array ?? []).compactMap(\.text)
    }
}

/// The arguments of an exchange.
private struct ExchangeRequest: Sendable {
    private let finishes: [Finish]
    private let claim: Claim
    private let voucher: Voucher
    /// The index of each finish, in the order in which the script is given them: those that completed come first, by queue.
    let order: [Int]
    /// Of each queue those that completed.
    private let completed: [(queue: String, indices: [Int])]
    /// All others.
    private let others: [Int]

    init(_ finishes: [Finish], _ claim: Claim, as voucher: Voucher) {
        self.finishes = finishes
        self.claim = claim
        self.voucher = voucher
        var completed: [(queue: String, indices: [Int])] = []
        var others: [Int] = []
        for (index, finish) in finishes.enumerated() {
            if !finish.isPlain {
                others.append(index)
            } else if let at = completed.firstIndex(where: { $0.queue == finish.queue }) {
                completed[at].indices.append(index)
            } else {
                completed.append((finish.queue, [index]))
            }
        }
        order = completed.flatMap(\.indices) + others
        self.completed = completed
        self.others = others
    }

    private var classes: [String: ClaimDefaults.Rules] { claim.wanted > 0 ? claim.defaults.classes : [:] }

    var argumentCount: Int {
        let offers = claim.wanted > 0 ? claim.reoffered.count + claim.offered.count : 0
        let ended = others.reduce(0) { $0 + 10 + 2 * finishes[$1].fields.count }
        let succeeded = completed.reduce(0) { $0 + 2 + 2 * $1.indices.count }
        return 12 + succeeded + ended + 4 * classes.count + 2 * claim.queues.count + offers
    }

    func append(to pipeline: inout Pipeline) {
        pipeline.append(voucher.node)
        pipeline.append(voucher.client)
        pipeline.append(completed.count)
        for (queue, indices) in completed {
            pipeline.append(queue)
            pipeline.append(indices.count)
            for index in indices { pipeline.append(finishes[index].attempt) }
            for index in indices { pipeline.append("\(finishes[index].milliseconds)") }
        }
        pipeline.append(others.count)
        for index in others { pipeline.append(finishes[index]) }
        pipeline.append(claim.wanted)
        pipeline.append(claim.bytes)
        pipeline.append(claim.mayTakeSuspect ? 1 : 0)
        pipeline.append(claim.defaults.delivery.code)
        pipeline.append(classes.count)
        for (name, rules) in classes {
            pipeline.append(name)
            pipeline.append(rules.delivery?.code ?? "")
            pipeline.append(rules.crashRetries ?? "")
            pipeline.append(rules.crashWindow.map { "\($0)" } ?? "")
        }
        pipeline.append(claim.shared)
        pipeline.append(claim.queues.count)
        for queue in claim.queues {
            pipeline.append(queue)
            pipeline.append(claim.reserved[queue] ?? 0)
        }
        pipeline.append(claim.wanted > 0 ? claim.reoffered.count : 0)
        if claim.wanted > 0 {
            for id in claim.reoffered { pipeline.append(id) }
            for id in claim.offered { pipeline.append(id) }
        }
    }
}

extension Finish {
    /// Whether its end concerns the attempt alone.
    fileprivate var isPlain: Bool { ending == .completed && !hasTies && fields.isEmpty }
}

extension Ending {
    /// What the script is told: err, msg, what happened, delay in ms, retry queue.
    fileprivate var terms: (error: String, message: String, name: String, delay: Int64, queue: String) {
        switch self {
        case .completed: ("", "", "completed", 0, "")
        case .retried(let error, let message, let delay, let queue): (error, message, "retried", delay, queue ?? "")
        case .dead(let error, let message): (error, message, "dead", 0, "")
        case .discarded(let error, let message): (error, message, "discarded", 0, "")
        case .crashed(let message): ("Crashed", message, "crashed", 0, "")
        case .snoozed(let delay): ("Snoozed", "", "snoozed", delay, "")
        case .shutdown: ("Shutdown", "", "shutdown", 0, "")
        case .unbegun: ("Shutdown", "", "unbegun", 0, "")
        case .cancelled(let message): ("Cancelled", message, "cancelled", 0, "")
        case .skipped(let message): ("Skipped", message, "skipped", 0, "")
        }
    }
}

extension Pipeline {
    fileprivate mutating func append(_ finish: Finish) {
        let terms = finish.ending.terms
        append(finish.attempt)
        append(finish.queue)
        append(finish.job)
        append("\(finish.milliseconds)")
        append(terms.error)
        append(terms.message)
        append(terms.name)
        append("\(terms.delay)")
        append(terms.queue)
        append(finish.fields.count)
        for (name, value) in finish.fields {
            append(name)
            append(value)
        }
    }
}

extension Adoption {
    var argumentCount: Int { 4 + queues.count + 2 * attempts.count + offered.count }

    func append(to pipeline: inout Pipeline, as voucher: Voucher) {
        pipeline.append(voucher.node)
        pipeline.append(voucher.client)
        pipeline.append(queues.count)
        for queue in queues { pipeline.append(queue) }
        pipeline.append(attempts.count)
        for (attempt, queue) in attempts {
            pipeline.append(attempt)
            pipeline.append(queue)
        }
        for id in offered { pipeline.append(id) }
    }
}

extension Exchange {
    /// - Parameter order: the index of each finish, in the order in which the script was given them.
    fileprivate init(_ reply: RESPValue, order: [Int]) throws(BackgroundError) {
        guard let parts = reply.array, parts.count == 7, let exceptions = parts[0].array, let jobs = parts[1].array,
            let notices = parts[2].array, let paused = parts[3].array
        else { throw .unexpected(reply, "exchange") }
        for at in stride(from: 0, to: exceptions.count - 1, by: 2) {
            guard let index = exceptions[at].int.map(Int.init), order.indices.contains(index) else {
                throw .unexpected(reply, "exchange")
            }
            self.exceptions[order[index]] = Verdict(exceptions[at + 1])
        }
        self.jobs = try [ClaimedJob](flat: jobs, at: parts[6].int ?? 0)
        for at in stride(from: 0, to: notices.count - 1, by: 2) {
            self.notices.append(Notice(queue: notices[at].text ?? "", sentence: notices[at + 1].text ?? ""))
        }
        self.paused = paused.compactMap(\.text)
        self.isShort = parts[4].int == 1
        self.spent = (parts[5].array ?? []).compactMap(\.text)
    }
}

extension Adopted {
    init(_ reply: RESPValue, of adoption: Adoption) throws(BackgroundError) {
        let ids = adoption.attempts.map(\.attempt) + adoption.offered
        guard let parts = reply.array, parts.count == 3, let verdicts = parts[0].array, verdicts.count == ids.count,
            let granted = parts[1].array
        else { throw .unexpected(reply, "adopt") }
        self.verdicts = Dictionary(zip(ids, verdicts.map(Verdict.init)), uniquingKeysWith: { first, _ in first })
        self.granted = try [ClaimedJob](flat: granted, at: parts[2].int ?? 0)
    }
}

extension Verdict {
    fileprivate init(_ value: RESPValue) {
        switch value.text {
        case "yours": self = .yours
        case "done": self = .done
        case "lost": self = .lost
        case "never": self = .never
        case let sentence: self = .damaged(sentence ?? "an answer that is no verdict")
        }
    }
}

extension [ClaimedJob] {
    /// - Parameter now: the server's time, ms.
    fileprivate init(flat: [RESPValue], at now: Int64) throws(BackgroundError) {
        self = []
        reserveCapacity(flat.count / 9)
        for at in stride(from: 0, to: flat.count - 8, by: 9) {
            guard let attempt = flat[at].text, let id = flat[at + 1].text, let queue = flat[at + 2].text else {
                throw .unexpected(.array(flat), "a claimed job")
            }
            var arguments: [UInt8] = []
            if case .string(let bytes) = flat[at + 5] { arguments = bytes }
            var fields: [String: String] = [:]
            if let told = flat[at + 8].array {
                for field in stride(from: 0, to: told.count - 1, by: 2) {
                    fields[told[field].text ?? ""] = told[field + 1].text
                }
            }
            append(
                ClaimedJob(
                    attempt: attempt,
                    id: id,
                    queue: queue,
                    number: flat[at + 3].int.map { Int(clamping: $0) } ?? 0,
                    className: flat[at + 4].text,
                    arguments: arguments,
                    queuedAt: flat[at + 6].int,
                    claimedAt: now,
                    isSuspect: flat[at + 7].int ?? 0 > 0,
                    isLastTry: flat[at + 7].int == 2,
                    fields: fields
                )
            )
        }
    }
}

extension BackgroundError {
    static func unexpected(_ reply: RESPValue, _ what: String) -> BackgroundError {
        BackgroundError(.damaged, "Redis answered \(what) in a form this version does not know.")
    }
}
