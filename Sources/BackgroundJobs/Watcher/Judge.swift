/// Who is gone (protocol): decides, from what a watcher saw at each of its looks, which attempts nobody answers for any
/// more. Pure: facts and times go in, verdicts come out.
package struct Judge: Sendable {
    package typealias Instant = ContinuousClock.Instant

    /// The times that decide.
    package struct Limits: Sendable, Equatable {
        package var interval: Duration
        package var secondLook: Duration
        package var deadAfter: Duration
        package var grace: Duration

        package init(interval: Duration, secondLook: Duration, deadAfter: Duration, grace: Duration) {
            self.interval = interval
            self.secondLook = secondLook
            self.deadAfter = deadAfter
            self.grace = grace
        }
    }

    /// What a look learned of the server.
    package struct ServerFacts: Sendable, Equatable {
        package var session: UInt64
        package var runID: String
        package var isMaster: Bool
        /// Ms of the server's clock.
        package var time: Int64

        package init(session: UInt64, runID: String, isMaster: Bool, time: Int64) {
            self.session = session
            self.runID = runID
            self.isMaster = isMaster
            self.time = time
        }
    }

    /// What an attempt's hash says of who answers for it.
    package struct Record: Sendable, Equatable {
        package var client: String
        package var node: String
        package var adoptions: String
        package var isAtMostOnce: Bool

        package init(client: String, node: String, adoptions: String, isAtMostOnce: Bool = false) {
            self.client = client
            self.node = node
            self.adoptions = adoptions
            self.isAtMostOnce = isAtMostOnce
        }
    }

    struct Watched: Sendable {
        /// nil: the hash is missing or lacks something.
        var record: Record?
        var unreadableSince: Instant?
        var goneSince: Instant?
        var disownedSince: Instant?
    }

    private let limits: Limits
    private let namespace: String
    /// By queue, then by attempt.
    private(set) var watched: [String: [String: Watched]] = [:]
    private(set) var facts: ServerFacts?
    private var factsAt: Instant?
    private var lastLook: Instant?
    /// Nobody is judged before this time.
    private(set) var judgesFrom: Instant?
    private var scriptsRefused = false

    package init(limits: Limits, namespace: String) {
        self.limits = limits
        self.namespace = namespace
    }

    // MARK: May anybody be judged?

    /// A look begins. Whatever may have made everybody look dead puts the judgement off by the grace.
    package mutating func beginLook(_ new: ServerFacts, now: Instant) {
        if let facts, let factsAt {
            let passed = factsAt.duration(to: now)
            let step = Double(new.time - facts.time) - passed.fractionalMilliseconds
            if new.session != facts.session || new.runID != facts.runID || new.isMaster != facts.isMaster
                || abs(step) > 1000
            {
                judgesFrom = now + limits.grace
            }
        } else {
            judgesFrom = now + limits.grace
        }
        notePause(now)
        facts = new
        factsAt = now
    }

    /// A pause since the last finished look puts the judgement off, between two looks as within one.
    private mutating func notePause(_ now: Instant) {
        guard let since = lastLook ?? factsAt else { return }
        if since.duration(to: now) > max(limits.interval * 3, .seconds(2)) { judgesFrom = now + limits.grace }
    }

    /// A script was refused (LOADING and the like); looks in which that happens do not count.
    package mutating func scriptWasRefused() {
        scriptsRefused = true
    }

    /// A look came to its end with its scripts answered.
    package mutating func endLook(now: Instant) {
        if scriptsRefused {
            scriptsRefused = false
            judgesFrom = now + limits.grace
        }
        lastLook = now
    }

    /// Whether anybody may be judged now.
    package mutating func mayJudge(now: Instant) -> Bool {
        notePause(now)
        guard let facts, facts.isMaster, !scriptsRefused, let judgesFrom else { return false }
        return now >= judgesFrom
    }

    // MARK: What is watched

    /// The attempts in `processing` of a queue; returns those whose hashes have to be read.
    package mutating func see(_ attempts: Set<String>, in queue: String) -> [String] {
        let before = watched[queue] ?? [:]
        for attempt in before.keys where !attempts.contains(attempt) { watched[queue]?[attempt] = nil }
        return attempts.filter { before[$0]?.record == nil }
    }

    /// Queues that are watched no more.
    package mutating func keep(queues: Set<String>) {
        watched = watched.filter { queues.contains($0.key) }
    }

    /// What the hash of an attempt says; nil: nothing readable.
    package mutating func read(_ attempt: String, in queue: String, _ record: Record?, now: Instant) {
        var seen = watched[queue]?[attempt] ?? Watched()
        if seen.record != record {
            // Another connection vouches for it now: what was noticed of the former one is void.
            seen.goneSince = nil
            seen.disownedSince = nil
        }
        seen.record = record
        seen.unreadableSince = record == nil ? seen.unreadableSince ?? now : nil
        watched[queue, default: [:]][attempt] = seen
    }

    /// The client IDs that vouch for something.
    package var vouchers: Set<String> { Set(watched.values.flatMap { $0.values.compactMap { $0.record?.client } }) }

    package var count: Int { watched.values.reduce(0) { $0 + $1.count } }

    /// The attempts whose `wrk`, by this list of just those IDs, is no connection of their node: their hashes are to be
    /// read again, and the whole list is needed.
    package func missing(_ listed: [Int64: ConnectedWorker]) -> [(attempt: String, queue: String)] {
        watched.flatMap { queue, attempts in
            attempts.compactMap { attempt, seen in
                guard let record = seen.record, !isVouched(record, listed) else { return nil }
                return (attempt, queue)
            }
        }
    }

    private func isVouched(_ record: Record, _ listed: [Int64: ConnectedWorker]) -> Bool {
        guard let id = Int64(record.client), let worker = listed[id] else { return false }
        return worker.node == record.node
    }

    // MARK: Verdicts

    /// What is to be done after a look.
    package struct Verdicts: Sendable, Equatable {
        /// Connections to end before their attempts are reaped.
        package var cutOff: [Int64] = []
        package var condemned: [Condemned] = []
        /// When to look again, if sooner than the interval.
        package var lookAgain: Duration?
    }

    /// Judges all that is watched.
    ///
    /// - Parameters:
    ///   - listed: the workers' connections by client ID; the whole list if anything was missing in the short one.
    ///   - liveNodes: nodes that have a command connection, by the whole list; nil if it was not needed.
    package mutating func judge(
        _ listed: [Int64: ConnectedWorker],
        liveNodes: Set<String>?,
        now: Instant
    ) -> Verdicts {
        var verdicts = Verdicts()
        let mayJudge = mayJudge(now: now)
        var silent: Set<Int64> = []
        for (queue, attempts) in watched {
            for (attempt, seen) in attempts {
                let place = Place(queue: queue, attempt: attempt)
                guard mayJudge else {
                    clear(place, seen)
                    continue
                }
                guard let record = seen.record else {
                    condemnUnreadable(place, seen, now, &verdicts)
                    continue
                }
                if let id = Int64(record.client), let worker = listed[id], worker.node == record.node {
                    clear(place, seen)
                    if .seconds(worker.idle) > limits.deadAfter {
                        silent.insert(id)
                        verdicts.condemned.append(condemned(place, record))
                    }
                } else if let liveNodes {
                    if liveNodes.contains(record.node) {
                        judgeDisowned(place, seen, record, now, &verdicts)
                    } else {
                        judgeGone(place, seen, record, now, &verdicts)
                    }
                }
            }
        }
        verdicts.cutOff = silent.sorted()
        return verdicts
    }

    private struct Place {
        var queue: String
        var attempt: String
    }

    /// Nothing is amiss, or nobody can tell: what was noticed before is void.
    private mutating func clear(_ place: Place, _ seen: Watched) {
        guard seen.goneSince != nil || seen.disownedSince != nil else { return }
        watched[place.queue]?[place.attempt]?.goneSince = nil
        watched[place.queue]?[place.attempt]?.disownedSince = nil
    }

    private mutating func judgeGone(
        _ place: Place,
        _ seen: Watched,
        _ record: Record,
        _ now: Instant,
        _ verdicts: inout Verdicts
    ) {
        let wait = record.isAtMostOnce ? max(limits.grace, limits.secondLook) : limits.secondLook
        watched[place.queue]?[place.attempt]?.disownedSince = nil
        guard let since = seen.goneSince else {
            watched[place.queue]?[place.attempt]?.goneSince = now
            verdicts.lookAgain = min(verdicts.lookAgain ?? wait, wait)
            return
        }
        let left = wait - since.duration(to: now)
        if left <= .zero {
            verdicts.condemned.append(condemned(place, record))
        } else {
            verdicts.lookAgain = min(verdicts.lookAgain ?? left, left)
        }
    }

    private mutating func judgeDisowned(
        _ place: Place,
        _ seen: Watched,
        _ record: Record,
        _ now: Instant,
        _ verdicts: inout Verdicts
    ) {
        watched[place.queue]?[place.attempt]?.goneSince = nil
        guard let since = seen.disownedSince else {
            watched[place.queue]?[place.attempt]?.disownedSince = now
            return
        }
        if since.duration(to: now) > limits.grace {
            verdicts.condemned.append(condemned(place, record))
        }
    }

    private func condemnUnreadable(_ place: Place, _ seen: Watched, _ now: Instant, _ verdicts: inout Verdicts) {
        guard let since = seen.unreadableSince, since.duration(to: now) > limits.grace else { return }
        verdicts.condemned.append(Condemned(queue: place.queue, attempt: place.attempt, judgement: .unreadable))
    }

    private func condemned(_ place: Place, _ record: Record) -> Condemned {
        Condemned(
            queue: place.queue,
            attempt: place.attempt,
            judgement: .gone(client: record.client, node: record.node, adoptions: record.adoptions)
        )
    }
}
