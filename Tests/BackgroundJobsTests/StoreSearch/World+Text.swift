@testable import BackgroundJobs
@testable import BackgroundJobsTesting

extension World {
    /// The state as text, the same for states that have the same futures: which worker is which does not matter, nor which
    /// watcher is which.
    var text: [UInt8] {
        var least: [UInt8]?
        let former = formerNodes
        let ranks = workers.indices.map { rank($0) }
        // Only where the workers look alike at first sight it takes both texts to tell which comes first.
        for order in [[0, 1], [1, 0]] where ranks[order[0]] <= ranks[order[1]] {
            for former in Self.orders(of: former) {
                var text = StateText(self, order, former)
                text.writeAll()
                if let found = least, !text.bytes.lexicographicallyPrecedes(found) { continue }
                least = text.bytes
            }
        }
        return least ?? []
    }

    /// What a worker is like at first sight, of what its text says.
    private func rank(_ index: Int) -> Int {
        let worker = workers[index]
        guard worker.isAlive else { return 0 }
        let machine = worker.machine
        var rank = 1
        for count in [machine.running.count, machine.unsure.count, machine.unreported.count, machine.calls.count] {
            rank = 8 * rank + min(7, count)
        }
        let flags = [
            worker.isFrozen, worker.client != nil, machine.isLinked, machine.isLinked && machine.isHungry,
            machine.isLinked && machine.waits[Self.queue] == .armed, machine.calls.contains { !$0.finishes.isEmpty },
            machine.running.values.contains { $0.job == jobs[0] },
        ]
        return flags.reduce(rank) { 2 * $0 + ($1 ? 1 : 0) }
    }

    /// The processes that are no more and of which something is left.
    private var formerNodes: [String] {
        var nodes: [String] = []
        func add(_ node: String) {
            let isPresent = workers.indices.contains { workers[$0].isAlive && self.node($0) == node }
            if !isPresent, !nodes.contains(node) { nodes.append(node) }
        }
        for connection in connections.values { add(connection.node) }
        for attempt in store.data.sets["processing:\(Self.queue)"] ?? [] {
            if let node = store.data.attempts[attempt]?["nod"] { add(node) }
        }
        return nodes
    }

    private static func orders(of nodes: [String]) -> [[String]] {
        guard nodes.count > 1 else { return [nodes] }
        return nodes.indices.flatMap { index in
            var others = nodes
            let first = others.remove(at: index)
            return orders(of: others).map { [first] + $0 }
        }
    }

    var key: StateKey { StateKey(text) }

    /// Whether client IDs may yet be given out anew, or a rule is left out: then hardly anything may be passed over.
    var isExact: Bool { misfortunes > 0 || !faults.isEmpty }

    /// Whether a connection of this number, which is none now, may yet come to be.
    func mayComeToBe(_ client: Int64) -> Bool { isExact || client >= nextClient }

    /// Forgets what a watcher still has to do that can't do anything any more.
    mutating func forgetVainActs() {
        guard faults.isEmpty else { return }
        for index in watchers.indices where !watchers[index].isLooking {
            let (cutOff, condemned) = (watchers[index].cutOff, watchers[index].condemned)
            watchers[index].cutOff = cutOff.filter { connections[$0] != nil || mayComeToBe($0) }
            watchers[index].condemned = condemned.filter { !isVain($0) }
        }
    }

    /// An attempt that has ended never runs again, and adoptions only grow in number.
    private func isVain(_ condemned: Condemned) -> Bool {
        guard store.isProcessing(condemned.attempt, condemned.queue) else { return true }
        guard case .gone(_, let node, let adoptions) = condemned.judgement else { return false }
        let record = store.data.attempts[condemned.attempt]
        return record?["nod"] != node || (record?["ado"] ?? "") != adoptions
    }
}
