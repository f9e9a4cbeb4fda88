import BackgroundJobs
import BackgroundJobsTesting
import BackgroundRedis
import Testing

/// Jobs that are tied to others, periodic ones, and the verbs that deal with one job, batch or periodic job at a time.
extension DamageScenario {
    static let listener = Listener(token: "l", time: .seconds(60))

    private static func job(
        _ id: String,
        _ queue: String,
        _ fields: [JobOptions.Field] = [],
        lock: NewJob.Lock? = nil,
        isWaiting: Bool = false
    ) -> NewJob {
        NewJob(
            id: "\(queue)-\(id)",
            queue: queue,
            className: "C",
            arguments: Array("{}".utf8),
            due: lock == nil ? nil : .after(milliseconds: 60_000),
            fields: fields,
            lock: lock,
            isIDChosen: true,
            isWaiting: isWaiting
        )
    }

    /// One whose members run, and an empty one that is still open.
    func openBatches(_ queue: String) async throws {
        for (batch, callback) in [("batch", "called"), ("open", "called-too")] {
            let callback = Self.job(callback, queue, isWaiting: true)
            _ = try await redis.open(NewBatch(id: "\(queue)-\(batch)", onComplete: callback))
        }
    }

    /// The first is in a batch, the second one begins a chain.
    func enqueueTied(_ id: String, _ queue: String) async throws {
        switch id {
        case "\(queue)-run0": _ = try await redis.add([Self.job("run0", queue)], to: "\(queue)-batch")
        case "\(queue)-run1":
            try await redis.enqueueTogether([
                Self.job("run1", queue, [("nxt", "\(queue)-next"), ("onf", "\(queue)-failure")]),
                Self.job("next", queue, [("aft", "\(queue)-run1")], isWaiting: true),
                Self.job("failure", queue, isWaiting: true),
            ])
        default: try await store.enqueue(id, queue: queue)
        }
    }

    func addTies(_ queue: String) async throws {
        _ = try await redis.close("\(queue)-batch")
        let lock = NewJob.Lock(digest: "\(queue)-digest", duration: 600_000)
        try await redis.enqueue([Self.job("locked", queue, lock: lock)])
        _ = try await redis.ends(of: ["\(queue)-run0", "\(queue)-run1"], for: Self.listener)
        _ = try await redis.declare([Self.periodic(queue)], by: nil, areAll: false, revives: false)
    }

    private static func periodic(_ queue: String, every interval: Int = 1000) -> Declaration {
        let fields = ["exp": "every:\(interval)", "cls": "C", "que": queue, "arg": "{}", "ovl": "skip"]
        return Declaration(name: "\(queue)-cron", first: 1, fields: fields.mapValues { Array($0.utf8) })
    }

    // MARK: The verbs

    func runOnOne(_ verb: Verb) async throws -> Bool {
        switch verb {
        case .enqueue:
            return try await each { queue in
                let lock = NewJob.Lock(digest: "\(queue)-digest", duration: 60_000, duplicate: .replace)
                let holders = try await redis.enqueue([Self.job("new", queue, lock: lock)])
                return holders["\(queue)-new"]?.id != "\(queue)-locked"
            }
        case .cancelWaiting:
            return try await each { try await redis.cancel("\($0)-wait", recordedAs: "\($0)-record") != .cancelled }
        case .cancelRunning:
            return try await each { try await redis.cancel("\($0)-run4", recordedAs: "\($0)-record") != .told }
        case .retry: return try await retry()
        case .deleteFailed:
            return try await each { queue in
                try await redis.delete(["\(queue)-over1-attempt"], from: .failed, of: queue).gone.count != 1
            }
        case .deleteDead:
            return try await each { queue in
                let done = try await redis.delete(["\(queue)-over3"], from: .dead, of: queue)
                #expect(done.gone.isEmpty != done.problems.isEmpty)
                return !done.problems.isEmpty
            }
        case .fallBack:
            return try await each { queue in
                let place = try #require(Place("\(queue):on:absent"))
                return try await redis.fallBack(place, absence: 1 << 40, limit: 10, from: 0).moved.isEmpty
            }
        case .ends:
            return try await each {
                try await redis.ends(of: ["\($0)-run4", "\($0)-wait"], for: Self.listener) != [nil, nil]
            }
        case .note: return try await note()
        case .pause: return try await each { try await redis.setPaused(true, [$0]) != [$0] }
        case .clear:
            return try await each { queue in
                let step = try await redis.clear(.ready, of: queue, limit: 10)
                return step.done != 2 || !step.problems.isEmpty
            }
        case .move:
            return try await each { queue in
                let step = try await redis.move(.ready, from: queue, to: "\(queue)-to", limit: 10)
                return step.done != 2 || !step.problems.isEmpty
            }
        case .together, .open, .add, .close: return try await tie(verb)
        default: return try await periodic(verb)
        }
    }

    private func retry() async throws -> Bool {
        try await oneCall { try await redis.retry(["q-over3", "p-over3"], onlyDead: true).map { $0 == .queued } }
    }

    private func note() async throws -> Bool {
        let notes = ["q", "p"].map {
            AttemptNote(attempt: "\($0)-run4-attempt", queue: $0, fields: ["prg": "0.5"])
        }
        let written = try await redis.note(notes)
        #expect(written > 0, "the other queue goes on")
        return written < 2
    }

    private func tie(_ verb: Verb) async throws -> Bool {
        try await each { queue in
            switch verb {
            case .together:
                try await redis.enqueueTogether([
                    Self.job("one", queue, [("nxt", "\(queue)-two")]),
                    Self.job("two", queue, [("aft", "\(queue)-one")], isWaiting: true),
                ])
                return false
            case .open:
                let callback = Self.job("told", queue, isWaiting: true)
                let batch = NewBatch(id: "\(queue)-inner", parent: "\(queue)-open", onComplete: callback)
                return try await redis.open(batch) != .done
            case .add: return try await redis.add([Self.job("member", queue)], to: "\(queue)-open") != .done
            default: return try await redis.close("\(queue)-open") != .done
            }
        }
    }

    private func periodic(_ verb: Verb) async throws -> Bool {
        switch verb {
        case .due:
            return try await oneCall {
                let entries = try await redis.due(limit: 10, offset: 0).entries
                return ["q", "p"].map { queue in
                    entries.contains { entry in
                        if case .read = entry.fields { entry.name == "\(queue)-cron" } else { false }
                    }
                }
            }
        case .fire:
            let firings = ["q", "p"].map { queue in
                Firing(
                    name: "\(queue)-cron",
                    due: 1,
                    time: 1,
                    next: .at(1 << 50),
                    expression: "every:1000",
                    job: "\(queue)-fired"
                )
            }
            return try await oneCall { try await redis.fire(firings).map { $0 == .fired } }
        case .declare:
            let declarations = ["q", "p"].map { Self.periodic($0, every: 2000) }
            return try await oneCall {
                try await redis.declare(declarations, by: nil, areAll: false, revives: false).verdicts.map {
                    $0 == .changed
                }
            }
        case .pausePeriodic: return try await each { try await redis.steer("\($0)-cron", .pause) != .done }
        default: return try await each { try await redis.steer("\($0)-cron", .run(job: "\($0)-ran")) != .done }
        }
    }

    /// Does it for `q` and `p` in one call, which says for each whether it was done.
    private func oneCall(_ body: () async throws -> [Bool]) async throws -> Bool {
        do {
            let done = try await body()
            #expect(isShared || done.last == true, "the other one goes on")
            return done.first != true
        } catch let error as BackgroundError where isShared && error.code == .refused {
            return true
        }
    }

    // MARK: Reading

    /// Everything that reads what is stored: none of it may trap, whatever it finds.
    func readAll() async throws {
        for id in ["run0", "run1", "wait", "over3", "next"] {
            _ = try? await redis.attempts(of: "q-\(id)", limit: 5)
        }
        for id in ["batch", "open", "inner"] { _ = try? await redis.batch("q-\(id)") }
    }
}
