import BackgroundJobs

/// One claim on a ``MemoryState``: what is wanted, what is left of the offers, what has been found.
struct MemoryClaim {
    let voucher: Voucher
    let queues: [String]
    private let defaults: ClaimDefaults
    private var reoffered: [String]
    private var offers: [String]
    var wanted: Int
    /// Fibers that jobs of any queue may use, and by queue those that are its own.
    private var shared: Int
    private var own: [String: Int]
    private var bytes: Int
    private var mayTakeSuspect: Bool
    var taken: Set<String> = []
    var rejected: Set<String> = []
    /// By queue, the places whose jobs may run here.
    var openPlaces: [String: [Place]] = [:]
    /// Notes for those who may run what is put aside, by the name of their list.
    var woken: [String: [String]] = [:]
    private(set) var jobs: [ClaimedJob] = []
    private(set) var notices: [Notice] = []
    private(set) var paused: [String] = []
    private(set) var spent: [String] = []
    var isShort = true

    init(_ claim: Claim, _ voucher: Voucher) {
        self.voucher = voucher
        queues = claim.queues
        defaults = claim.defaults
        reoffered = claim.reoffered
        offers = claim.reoffered + claim.offered
        wanted = min(claim.wanted, 128)
        shared = claim.shared
        own = claim.reserved
        bytes = claim.bytes
        mayTakeSuspect = claim.mayTakeSuspect
    }

    mutating func run(_ state: inout MemoryState) {
        regrant(&state)
        findPlaces(state)
        for queue in queues {
            if state.data.sets["paused"]?.contains(queue) ?? false {
                paused.append(queue)
                state.putBack(queue)
            } else if room(queue) > 0 {
                claim(queue, &state)
            }
        }
        if wanted <= 0 { isShort = false }
        spent += reoffered.filter { rejected.contains($0) }
        for (list, notes) in woken {
            let length = state.list("wake", list).count
            guard length < 16 else { continue }
            for note in notes.prefix(16 - length) { state.pushTail("wake", list, note) }
            state.setDeadline("wake:\(list)", in: 60_000)
        }
    }

    /// How many jobs may still be taken from a queue.
    func room(_ queue: String) -> Int { min(wanted, own[queue, default: 0] + max(0, shared)) }

    private mutating func takeFiber(_ queue: String) {
        wanted -= 1
        if own[queue, default: 0] > 0 { own[queue, default: 0] -= 1 } else { shared -= 1 }
    }

    /// Offers that an earlier call, whose reply was lost, has used: those that run are handed out once more, in place of
    /// something new; those whose attempts have ended are not used again.
    private mutating func regrant(_ state: inout MemoryState) {
        // So are fresh offers, where the first of them has an attempt already: the same call may come twice, and they are
        // used in their order.
        let fresh = offers.dropFirst(reoffered.count)
        if let first = fresh.first, state.data.attempts[first] != nil { reoffered = offers }
        for queue in queues {
            for attempt in reoffered where state.isProcessing(attempt, queue) && offers.contains(attempt) {
                guard let record = state.data.attempts[attempt], record["nod"] == voucher.node, let id = record["job"]
                else {
                    continue
                }
                if let sentence = state.refusal(ofArgumentsOf: id) {
                    state.endAsTooLarge(attempt, queue, id, sentence)
                    notice(queue, "job \(id): \(sentence)")
                    offers.removeAll { $0 == attempt }
                    rejected.insert(attempt)
                    continue
                }
                state.data.attempts[attempt]?["wrk"] = "\(voucher.client)"
                let job = ClaimedJob(regranting: attempt, of: id, in: queue, state)
                jobs.append(job)
                offers.removeAll { $0 == attempt }
                takeFiber(queue)
                bytes -= job.arguments.count
                if job.isSuspect { mayTakeSuspect = false }
            }
        }
        spent = reoffered.filter { offers.contains($0) && state.data.attempts[$0] != nil }
        offers.removeAll { spent.contains($0) }
        for attempt in spent where fresh.contains(attempt) { passOver(attempt) }
    }

    private mutating func claim(_ queue: String, _ state: inout MemoryState) {
        let asked = room(queue)
        let handoff = Array(state.list("handoff", queue).prefix(asked))
        let ready = Array(state.list("ready", queue).prefix(asked))
        let suspect = mayTakeSuspect ? Array(state.list("suspects", queue).prefix(1)) : []
        let before = jobs.count
        // A suspect first: a queue that is always full would never let it come up.
        if take(suspect, from: "suspects", queue, &state) > 0, jobs.count == before { isShort = false }
        for place in openPlaces[queue] ?? [] where room(queue) > 0 { take(from: place, &state) }
        take(handoff, from: "handoff", queue, &state)
        take(ready, from: "ready", queue, &state)
        // What was looked at has been dropped, or cost no fiber: there may be more behind it.
        if handoff.count == asked || ready.count == asked || room(queue) <= 0 { isShort = false }
    }

    /// Deals with the IDs at the head of a list, one after the other, and takes them off it; returns how many.
    @discardableResult
    private mutating func take(_ ids: [String], from kind: String, _ queue: String, _ state: inout MemoryState) -> Int {
        var dealt = 0
        var waited: Int64 = 0
        for id in ids {
            guard room(queue) > 0, deal(with: id, in: queue, isSuspect: kind == "suspects", &waited, &state) else {
                break
            }
            dealt += 1
        }
        state.data.lists["\(kind):\(queue)"]?.removeFirst(dealt)
        if waited > 0 { state.countInMinute(queue, "wait", Double(waited)) }
        return dealt
    }

    /// False if the ID has to stay where it is.
    private mutating func deal(
        with id: String,
        in queue: String,
        isSuspect: Bool,
        _ waited: inout Int64,
        _ state: inout MemoryState
    ) -> Bool {
        deal(with: id, in: queue, isSuspect: isSuspect, isPlaced: false, &waited, &state) == .gone
    }

    /// What becomes of the place of an ID in its list.
    enum Dealt { case gone, stays, staysWithAllBehindIt }

    mutating func deal(
        with id: String,
        in queue: String,
        isSuspect: Bool,
        isPlaced: Bool,
        _ waited: inout Int64,
        _ state: inout MemoryState
    ) -> Dealt {
        let record = state.data.jobs[id]
        if taken.contains(id) {
            notice(queue, "dropped a second copy of job \(id)")
            return .gone
        }
        if let end = record?.present("end") {
            if end == "Dequeued" {
                state.deleteJob(id)
            } else if end != "Cancelled" {
                notice(queue, "dropped job \(id): it has ended as \(end)")
            }
            return .gone
        }
        if let last = record?.present("las"), state.isRunningOrDone(last) {
            notice(queue, "dropped job \(id): its last attempt is running or has succeeded")
            return .gone
        }
        let expiry = record?["exp"] == nil ? nil : record.flatMap { count("exp", of: id, $0, queue) }
        if let refusal = refusal(of: id, record, expiry, state) {
            return reject(id, refusal, record, in: queue, &state) ? .gone : .staysWithAllBehindIt
        }
        guard let record else { return .gone }
        if let place = place(for: id, record, queue) {
            setAside(id, in: place, &state)
            return .gone
        }
        let rules = rules(for: id, record, queue)
        let crashes = state.crashesWithin(
            rules.window ?? 72 * 3600 * 1000,
            record.number("crs") ?? 0,
            record.number("crt")
        )
        if crashes.count > 1 || isSuspect, !mayTakeSuspect {
            if isPlaced { return .stays }
            // This worker runs one already. The next claim that may take one finds it there.
            state.pushTail("suspects", queue, id)
            wake(queue, "0 suspect")
            return .gone
        }
        let arguments = record.fields["arg"] ?? []
        let size = arguments.count + (record.fields["stp"]?.count ?? 0)
        if size > bytes, !jobs.isEmpty {
            wanted = 0
            return .staysWithAllBehindIt
        }
        let number = (count("att", of: id, record, queue) ?? 0) + 1
        guard let attempt = begin(id, in: queue, number: number, record, under: rules, &state) else {
            return .staysWithAllBehindIt
        }
        state.data.jobs[id]?["att"] = "\(number)"
        state.data.jobs[id]?["las"] = attempt
        state.data.jobs[id]?["pla"] = nil
        state.data.jobs[id]?["plt"] = nil
        if record["unu"] == "started" { state.releaseLock(of: id) }
        state.data.sets["processing:\(queue)", default: []].insert(attempt)
        taken.insert(id)
        let queuedAt = count("qat", of: id, record, queue)
        waited += max(0, state.now - (count("pat", of: id, record, queue) ?? queuedAt ?? state.now))
        bytes -= size
        takeFiber(queue)
        if crashes.count > 1 || isSuspect { mayTakeSuspect = false }
        jobs.append(ClaimedJob(attempt, of: id, in: queue, crashes.count, isSuspect: isSuspect, rules, state))
        return .gone
    }

    /// How a job is delivered and how many crashes it is forgiven: nil where it is as usual.
    struct Rules {
        var delivery: String?
        var budget: String?
        var window: Int64?
    }

    private mutating func rules(for id: String, _ record: MemoryState.Record, _ queue: String) -> Rules {
        let ofClass = defaults.classes[record["cls"] ?? ""]
        var delivery = record["dlv"]
        if delivery != "amo", delivery != "alo" {
            if let delivery { notice(queue, "job \(id): dlv is neither amo nor alo: \(delivery)") }
            delivery = (ofClass?.delivery ?? defaults.delivery).code
        }
        var budget = ofClass?.crashRetries
        if let own = record["crm"] {
            budget = own == "all" ? own : count("crm", of: id, record, queue).map { "\($0)" } ?? budget
        }
        let window = record["crw"] == nil ? nil : count("crw", of: id, record, queue)
        return Rules(delivery: delivery == "amo" ? "amo" : nil, budget: budget, window: window ?? ofClass?.crashWindow)
    }

    /// Writes an attempt under the next offered ID; nil if none is left.
    mutating func begin(
        _ job: String,
        in queue: String,
        number: Int64,
        _ record: MemoryState.Record?,
        under rules: Rules = Rules(),
        _ state: inout MemoryState
    ) -> String? {
        while let used = offers.first, state.data.attempts[used] != nil {
            offers.removeFirst()
            if !reoffered.contains(used) { passOver(used) }
        }
        guard !offers.isEmpty else {
            isShort = false
            return nil
        }
        let attempt = offers.removeFirst()
        var fields = MemoryState.Record()
        fields["sta"] = "\(state.now)"
        fields["job"] = job
        fields["wrk"] = "\(voucher.client)"
        fields["que"] = queue
        fields["nod"] = voucher.node
        fields["num"] = "\(number)"
        if let last = record?.present("las") { fields["prv"] = last }
        if let delivery = rules.delivery { fields["dlv"] = delivery }
        if let budget = rules.budget { fields["crm"] = budget }
        if let window = rules.window { fields["crw"] = "\(window)" }
        state.data.attempts[attempt] = fields
        return attempt
    }

    private mutating func passOver(_ attempt: String) {
        notice("", "attempt \(attempt) passed over: its ID has been used before")
    }

    /// A number that is reported where the field holds something else.
    private mutating func count(
        _ field: String,
        of job: String,
        _ record: MemoryState.Record,
        _ queue: String
    ) -> Int64? {
        let value = record.number(field)
        if value == nil, let text = record[field] { notice(queue, "job \(job): \(field) is no number: \(text)") }
        return value
    }

    mutating func notice(_ queue: String, _ sentence: String) {
        notices.append(Notice(queue: queue, sentence: sentence))
    }
}

extension ClaimedJob {
    /// A running attempt handed out once more.
    init(regranting attempt: String, of id: String, in queue: String, _ state: MemoryState) {
        let record = state.data.attempts[attempt] ?? MemoryState.Record()
        let job = state.data.jobs[id] ?? MemoryState.Record()
        let rules = MemoryClaim.Rules(budget: record["crm"], window: record.number("crw"))
        let window = rules.window ?? 72 * 3600 * 1000
        let crashes = state.crashesWithin(window, job.number("crs") ?? 0, job.number("crt")).count
        self.init(attempt, of: id, in: queue, crashes, isSuspect: false, rules, state)
    }

    fileprivate init(
        _ attempt: String,
        of id: String,
        in queue: String,
        _ crashes: Int64,
        isSuspect: Bool,
        _ rules: MemoryClaim.Rules,
        _ state: MemoryState
    ) {
        let job = state.data.jobs[id] ?? MemoryState.Record()
        let told: Set = [
            "ret", "bck", "rfr", "rqu", "tmo", "ers", "unq", "nxt", "onf", "bat", "pat", "stp", "flr", "bsm", "hdr",
            "crn", "due",
        ]
        let budget = rules.budget == "all" ? Int64.max : rules.budget.flatMap { Int64($0) } ?? 3
        self.init(
            attempt: attempt,
            id: id,
            queue: queue,
            number: state.data.attempts[attempt]?["num"].flatMap { Int($0) } ?? 0,
            className: job["cls"],
            arguments: job.fields["arg"] ?? [],
            queuedAt: job["qat"].flatMap { Int64($0) },
            claimedAt: state.now,
            isSuspect: isSuspect || crashes > 1,
            isLastTry: crashes > 1 && crashes >= budget,
            fields: job.fields.filter { told.contains($0.key) }.mapValues { String(decoding: $0, as: UTF8.self) }
        )
    }
}
