/// In which order a worker looks into its queues.
public struct QueueOrder: Sendable, Hashable {
    private enum Kind: Hashable {
        case strict
        case weighted([Int])
        case roundRobin
    }

    /// The queues, as given.
    public let names: [String]
    private let kind: Kind
    /// Of a round, the queue first that has not been served for the longest time.
    private var round: [String]

    /// A queue is looked into only when those before it are empty.
    ///
    /// - Throws: ``BackgroundError`` if there is none, one is no queue name, or one is named twice.
    public static func strict(_ names: [String]) throws -> QueueOrder {
        try QueueOrder(names: names, kind: .strict)
    }

    /// Each time the order is drawn anew: a queue comes first with a probability in proportion to its weight.
    ///
    /// - Parameter queues: names and weights, 1 to 1,000,000.
    /// - Throws: ``BackgroundError`` as for ``strict(_:)``, or for a weight out of range.
    public static func weighted(_ queues: [(name: String, weight: Int)]) throws -> QueueOrder {
        for queue in queues where !(1...1_000_000).contains(queue.weight) {
            throw BackgroundError(
                .invalidArgument,
                "The weight of queue \(Names.quoted(queue.name)) is \(queue.weight); it must lie in 1 to 1000000."
            )
        }
        return try QueueOrder(names: queues.map(\.name), kind: .weighted(queues.map(\.weight)))
    }

    /// In turns: each claim begins with the queue that has not been served for the longest time.
    ///
    /// A turn is a claim, not a job: the queue whose turn it is may fill all free fibers. Queues that are empty cost the
    /// others nothing, nor do they save up turns.
    ///
    /// - Throws: ``BackgroundError`` as for ``strict(_:)``.
    public static func roundRobin(_ names: [String]) throws -> QueueOrder {
        try QueueOrder(names: names, kind: .roundRobin)
    }

    /// Reads `high,low` (strict) or `high:5,low:1` (weighted; a queue without a weight has 1).
    public static func parse(_ text: String) throws -> QueueOrder {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard text.contains(":") else { return try strict(parts) }
        return try weighted(
            parts.map { part in
                let halves = part.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                guard halves.count == 2 else { return (part, 1) }
                guard let weight = Int(halves[1]) else {
                    throw BackgroundError(
                        .invalidArgument,
                        "The weight in \(Names.quoted(part)) is not a whole number; write high:5,low:1."
                    )
                }
                return (String(halves[0]), weight)
            }
        )
    }

    private init(names: [String], kind: Kind) throws(BackgroundError) {
        if names.isEmpty { throw BackgroundError(.invalidArgument, "Name at least one queue.") }
        for name in names { try Names.checkQueue(name) }
        var seen: Set<String> = []
        for name in names where !seen.insert(name).inserted {
            throw BackgroundError(.invalidArgument, "The queue \(Names.quoted(name)) is named twice.")
        }
        self.names = names
        self.kind = kind
        round = names
    }

    /// The order for the next claim.
    package mutating func next() -> [String] {
        guard case .weighted(var weights) = kind else {
            guard kind == .roundRobin else { return names }
            let order = round
            // It is taken to be served, for a claim that goes out before this one is answered.
            round.append(round.removeFirst())
            return order
        }
        var left = names
        var order: [String] = []
        while !left.isEmpty {
            var draw = Int.random(in: 0..<weights.reduce(0, +))
            let index = weights.firstIndex { weight in
                draw -= weight
                return draw < 0
            }
            let drawn = index ?? weights.count - 1
            order.append(left.remove(at: drawn))
            weights.remove(at: drawn)
        }
        return order
    }

    /// A claim brought jobs of these queues: all others come before them.
    package mutating func served(_ queues: [String]) {
        guard kind == .roundRobin, let first = queues.first else { return }
        var last = [first]
        for queue in queues where queue != last[last.count - 1] && !last.contains(queue) { last.append(queue) }
        round = round.filter { !last.contains($0) } + last.filter(names.contains)
    }
}
