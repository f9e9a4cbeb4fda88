import BackgroundJobs

/// The data of a ``MemoryStore`` with the few operations that the transitions are made of. A collection that is empty is
/// absent, as in Redis.
struct MemoryState: Sendable {
    typealias Record = StoreSnapshot.Record

    var clock: MemoryClock
    var data = StoreSnapshot()
    /// The time of the transition that is under way.
    private(set) var now: Int64 = 0
    /// Keys of places to which the transition that is under way has added something, for those who wait for that.
    private(set) var touched: Set<String> = []
    /// Jobs as they were enqueued, in order; nil where nobody wants to know.
    var recorded: [EnqueuedJob]?
    /// Whether somebody has edited the data by hand: only then a transition may take the last field of a record.
    var isEdited = false
    /// When keys expire, by the clock.
    private(set) var deadlines: [String: Int64] = [:]
    private var counts: [String: [String: Double]] = [:]
    private var minuteCounts: [String: [String: Double]] = [:]

    init(clock: MemoryClock) {
        self.clock = clock
    }

    /// Begins a transition: everything in it happens at one time.
    mutating func begin() {
        now = clock.now
        touched = []
        expire()
    }

    /// Ends a transition: what it counted is added.
    mutating func commit() {
        let minute = now / 60_000
        for (queue, fields) in counts { add(fields, to: "stats:\(queue)") }
        for (queue, fields) in minuteCounts {
            add(fields, to: "stats:\(queue):\(minute)")
            setDeadline("stats:\(queue):\(minute)", in: 90_000_000)
        }
        counts = [:]
        minuteCounts = [:]
        data.removeEmpty()
        if isEdited { data.removeEmptyRecords() }
    }

    // MARK: Expiry

    mutating func setDeadline(_ key: String, in milliseconds: Int64) {
        deadlines[key] = now + milliseconds
        data.expiring.insert(key)
    }

    mutating func expire() {
        let time = clock.now
        for (key, deadline) in deadlines where deadline <= time {
            deadlines[key] = nil
            data.expiring.remove(key)
            data.counters[key] = nil
            data.lists[key] = nil
            data.locks[key] = nil
            data.sets[key] = nil
            if let batch = StoreSnapshot.queue(of: key, "batch") { data.batches[batch] = nil }
            if let job = StoreSnapshot.queue(of: key, "jobs") { data.jobs[job] = nil }
        }
    }

    /// The key stays.
    mutating func clearDeadline(_ key: String) {
        deadlines[key] = nil
        data.expiring.remove(key)
    }

    mutating func deleteJob(_ job: String) {
        releaseLock(of: job)
        data.jobs[job] = nil
        clearDeadline("jobs:\(job)")
    }

    // MARK: Locks

    /// Frees the job's uniqueness lock, if it still is the job's.
    mutating func releaseLock(of job: String) {
        guard let digest = data.jobs[job]?.present("unq"), data.locks["unique:\(digest)"] == job else { return }
        data.locks["unique:\(digest)"] = nil
        clearDeadline("unique:\(digest)")
    }

    /// - Parameter facts: how its last attempt ended.
    mutating func endJob(_ job: String, as end: String, _ facts: JobEnd? = nil) {
        let wasWaiting = isWaiting(job)
        data.jobs[job]?["end"] = end
        data.jobs[job]?["blk"] = nil
        releaseLock(of: job)
        settleTies(job, end, facts ?? JobEnd(job: job, end: end), wasWaiting: wasWaiting)
    }

    // MARK: Counting

    mutating func count(_ queue: String, _ field: String, _ by: Double = 1) {
        counts[queue, default: [:]][field, default: 0] += by
        minuteCounts[queue, default: [:]][field, default: 0] += by
    }

    /// `wait` and `run`, which only the minute has.
    mutating func countInMinute(_ queue: String, _ field: String, _ by: Double) {
        minuteCounts[queue, default: [:]][field, default: 0] += by
    }

    private mutating func add(_ fields: [String: Double], to key: String) {
        for (field, value) in fields {
            let sum = Double(data.counters[key]?[field] ?? 0) + value
            data.counters[key, default: [:]][field] = Int64(sum.rounded(.toNearestOrEven))
        }
    }

    // MARK: Places

    func isProcessing(_ attempt: String, _ queue: String) -> Bool {
        data.sets["processing:\(queue)"]?.contains(attempt) ?? false
    }

    func list(_ kind: String, _ queue: String) -> [String] { data.lists["\(kind):\(queue)"] ?? [] }

    mutating func touch(_ key: String) { touched.insert(key) }

    mutating func pushHead(_ kind: String, _ queue: String, _ id: String) {
        touch("\(kind):\(queue)")
        data.lists["\(kind):\(queue)", default: []].insert(id, at: 0)
    }

    mutating func pushTail(_ kind: String, _ queue: String, _ id: String) {
        touch("\(kind):\(queue)")
        data.lists["\(kind):\(queue)", default: []].append(id)
    }

    /// Writes a number into a field of a job that is there.
    mutating func set(_ field: String, of job: String, to number: Int64) {
        data.jobs[job]?[field] = "\(number)"
    }

    mutating func schedule(_ job: String, _ queue: String, at time: Int64) {
        data.jobs[job]?["pat"] = "\(time)"
        touch("scheduled")
        setScore("scheduled", queue, job, time)
    }

    mutating func setScore(_ kind: String, _ queue: String, _ member: String, _ score: Int64) {
        data.sortedSets["\(kind):\(queue)", default: [:]][member] = score
    }

    /// Whether an attempt is running or has succeeded: then its job is not to be run again.
    func isRunningOrDone(_ attempt: String) -> Bool {
        guard let record = data.attempts[attempt] else { return false }
        if record.present("fin") != nil, record["err"] == nil { return true }
        return record["que"].map { isProcessing(attempt, $0) } ?? false
    }
}

extension StoreSnapshot {
    /// Apart from the others, since there are many of them.
    mutating func removeEmptyRecords() {
        jobs = jobs.filter { !$0.value.fields.isEmpty }
        attempts = attempts.filter { !$0.value.fields.isEmpty }
        batches = batches.filter { !$0.value.fields.isEmpty }
        periodics = periodics.filter { !$0.value.fields.isEmpty }
    }

    mutating func removeEmpty() {
        lists = lists.filter { !$0.value.isEmpty }
        sets = sets.filter { !$0.value.isEmpty }
        sortedSets = sortedSets.filter { !$0.value.isEmpty }
        counters = counters.filter { !$0.value.isEmpty }
    }
}
