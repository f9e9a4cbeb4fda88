import BackgroundRedis
import Foundation

extension Inspector {
    /// The most entries of a page.
    public static let pageLimit = 1000
    /// How many places are looked at.
    private static let placeLimit = 1000
    /// Arguments of at most so many bytes are shown in lists.
    private static let shownArguments = 4096
    /// How many entries are read at a time where only some of them are wanted.
    private static let filteredPage = 200

    /// A page of one of the lists of a queue.
    ///
    /// - Parameters:
    ///   - list: which list.
    ///   - queue: the queue.
    ///   - limit: how many entries, 1 to ``pageLimit``. Of `processing`, which has no order, a page may hold some hundred more.
    ///   - offset: where to go on: 0, and then what the page before gave as ``JobPage/next``. In all lists but `processing` it
    ///     is simply the number of entries before.
    ///   - filter: which of them; the others are gone through, and left out.
    /// - Throws: ``BackgroundError``: `invalidArgument` for a queue name that is none, `damaged` if the list's key is of
    ///   another type.
    public func jobs(
        in list: JobList,
        queue: String,
        limit: Int = 20,
        offset: Int = 0,
        matching filter: JobFilter = JobFilter()
    ) async throws(BackgroundError) -> JobPage {
        precondition((1...Self.pageLimit).contains(limit), "a page has 1 to \(Self.pageLimit) entries")
        precondition((0...1 << 60).contains(offset), "an offset is not negative, and no larger than a page gives")
        try Names.checkQueue(queue)
        guard !filter.isEmpty else { return try await page(list, queue, limit, offset) }
        var found = JobPage(entries: [], next: offset)
        while let offset = found.next, found.entries.count < limit {
            let page = try await page(list, queue, Self.filteredPage, offset)
            found.next = page.next
            for (index, entry) in page.entries.enumerated() where filter.matches(entry) {
                found.entries.append(entry)
                // The pages of `processing` can't be taken up in the middle.
                guard found.entries.count == limit, list != .processing else { continue }
                if index + 1 < page.entries.count { found.next = offset + index + 1 }
                break
            }
        }
        return found
    }

    private func page(
        _ list: JobList,
        _ queue: String,
        _ limit: Int,
        _ offset: Int
    ) async throws(BackgroundError) -> JobPage {
        switch list {
        case .ready: return try await waiting([keys.handoff(queue), keys.ready(queue)], limit, offset)
        case .suspects: return try await waiting([keys.suspects(queue)], limit, offset)
        case .placed: return try await waiting(places(of: [queue]).map(keys.placed), limit, offset)
        case .scheduled: return try await jobs(by: "ZRANGE", keys.scheduled(queue), limit, offset)
        case .dead: return try await withLastAttempts(jobs(by: "ZREVRANGE", keys.dead(queue), limit, offset))
        case .completed: return try await attempts(keys.completed(queue), limit, offset, .completed)
        case .failed: return try await attempts(keys.failed(queue), limit, offset, .failed)
        case .ended: return try await attempts(keys.ended(queue), limit, offset, .ended)
        case .processing: return try await processing(queue, limit, offset)
        }
    }

    // MARK: Finding the IDs

    /// Lists as if they were one behind the other. One entry more than asked for tells whether there is another page.
    private func waiting(_ lists: [String], _ limit: Int, _ offset: Int) async throws(BackgroundError) -> JobPage {
        var found: [(id: String, state: JobState)] = []
        var skip = offset
        for list in lists {
            let wanted = limit + 1 - found.count
            var pipeline = Pipeline()
            pipeline.command("LLEN", list)
            pipeline.command("LRANGE", list, "\(skip)", "\(skip + wanted - 1)")
            let replies = try await replies(to: pipeline)
            let state: JobState =
                list.hasPrefix("\(namespace):handoff:")
                ? .handoff
                : list.hasPrefix("\(namespace):suspects:")
                    ? .suspect : list.hasPrefix("\(namespace):placed:") ? .placed : .ready
            let ids = try replies[1].orThrow(naming: list).array ?? []
            found += ids.compactMap(\.text).map { ($0, state) }
            guard found.count <= limit else { break }
            skip = max(0, skip - Int(replies[0].int ?? 0))
        }
        let page = found.prefix(limit)
        let records = try await records(of: page.map(\.id))
        let entries = page.map { entry in
            JobListing(id: entry.id, job: records[entry.id]?.in(entry.state), attempt: nil, time: nil)
        }
        return JobPage(entries: entries, next: found.count > limit ? offset + limit : nil)
    }

    /// Where jobs of these queues wait that are for some nodes only.
    func places(of queues: [String]) async throws(BackgroundError) -> [Place] {
        try await members(of: keys.places, limit: Self.placeLimit).members.compactMap(Place.init)
            .filter { queues.contains($0.queue) }
    }

    private func scored(
        _ command: String,
        _ key: String,
        _ limit: Int,
        _ offset: Int
    ) async throws(BackgroundError) -> (entries: [(id: String, time: Date)], next: Int?) {
        let reply = try await read(command, key, "\(offset)", "\(offset + limit)", "WITHSCORES").array ?? []
        let found = stride(from: 0, to: reply.count - 1, by: 2).map { index in
            let score = reply[index + 1].text.flatMap(Double.init) ?? 0
            return (id: reply[index].text ?? "", time: Date(milliseconds: abs(score) < 1e16 ? Int64(score) : 0))
        }
        return (Array(found.prefix(limit)), found.count > limit ? offset + limit : nil)
    }

    private func jobs(
        by command: String,
        _ key: String,
        _ limit: Int,
        _ offset: Int
    ) async throws(BackgroundError) -> JobPage {
        let page = try await scored(command, key, limit, offset)
        let records = try await records(of: page.entries.map(\.id))
        let entries = page.entries.map { entry in
            let state = command == "ZRANGE" ? JobState.scheduled(due: entry.time) : .dead
            return JobListing(id: entry.id, job: records[entry.id]?.in(state), attempt: nil, time: entry.time)
        }
        return JobPage(entries: entries, next: page.next)
    }

    private func attempts(
        _ key: String,
        _ limit: Int,
        _ offset: Int,
        _ list: JobList
    ) async throws(BackgroundError) -> JobPage {
        let page = try await scored("ZREVRANGE", key, limit, offset)
        var entries = try await listings(of: page.entries.map(\.id), list)
        for (index, entry) in page.entries.enumerated() { entries[index].time = entry.time }
        return JobPage(entries: entries, next: page.next)
    }

    private func processing(_ queue: String, _ limit: Int, _ offset: Int) async throws(BackgroundError) -> JobPage {
        var found: [String] = []
        var cursor = "\(offset)"
        // SSCAN may come back with nothing and still have more.
        repeat {
            let page = try await scan(keys.processing(queue), from: cursor, count: limit)
            found += page.members
            cursor = page.next
        } while cursor != "0" && found.count < limit
        return JobPage(entries: try await listings(of: found, .processing), next: cursor == "0" ? nil : Int(cursor))
    }

    // MARK: Reading the hashes

    private func withLastAttempts(_ page: JobPage) async throws(BackgroundError) -> JobPage {
        let attempts = try await records(ofAttempts: page.entries.compactMap(\.job?.lastAttempt))
        var page = page
        for index in page.entries.indices {
            page.entries[index].attempt = page.entries[index].job?.lastAttempt.flatMap { attempts[$0] }
        }
        return page
    }

    private func listings(of attempts: [String], _ list: JobList) async throws(BackgroundError) -> [JobListing] {
        let found = try await records(ofAttempts: attempts)
        let records = attempts.map { found[$0] ?? AttemptRecord(id: $0, HashFields([], [])) }
        let jobs = try await self.records(of: records.compactMap(\.job))
        return records.map { attempt in
            let job = attempt.job.flatMap { jobs[$0] }
            let listed = job.map { $0.in($0.state(after: attempt, list)) }
            return JobListing(id: attempt.job, job: listed, attempt: attempt, time: nil)
        }
    }

    /// The attempts with these IDs, those without a hash left out.
    private func records(ofAttempts ids: [String]) async throws(BackgroundError) -> [String: AttemptRecord] {
        var pipeline = Pipeline()
        for id in ids { pipeline.command(["HMGET", keys.attempt(id)] + AttemptRecord.listed) }
        var records: [String: AttemptRecord] = [:]
        for (id, reply) in zip(ids, try await read(pipeline)) {
            let fields = HashFields(AttemptRecord.listed, reply.array ?? [])
            if !fields.isEmpty { records[id] = AttemptRecord(id: id, fields) }
        }
        return records
    }

    /// The jobs with these IDs, without their arguments where they are large.
    private func records(of ids: [String]) async throws(BackgroundError) -> [String: JobRecord] {
        let ids = Set(ids).sorted()
        var pipeline = Pipeline()
        for id in ids {
            pipeline.command(["HMGET", keys.job(id)] + JobRecord.listed)
            pipeline.command("HSTRLEN", keys.job(id), "arg")
        }
        let replies = try await read(pipeline)
        var records: [String: JobRecord] = [:]
        var arguments = Pipeline()
        var asked: [String] = []
        for (index, id) in ids.enumerated() {
            let fields = HashFields(JobRecord.listed, replies[2 * index].array ?? [])
            guard !fields.isEmpty else { continue }
            records[id] = JobRecord(id: id, fields)
            let size = Int(clamping: replies[2 * index + 1].int ?? 0)
            records[id]?.argumentsSize = size
            guard size > 0, size <= Self.shownArguments else { continue }
            arguments.command("HGET", keys.job(id), "arg")
            asked.append(id)
        }
        for (id, reply) in zip(asked, try await read(arguments)) {
            if case .string(let bytes) = reply { records[id]?.arguments = FieldValue(bytes) }
        }
        return records
    }
}

extension JobRecord {
    fileprivate func `in`(_ state: JobState) -> JobRecord {
        var record = self
        record.state = state
        return record
    }

    /// What an attempt's place in a list tells of its job, if it was the last one.
    fileprivate func state(after attempt: AttemptRecord, _ list: JobList) -> JobState {
        if lastAttempt == attempt.id, list == .processing { return .running }
        if end == "Dead" { return .dead }
        if let end { return .ended(how: end) }
        return lastAttempt == attempt.id && list == .completed ? .completed : .unknown
    }
}
