import BackgroundRedis

extension RedisStore {
    package func due(limit: Int, offset: Int) async throws(BackgroundError) -> DuePeriodics {
        let reply = try await run(scripts.due, arguments: 2) { pipeline in
            pipeline.append(limit)
            pipeline.append(offset)
        }
        guard let parts = reply.array, parts.count >= 2, let now = parts[0].int else { throw .unexpected(reply, "due") }
        let entries = try parts.dropFirst(2).map { part throws(BackgroundError) in
            guard let words = part.array, words.count == 3 || words.count == 2 + DuePeriodics.told.count,
                let name = words[0].text, let due = words[1].int
            else { throw BackgroundError.unexpected(reply, "due") }
            return DuePeriodics.Entry(name: name, due: due, fields: Self.fields(words.dropFirst(2)))
        }
        return DuePeriodics(entries: entries, now: now, wait: parts[1].int)
    }

    private static func fields(_ words: ArraySlice<RESPValue>) -> DuePeriodics.Entry.Fields {
        if words.count == 1, let sentence = words.first?.text { return .damaged(sentence) }
        let texts = zip(DuePeriodics.told, words.map { $0.text ?? "" }).filter { !$0.1.isEmpty }
        return .read(Dictionary(uniqueKeysWithValues: texts))
    }

    package func fire(_ firings: [Firing]) async throws(BackgroundError) -> [Fired] {
        guard !firings.isEmpty else { return [] }
        let reply = try await run(scripts.fire, arguments: 10 * firings.count) { pipeline in
            for firing in firings {
                pipeline.append(firing.name)
                pipeline.append(firing.due)
                pipeline.append(firing.time.map { "\($0)" } ?? "")
                if case .at(let time) = firing.next { pipeline.append(time) } else { pipeline.append("") }
                pipeline.append(firing.expression)
                pipeline.append(firing.zone)
                pipeline.append(firing.missed)
                pipeline.append(firing.until)
                pipeline.append(firing.job)
                if case .never(let reason) = firing.next { pipeline.append(reason) } else { pipeline.append("") }
            }
        }
        guard let verdicts = reply.array, verdicts.count == firings.count else { throw .unexpected(reply, "fire") }
        return verdicts.map { Fired($0.text ?? "") }
    }

    package func declare(
        _ declarations: [Declaration],
        by owner: String?,
        areAll: Bool,
        revives: Bool
    ) async throws(BackgroundError) -> Declared {
        let count = declarations.reduce(3) { $0 + 3 + 2 * $1.fields.count }
        let reply = try await run(scripts.declare, arguments: count) { pipeline in
            pipeline.append(owner ?? "")
            pipeline.append(areAll ? "1" : "")
            pipeline.append(revives ? "1" : "")
            for declaration in declarations {
                pipeline.append(declaration.name)
                pipeline.append(declaration.first)
                pipeline.append(declaration.fields.count)
                for (field, value) in declaration.fields {
                    pipeline.append(field)
                    pipeline.append(value)
                }
            }
        }
        guard let parts = reply.array, parts.count == 2, let verdicts = parts[0].array,
            verdicts.count == declarations.count
        else { throw .unexpected(reply, "declare") }
        return Declared(
            verdicts: verdicts.map { Declared.Verdict($0.text ?? "") },
            removed: (parts[1].array ?? []).compactMap(\.text)
        )
    }

    package func steer(_ periodic: String, _ action: PeriodicAction) async throws(BackgroundError) -> PeriodicVerdict {
        let words: [String] =
            switch action {
            case .remove: ["remove"]
            case .pause: ["pause"]
            case .resume(let next, let expression, let zone): ["resume", "\(next)", expression, zone]
            case .end(let reason): ["end", reason]
            case .run(let job): ["run", job]
            }
        let reply = try await run(scripts.steer, arguments: 1 + words.count) { pipeline in
            pipeline.append(periodic)
            for word in words { pipeline.append(word) }
        }
        guard let verdict = reply.text.flatMap(PeriodicVerdict.init(rawValue:)) else {
            throw .unexpected(reply, "steer")
        }
        return verdict
    }
}

extension Fired {
    fileprivate init(_ verdict: String) {
        self =
            switch verdict {
            case "fired": .fired
            case "skipped": .skipped
            case "passed": .passed
            case "rested": .rested
            case "taken": .taken
            case "early": .early
            default: .damaged(verdict)
            }
    }
}

extension Declared.Verdict {
    fileprivate init(_ verdict: String) {
        self =
            switch verdict {
            case "added": .added
            case "changed": .changed
            case "unchanged": .unchanged
            case _ where verdict.hasPrefix("foreign:"): .foreign(String(verdict.dropFirst("foreign:".count)))
            default: .damaged(verdict)
            }
    }
}
