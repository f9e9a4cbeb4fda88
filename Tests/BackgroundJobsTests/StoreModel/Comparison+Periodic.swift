import BackgroundJobsTesting
import TestSupport

@testable import BackgroundJobs

/// What is done with periodic jobs.
extension Comparison {
    private static let periodics = ["p1", "p2", "p3"]
    private static let owners = [nil, "first", "second"]

    mutating func periodic() async throws -> String {
        switch random.upTo(10) {
        case 0..<4: try await declare()
        case 4..<8: try await fire()
        default: try await steer()
        }
    }

    private mutating func declare() async throws -> String {
        var declarations: [Declaration] = []
        for name in Self.periodics where random.upTo(2) == 0 {
            var fields = ["exp": "every:\(1000 * (1 + random.upTo(2)))", "cls": "C", "que": random.pick(Self.queues)]
            fields["arg"] = "{}"
            fields["tz"] = random.pick([nil, "Europe/Berlin"])
            fields["ovl"] = random.pick([nil, "skip"])
            fields["cnt"] = random.pick([nil, nil, "2", "none"])
            fields["ttl"] = random.pick([nil, "60000"])
            fields["ret"] = random.pick([nil, "1"])
            declarations.append(
                Declaration(
                    name: name,
                    first: now + Int64(random.upTo(3)) * 1000,
                    fields: fields.mapValues { Array($0.utf8) }
                )
            )
        }
        let (owner, areAll, revives) = (random.pick(Self.owners), random.upTo(4) == 0, random.upTo(2) == 0)
        var model = try await memory.declare(declarations, by: owner, areAll: areAll && owner != nil, revives: revives)
        var real = try await redis.declare(declarations, by: owner, areAll: areAll && owner != nil, revives: revives)
        model.removed.sort()
        real.removed.sort()
        check("declare", model, real)
        return "declare \(declarations.map(\.name)) by \(owner ?? "hand"), all: \(areAll), revives: \(revives)"
    }

    private mutating func fire() async throws -> String {
        let due = try await memory.due(limit: 2, offset: random.upTo(2))
        let offset = due.entries.isEmpty ? 0 : random.upTo(2)
        check(
            "due",
            try await memory.due(limit: 2, offset: offset),
            try await redis.due(limit: 2, offset: offset)
        )
        var firings: [Firing] = []
        for entry in due.entries {
            guard case .read(let fields) = entry.fields else { continue }
            let job = name("j")
            firings.append(
                Firing(
                    name: entry.name,
                    due: random.upTo(8) == 0 ? 1 : entry.due,
                    time: random.upTo(5) == 0 ? nil : entry.due,
                    next: random.upTo(6) == 0 ? .never("until") : .at(now + 1000 * Int64(random.upTo(3))),
                    expression: random.upTo(8) == 0 ? "@daily" : fields["exp"] ?? "",
                    zone: fields["tz"] ?? "",
                    missed: fields["mis"] ?? "",
                    until: random.upTo(8) == 0 ? "1" : fields["unt"] ?? "",
                    job: job
                )
            )
            jobs.append(job)
        }
        if random.upTo(6) == 0 {
            firings.append(
                Firing(name: "nobody", due: now, time: now, next: .at(now + 1), expression: "@daily", job: "none")
            )
        }
        let model = try await memory.fire(firings).map(Self.withoutWords)
        check("fire", model, try await redis.fire(firings).map(Self.withoutWords))
        return "fire \(firings.map { "\($0.name) as \($0.job)" }): \(model)"
    }

    /// In words they may differ.
    private static func withoutWords(_ fired: Fired) -> Fired {
        if case .damaged = fired { .damaged("") } else { fired }
    }

    private mutating func steer() async throws -> String {
        let name = random.pick(Self.periodics)
        let record = memory.snapshot.periodics[name]
        let job = self.name("j")
        let action = random.pick(
            [
                .pause, .pause, .remove, .end(reason: "enough"), .run(job: job),
                .resume(next: now + 1000, expression: record?["exp"] ?? "", zone: record?["tz"] ?? ""),
                .resume(next: now + 1000, expression: "@daily", zone: ""),
            ] as [PeriodicAction]
        )
        let model = try await memory.steer(name, action)
        check("steer", model, try await redis.steer(name, action))
        if case .run = action, model == .done { jobs.append(job) }
        return "steer \(name): \(action)"
    }
}
