import BackgroundJobs

/// The transitions of periodic jobs.
extension MemoryState {
    private static let never = StoreSnapshot.never
    private static let standing: Set = ["pau", "las", "lat", "fis", "ski", "end"]
    /// Fields that the jobs it fires don't get.
    private static let kept = standing.union([
        "exp", "tz", "own", "mis", "ovl", "unt", "cnt", "ttl", "qat", "pat", "att", "ers", "crs", "crt", "cnl", "ori",
        "unq",
        "unu", "crn", "due", "nxt", "onf", "bat", "blk", "stp", "flr", "bsm", "aft", "dly", "exr", "pla", "plt",
    ])

    private func score(of name: String) -> Int64? { data.sortedSets["crons"]?[name] }

    private mutating func setScore(of name: String, to score: Int64) {
        touch("scheduled")
        data.sortedSets["crons", default: [:]][name] = score
    }

    func due(limit: Int, offset: Int) -> DuePeriodics {
        let scores = data.sortedSets["crons"] ?? [:]
        let names = data.ranked("crons").filter { scores[$0] ?? 0 <= now }.dropFirst(offset).prefix(limit)
        let entries = names.map { name in
            let texts = DuePeriodics.told.compactMap { field in
                data.periodics[name]?.present(field).map { (field, $0) }
            }
            return DuePeriodics.Entry(
                name: name,
                due: scores[name] ?? 0,
                fields: .read(Dictionary(uniqueKeysWithValues: texts))
            )
        }
        let next = scores.values.filter { $0 > now && $0 != Self.never }.min()
        return DuePeriodics(entries: entries, now: now, wait: next.map { $0 - now })
    }

    // MARK: Firing

    mutating func fire(_ firing: Firing) -> Fired {
        let name = firing.name
        guard score(of: name) == firing.due else { return .taken }
        guard firing.due <= now else { return .early }
        let record = data.periodics[name] ?? Record()
        guard (record["exp"] ?? "") == firing.expression, (record["tz"] ?? "") == firing.zone else { return .taken }
        if record["pau"] == "1" || record.present("end") != nil {
            setScore(of: name, to: Self.never)
            return .rested
        }
        guard let time = firing.time else {
            moveOn(name, firing.next)
            return .passed
        }
        guard record["cnt"] == nil || record.number("cnt") != nil else {
            return .damaged("cnt of \(name) is no number")
        }
        guard mayEnqueue(record) else { return .damaged("the periodic job \(name) has no field cls or que") }
        if record["ovl"] == "skip", let last = record.present("las"), isUnderWay(last) {
            data.periodics[name]?["ski"] = "\((record.number("ski") ?? 0) + 1)"
            moveOn(name, firing.next)
            return .skipped
        }
        let fired = (record.number("fis") ?? 0) + 1
        enqueue(name, record, as: firing.job, due: time)
        data.periodics[name]?["lat"] = "\(time)"
        data.periodics[name]?["fis"] = "\(fired)"
        let isLast = record.number("cnt").map { fired >= $0 } ?? false
        moveOn(name, isLast ? .never("count") : firing.next)
        return .fired
    }

    private mutating func moveOn(_ name: String, _ next: Firing.Next) {
        switch next {
        case .at(let time): setScore(of: name, to: time)
        case .never(let reason):
            setScore(of: name, to: Self.never)
            data.periodics[name, default: Record()]["end"] = reason
        }
    }

    private func mayEnqueue(_ record: Record) -> Bool {
        record.present("cls") != nil && record.present("que").map { (try? Names.checkQueue($0)) != nil } == true
    }

    private mutating func enqueue(_ name: String, _ record: Record, as job: String, due: Int64?) {
        var fields = Record(record.fields.filter { !Self.kept.contains($0.key) })
        fields["qat"] = "\(now)"
        fields["crn"] = name
        fields["due"] = due.map { "\($0)" }
        if let life = record.number("ttl") { fields["exp"] = "\(now + life)" }
        data.jobs[job] = fields
        recorded?.append(EnqueuedJob(id: job, fields, isWaiting: false))
        let queue = record["que"] ?? ""
        pushTail("ready", queue, job)
        data.sets["queues", default: []].insert(queue)
        data.periodics[name]?["las"] = job
    }

    // MARK: Declaring

    mutating func declare(
        _ declarations: [Declaration],
        by owner: String?,
        areAll: Bool,
        revives: Bool
    ) -> Declared {
        let verdicts = declarations.map { declare($0, by: owner ?? "", revives: revives) }
        guard areAll else { return Declared(verdicts: verdicts, removed: []) }
        let names = Set(declarations.map(\.name))
        let removed = data.ranked("crons").filter { !names.contains($0) && data.periodics[$0]?["own"] == owner ?? "" }
        for name in removed { remove(name) }
        return Declared(verdicts: verdicts, removed: removed)
    }

    private mutating func remove(_ name: String) {
        data.sortedSets["crons"]?[name] = nil
        data.periodics[name] = nil
    }

    private mutating func declare(_ declaration: Declaration, by owner: String, revives: Bool) -> Declared.Verdict {
        let name = declaration.name
        let found = data.periodics[name]
        if let found, (found["own"] ?? "") != owner { return .foreign(found["own"] ?? "") }
        let hasEnded = found?.present("end") != nil
        if let found, found.fields.filter({ !Self.standing.contains($0.key) }) == declaration.fields,
            !(hasEnded && revives)
        {
            let first = found["pau"] == "1" || hasEnded ? Self.never : declaration.first
            if score(of: name) == nil { setScore(of: name, to: first) }
            return .unchanged
        }
        var record = Record((found?.fields ?? [:]).filter { Self.standing.contains($0.key) })
        record["fis"] = nil
        record["end"] = nil
        record.fields.merge(declaration.fields) { $1 }
        data.periodics[name] = record
        setScore(of: name, to: record["pau"] == "1" ? Self.never : declaration.first)
        return found == nil ? .added : .changed
    }

    // MARK: By hand

    /// nil where the periodic job lacks what it takes to run it.
    mutating func steer(_ name: String, _ action: PeriodicAction) -> PeriodicVerdict? {
        if action == .remove {
            let isThere = score(of: name) != nil || data.periodics[name] != nil
            remove(name)
            return isThere ? .done : .missing
        }
        guard let record = data.periodics[name] else { return .missing }
        if case .run(let job) = action {
            if data.jobs[job]?["que"] != nil { return .done }
            guard mayEnqueue(record) else { return nil }
            enqueue(name, record, as: job, due: nil)
            return .done
        }
        if record.present("end") != nil { return .ended }
        switch action {
        case .pause:
            data.periodics[name]?["pau"] = "1"
            setScore(of: name, to: Self.never)
        case .resume(let next, let expression, let zone):
            guard record["pau"] == "1" else { return .idle }
            guard (record["exp"] ?? "") == expression, (record["tz"] ?? "") == zone else { return .changed }
            data.periodics[name]?["pau"] = nil
            setScore(of: name, to: next)
        case .end(let reason):
            data.periodics[name]?["end"] = reason
            setScore(of: name, to: Self.never)
        case .remove, .run: break
        }
        return .done
    }
}
