@testable import BackgroundJobs
@testable import BackgroundJobsTesting

/// A search through all states that can be reached, the nearest first.
///
/// States with one text count as one, and only the first that was reached is gone on from. That is sound if they have the same
/// futures, which ``unlike()`` looks at.
struct StateSearch {
    /// What was wrong, and the shortest way to it.
    struct Counterexample: CustomStringConvertible, Sendable {
        var violations: [String]
        var trace: [String]

        var description: String {
            "\(violations.joined(separator: "\n"))\nafter\n  \(trace.joined(separator: "\n  "))"
        }
    }

    /// How each state was first reached: from which state, and by which of its steps.
    private var origins: [(state: Int32, step: UInt8)] = [(0, 0)]
    private var known: [StateKey: Int32] = [:]
    /// The promised steps: from which state to which.
    private var promised: [(source: Int32, target: Int32)] = []
    private var isOver: [Bool] = []
    private(set) var transitions = 0
    private let first: World

    /// Every so manieth way to a known state is looked at for whether what comes next is the same as from the state that was
    /// known; 0: none.
    private let sampling: Int
    /// By state, all that comes next as one number.
    private var nexts: [Int32: Int] = [:]
    private var samples: [(state: Int32, nexts: Int, origin: Int32, step: UInt8)] = []
    var compared: Int { samples.count }

    var states: Int { origins.count }

    init(_ first: World, comparingEvery sampling: Int = 0) {
        self.first = first
        self.sampling = sampling
        known[first.key] = 0
        isOver = [first.isOver]
    }

    /// Follows all steps from all states until there is nothing new, or there are too many states.
    ///
    /// - Returns: the first violation, nil if there is none.
    mutating func run(atMost limit: Int = .max) throws -> Counterexample? {
        var frontier: [(index: Int32, world: World)] = [(0, first)]
        while !frontier.isEmpty, states < limit {
            var next: [(index: Int32, world: World)] = []
            for (index, world) in frontier {
                var futures: Set<Future> = []
                for (number, step) in world.steps.enumerated() {
                    let after = try world.after(step)
                    transitions += 1
                    let key = after.key
                    let isPromised = world.isPromised(step)
                    if sampling > 0 { futures.insert(Future(key: key, isPromised: isPromised, isSound: true)) }
                    let (target, isNew) = note(after, key, from: index, by: UInt8(number))
                    if target != index, isPromised { promised.append((index, target)) }
                    let violations = after.wrongs(since: world) + after.broken
                    guard violations.isEmpty else {
                        return Counterexample(violations: violations, trace: try trace(index) + ["\(step)"])
                    }
                    if isNew {
                        if !after.isSettled { next.append((target, after)) }
                    } else if sampling > 0, transitions % sampling == 0, !after.isSettled {
                        samples.append((target, try after.nexts, index, UInt8(number)))
                    }
                }
                if sampling > 0 { nexts[index] = futures.hashValue }
            }
            frontier = next
        }
        return nil
    }

    private mutating func note(
        _ world: World,
        _ key: StateKey,
        from state: Int32,
        by step: UInt8
    ) -> (state: Int32, isNew: Bool) {
        if let index = known[key] { return (index, false) }
        let index = Int32(origins.count)
        known[key] = index
        origins.append((state, step))
        isOver.append(world.isOver)
        return (index, true)
    }

    /// Two ways to what counts as one state, from whose ends something else comes next; nil if there are none. To be asked
    /// when all states are known.
    func unlike() throws -> Counterexample? {
        guard let sample = samples.first(where: { nexts[$0.state, default: $0.nexts] != $0.nexts }) else { return nil }
        let other = try trace(sample.origin) + ["step \(sample.step)"]
        return Counterexample(
            violations: ["what counts as one state has different futures"],
            trace: try trace(sample.state) + ["and after"] + other
        )
    }

    /// A state from which the two jobs can't be brought to an end without some luck, and how it is reached; nil if there is
    /// none. To be asked when all states are known.
    func stuck() throws -> Counterexample? {
        // By target, where its sources begin in `sources`.
        var starts = [Int32](repeating: 0, count: states + 1)
        for (_, target) in promised { starts[Int(target) + 1] += 1 }
        for state in 0..<states { starts[state + 1] += starts[state] }
        var sources = [Int32](repeating: 0, count: promised.count)
        var filled = starts
        for (source, target) in promised {
            sources[Int(filled[Int(target)])] = source
            filled[Int(target)] += 1
        }
        var canEnd = isOver
        var open = isOver.indices.filter { isOver[$0] }
        while let state = open.popLast() {
            for source in sources[Int(starts[state])..<Int(starts[state + 1])] where !canEnd[Int(source)] {
                canEnd[Int(source)] = true
                open.append(Int(source))
            }
        }
        guard let state = canEnd.firstIndex(of: false) else { return nil }
        return Counterexample(violations: ["the jobs can't end any more"], trace: try trace(Int32(state)))
    }

    /// The steps that lead to a state, with the jobs' names in place of the attempts'.
    private func trace(_ state: Int32) throws -> [String] {
        var path: [Int] = []
        var at = Int(state)
        while at != 0 {
            path.append(Int(origins[at].step))
            at = Int(origins[at].state)
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

extension World {
    /// All that may come next, as one number.
    fileprivate var nexts: Int {
        get throws {
            let futures = try steps.map { step in
                let after = try after(step)
                let isSound = after.wrongs(since: self).isEmpty && after.broken.isEmpty
                return Future(key: after.key, isPromised: isPromised(step), isSound: isSound)
            }
            return Set(futures).hashValue
        }
    }
}

/// What a step leads to.
private struct Future: Hashable {
    var key: StateKey
    var isPromised: Bool
    var isSound: Bool
}

/// A state by its text: two hashes of it, 128 bits in all, under a key that is new in each process. Among n states two have
/// the same by accident once in 2^129 / n^2 runs: with ten million, once in 10^24.
struct StateKey: Hashable {
    private let first: Int
    private let second: Int

    init(_ text: [UInt8]) {
        func hash(_ salt: UInt8) -> Int {
            var hasher = Hasher()
            hasher.combine(salt)
            text.withUnsafeBytes { hasher.combine(bytes: $0) }
            return hasher.finalize()
        }
        first = hash(0)
        second = hash(1)
    }

    func hash(into hasher: inout Hasher) { hasher.combine(first) }
}
