import BackgroundJobs

/// A step of a chain of such steps. It fails unless it sees what each step before it has returned and shared.
struct Step: Job {
    var number: Int
    var ms: Double
    var dies: Bool

    static var options: JobOptions { JobOptions(retries: 0, crashRetries: .all) }

    struct OutOfStep: Error, CustomStringConvertible {
        var description: String
    }

    func perform(_ context: JobContext) async throws -> Int {
        LedgerFile.append("start", context)
        try await Task.sleep(for: .milliseconds(ms))
        let former = try context.result(of: Step.self)
        let sum: Int = try context.shared("sum") ?? 0
        guard context.steps.count == number, former == (number == 0 ? nil : number - 1),
            sum == number * (number - 1) / 2
        else {
            throw OutOfStep(description: "step \(number) saw \(context.steps.count), \(former ?? -1) and \(sum)")
        }
        try context.share("sum", sum + number)
        LedgerFile.append("end", context)
        if dies { throw JobOutcome.dead("as it is to") }
        return number
    }
}

/// A job of a batch.
struct Member: Job {
    var ms: Double
    var dies: Bool

    static var options: JobOptions { JobOptions(retries: 0, crashRetries: .all) }

    func perform(_ context: JobContext) async throws {
        LedgerFile.append("start", context)
        try await Task.sleep(for: .milliseconds(ms))
        LedgerFile.append("end", context)
        if dies { throw JobOutcome.dead("as it is to") }
    }
}

/// What a chain or a batch calls. Returns what it was told.
struct Callback: Job {
    static var options: JobOptions { JobOptions(retries: 0, crashRetries: .all) }

    func perform(_ context: JobContext) async throws -> String {
        LedgerFile.append("start", context)
        let counts = context.batchCounts.map {
            "\($0.total) \($0.pending) \($0.completed) \($0.dead) \($0.other)"
        }
        LedgerFile.append("end", context)
        return counts ?? context.cause.map { "\($0.className) \($0.message)" } ?? "nothing"
    }
}
