/// One way of breaking things, and what must hold all the same.
struct Drill: Sendable {
    let name: String
    /// What is done to the system, in a few words.
    let faults: String
    /// The rows of the catalogue of failures (docs/reliability.md) that it tries.
    let rows: String
    /// Minutes that it takes on two cores at its full length.
    let minutes: Double
    let body: @Sendable (DrillRun) async throws -> Void

    init(
        _ name: String,
        _ faults: String,
        rows: String,
        minutes: Double,
        _ body: @escaping @Sendable (DrillRun) async throws -> Void
    ) {
        self.name = name
        self.faults = faults
        self.rows = rows
        self.minutes = minutes
        self.body = body
    }

    /// All of them, in the order in which they run.
    static let all: [Drill] = [
        .kill, .stop, .freeze, .spin, .cut, .restart, .failover, .stall, .full, .watchers, .poison, .garbage, .input,
        .bytes,
        .crashPoints, .soak,
    ]
}
