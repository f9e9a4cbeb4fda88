public import BackgroundJobs
import Logging

/// The first step of a chain: later ones see what it returns.
public struct ReserveStock: Job {
    public var order: Int
    public var items: [String]

    public func perform(_ context: JobContext) async throws -> Int {
        if items.isEmpty { throw JobOutcome.dead("the order \(order) is empty") }
        try context.share("reservation", "reservation-\(order)")
        return items.count
    }
}

/// Is enqueued by the same step that ends ``ReserveStock``.
public struct ChargeCard: Job {
    public static let options = JobOptions(
        retries: 3,
        backoff: .list([.seconds(10), .seconds(60)]),
        timeout: .seconds(30)
    )

    public var cents: Int

    /// Rules by type of error.
    public static func outcome(of error: any Error) -> JobOutcome? {
        error is CardDeclined ? .dead("the card was declined") : nil
    }

    public func perform(_ context: JobContext) async throws -> String {
        guard let items = try context.result(of: ReserveStock.self) else { return "nothing to be charged" }
        if cents > 100_000 { throw CardDeclined() }
        // The job's ID is the same for each attempt, so it serves as the key under which nothing is charged twice.
        return "charged \(cents) for \(items) items, key \(context.jobID)"
    }
}

struct CardDeclined: Error {}

/// Runs once if a step is dead.
public struct ReleaseStock: Job {
    public var order: Int

    public func perform(_ context: JobContext) async throws {
        context.logger.notice("Order \(order) is released: \(context.cause?.message ?? "")")
    }
}

/// Enqueues all steps, or none.
public func place(order: Int, items: [String], cents: Int, _ manager: Manager) async throws -> ChainHandle<String> {
    try await manager.enqueue(
        ReserveStock(order: order, items: items)
            .then(ChargeCard(cents: cents))
            .onFailure(ReleaseStock(order: order))
    )
}
