@testable import BackgroundJobs
@testable import BackgroundJobsTesting

/// A search through all states that can be reached, the nearest first.
struct StateSearch {
    /// What was wrong, and the shortest way to it.
    struct Counterexample: CustomStringConvertible {
        var violations: [String]
        var trace: [String]

        var description: String {
            "\(violations.joined(separator: "\n"))\nafter\n  \(trace.joined(separator: "\n  "))"
        }
    }

    /// How each state was first reached: from which state, and by which of its steps.
    private var origins: [(state: Int, step: Int)] = [(0, 0)]
    private var known: [String: Int] = [:]
    /// By state, those from which a promised step leads to it.
    private var sources: [[Int32]] = [[]]
    private var isOver: [Bool] = []
    /// Those whose steps have been followed.
    private(set) var expanded = 0
    private(set) var transitions = 0
    private let first: World

    var states: Int { origins.count }

    init(_ first: World) {
        self.first = first
        known[first.text] = 0
        isOver = [first.isOver]
    }

    /// Follows all steps from all states until there is nothing new, or there are too many states.
    ///
    /// - Returns: the first violation, nil if there is none.
    mutating func run(atMost limit: Int = .max) throws -> Counterexample? {
        var frontier: [(index: Int, world: World)] = [(0, first)]
        while !frontier.isEmpty, states < limit {
            var next: [(index: Int, world: World)] = []
            for (index, world) in frontier {
                for (number, step) in world.steps.enumerated() {
                    let after = try world.after(step)
                    transitions += 1
                    let (target, isNew) = note(after, from: index, by: number)
                    let violations = after.wrongs(since: world) + (isNew ? after.broken : [])
                    if world.isPromised(step) { sources[target].append(Int32(index)) }
                    guard violations.isEmpty else {
                        return Counterexample(violations: violations, trace: try trace(index) + ["\(step)"])
                    }
                    if isNew, !after.isSettled { next.append((target, after)) }
                }
                expanded += 1
            }
            frontier = next
        }
        return nil
    }

    private mutating func note(_ world: World, from state: Int, by step: Int) -> (state: Int, isNew: Bool) {
        let text = world.text
        if let index = known[text] { return (index, false) }
        let index = origins.count
        known[text] = index
        origins.append((state, step))
        sources.append([])
        isOver.append(world.isOver)
        return (index, true)
    }

    /// A state from which the two jobs can't be brought to an end without some luck, and how it is reached; nil if there is
    /// none. To be asked when all states are known.
    func stuck() throws -> Counterexample? {
        var canEnd = isOver
        var open = isOver.indices.filter { isOver[$0] }
        while let state = open.popLast() {
            for source in sources[state] where !canEnd[Int(source)] {
                canEnd[Int(source)] = true
                open.append(Int(source))
            }
        }
        guard let state = canEnd.firstIndex(of: false) else { return nil }
        return Counterexample(violations: ["the jobs can't end any more"], trace: try trace(state))
    }

    /// The steps that lead to a state, with the jobs' names in place of the attempts'.
    private func trace(_ state: Int) throws -> [String] {
        var path: [Int] = []
        var at = state
        while at != 0 {
            path.append(origins[at].step)
            at = origins[at].state
        }
        var world = first
        var lines: [String] = []
        for number in path.reversed() {
            let step = world.steps[number]
            lines.append("\(step)")
            world = try world.after(step)
        }
        return lines
    }
}
