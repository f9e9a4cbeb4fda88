@testable import BackgroundJobs
@testable import BackgroundJobsTesting

/// What may happen next.
enum Step: Hashable {
    // What goes as it should.
    case connect(worker: Int)
    case carryOut(client: Int64)
    case deliver(client: Int64)
    case end(worker: Int, attempt: String, isRetried: Bool)
    case wake(client: Int64)
    case tell(client: Int64)
    case waitEnds(worker: Int)
    case begin(worker: Int)
    case thaw(worker: Int)
    case close(client: Int64)
    case look(watcher: Int)
    case cutOff(watcher: Int, client: Int64)
    case act(watcher: Int)
    case recover
    case promote
    // What goes wrong.
    case cut(worker: Int)
    case freeze(worker: Int)
    case crash(worker: Int)
    case restart

    var isMisfortune: Bool {
        switch self {
        case .cut, .freeze, .crash, .restart: true
        default: false
        }
    }
}

extension World {
    /// All that may happen in this state, always in the same order.
    var steps: [Step] {
        var steps: [Step] = []
        for index in workers.indices { steps += self.steps(ofWorker: index) }
        for (client, connection) in connections.sorted(by: { $0.key < $1.key }) {
            if connection.request != nil { steps.append(.carryOut(client: client)) }
            if !connection.isHeard { steps.append(.close(client: client)) }
            guard connection.isHeard, !workers[connection.worker].isFrozen else { continue }
            if connection.reply != nil { steps.append(.deliver(client: client)) }
            if connection.woken != nil {
                steps.append(.tell(client: client))
            } else if isArmed(connection.worker), !store.list("ready", Self.queue).isEmpty {
                steps.append(.wake(client: client))
            }
        }
        for index in watchers.indices { steps += self.steps(ofWatcher: index) }
        if !store.list("handoff", Self.queue).isEmpty { steps.append(.recover) }
        if !(store.data.sortedSets["scheduled:\(Self.queue)"] ?? [:]).isEmpty { steps.append(.promote) }
        if misfortunes > 0 { steps.append(.restart) }
        return steps
    }

    private func steps(ofWorker index: Int) -> [Step] {
        let worker = workers[index]
        guard worker.isAlive else { return [.begin(worker: index)] }
        var steps: [Step] = misfortunes > 0 ? [.crash(worker: index)] : []
        guard !worker.isFrozen else { return steps + [.thaw(worker: index)] }
        if misfortunes > 0 { steps.append(.freeze(worker: index)) }
        if worker.client == nil {
            steps.append(.connect(worker: index))
        } else if misfortunes > 0 {
            steps.append(.cut(worker: index))
        }
        for (attempt, run) in worker.machine.running.sorted(by: { $0.value.job < $1.value.job }) {
            steps.append(.end(worker: index, attempt: attempt, isRetried: false))
            let isTriedAgain = run.job == jobs[0] && store.data.jobs[run.job]?["ers"] == nil
            if isTriedAgain { steps.append(.end(worker: index, attempt: attempt, isRetried: true)) }
        }
        // Only where there is something that it would find.
        let waiting = ["handoff", "suspects"].contains { !store.list($0, Self.queue).isEmpty }
        if waiting, isArmed(index) { steps.append(.waitEnds(worker: index)) }
        return steps
    }

    /// It cuts by number, and who got which number is chance: so here in any order.
    private func steps(ofWatcher index: Int) -> [Step] {
        let watcher = watchers[index]
        if watcher.isLooking { return [.look(watcher: index)] }
        if watcher.cutOff.isEmpty { return [.act(watcher: index)] }
        return watcher.cutOff.map { .cutOff(watcher: index, client: $0) }
    }

    private func isArmed(_ worker: Int) -> Bool {
        workers[worker].machine.isLinked && workers[worker].machine.waits[Self.queue] == .armed
    }

    /// Whether a step counts as one that helps: a frozen worker need not thaw where another one is there.
    func isPromised(_ step: Step) -> Bool {
        if case .thaw(let index) = step { return workers[1 - index].isFrozen }
        return !step.isMisfortune
    }

    /// The state after a step.
    func after(_ step: Step) throws -> World {
        var next = self
        next.violations = []
        if step.isMisfortune { next.misfortunes -= 1 }
        switch step {
        case .connect(let index): next.connect(index)
        case .carryOut(let client): next.carryOut(client)
        case .deliver(let client): next.deliver(client)
        case .end(let index, let attempt, let isRetried): next.end(index, attempt, isRetried)
        case .wake(let client): next.wake(client)
        case .tell(let client): next.tell(client)
        case .waitEnds(let index):
            next.workers[index].machine.waitEnded(Self.queue)
            next.pressOn(index)
        case .begin(let index): try next.begin(index)
        case .thaw(let index):
            next.workers[index].isFrozen = false
            // It notices that it was away: what its connection brings is not read.
            next.disconnect(index)
        case .close(let client): next.connections[client] = nil
        case .look(let index): next.look(index)
        case .cutOff(let index, let client): next.cutOff(client, index)
        case .act(let index): next.act(index)
        case .recover: _ = next.transact { $0.recover($0.list("handoff", Self.queue), in: Self.queue) }
        case .promote: _ = next.transact { $0.promote(Self.queue, limit: 500) }
        case .cut(let index): next.disconnect(index)
        case .freeze(let index): next.workers[index].isFrozen = true
        case .crash(let index): next.crash(index)
        case .restart: next.restart()
        }
        next.forgetVainActs()
        return next
    }

    // MARK: The worker and its connection

    /// As `CommandConnection` does it: ends the former connections, but for those of another run of the server, then adopts.
    private mutating func connect(_ index: Int) {
        let client = nextClient
        nextClient += 1
        workers[index].client = client
        if !faults.contains(.keepsFormerConnection) {
            for former in workers[index].formers where former.run == run && former.client != client {
                connections[former.client] = nil
            }
        }
        workers[index].formers.append((client, run))
        var connection = Connection(worker: index, node: node(index))
        var adoption = workers[index].machine.adopting()
        if faults.contains(.forgetsOffers) { adoption.offered = [] }
        connection.request = .adopt(adoption)
        connections[client] = connection
    }

    private mutating func carryOut(_ client: Int64) {
        guard let connection = connections[client], let request = connection.request else { return }
        connections[client]?.request = nil
        let voucher = Voucher(node: connection.node, client: client)
        let reply: Connection.Reply
        switch request {
        case .adopt(let adoption):
            reply = .adopted(transact { $0.adopt(adoption, as: voucher) })
        case .exchange(let call):
            checkStale(call.finishes, voucher)
            reply = .exchanged(call.number, transact { $0.exchange(call.finishes, call.claim, as: voucher) })
        }
        guard connection.isHeard else { return }
        connections[client]?.reply = reply
        if !isFine, !workers[connection.worker].isFrozen { deliver(client) }
    }

    /// I5: a finish of an attempt that is not in `processing` changes nothing.
    private mutating func checkStale(_ finishes: [Finish], _ voucher: Voucher) {
        for finish in finishes where !store.isProcessing(finish.attempt, finish.queue) {
            var copy = self
            _ = copy.transact { $0.exchange([finish], .none, as: voucher) }
            if copy.store.data != store.data {
                violations.append("I5: a stale finish of \(finish.job) changed something")
            }
        }
    }

    private mutating func deliver(_ client: Int64) {
        guard let connection = connections[client], let reply = connection.reply else { return }
        connections[client]?.reply = nil
        let index = connection.worker
        switch reply {
        case .adopted(let adopted):
            let formers = workers[index].formers
            workers[index].formers = [(client, run)]
            _ = workers[index].machine.adopted(
                adopted,
                session: UInt64(client),
                mayHaveRolledBack: formers.contains { $0.run != run }
            )
            if faults.contains(.forgetsOffers) { workers[index].machine.unsure = [] }
        case .exchanged(let number, let exchange):
            _ = workers[index].machine.answered(number, exchange, now: Self.start)
        }
        pressOn(index)
    }

    /// Does what the worker's machine says until it has to wait for something.
    private mutating func pressOn(_ index: Int) {
        while true {
            switch workers[index].machine.next(now: Self.start) {
            case .exchange(let call):
                guard let client = workers[index].client else { return }
                connections[client]?.request = .exchange(call)
            case .arm:
                continue
            case .sweep:
                sweep(index)
            case .sleep, .end:
                return
            }
        }
    }

    private mutating func sweep(_ index: Int) {
        let attempts = store.data.sets["processing:\(Self.queue)"] ?? []
        for attempt in attempts.sorted(by: { job(of: $0) < job(of: $1) }) {
            guard let record = store.data.attempts[attempt], record["nod"] == node(index),
                !workers[index].machine.answersFor(attempt)
            else { continue }
            reap(Condemned(queue: Self.queue, attempt: attempt, judgement: World.judgement(record)))
        }
    }

    private mutating func end(_ index: Int, _ attempt: String, _ isRetried: Bool) {
        let ending: Ending = isRetried ? .retried(error: "E", message: "", after: 0, queue: nil) : .completed
        _ = workers[index].machine.ended(attempt, after: 1, as: ending)
        pressOn(index)
    }

    /// BLMOVE takes a job off `ready`.
    private mutating func wake(_ client: Int64) {
        guard let job = store.list("ready", Self.queue).first else { return }
        transact { state in
            state.data.lists["ready:\(Self.queue)"]?.removeFirst()
            state.pushTail("handoff", Self.queue, job)
        }
        connections[client]?.woken = job
        if !isFine { tell(client) }
    }

    private mutating func tell(_ client: Int64) {
        guard let connection = connections[client], let job = connection.woken else { return }
        connections[client]?.woken = nil
        if workers[connection.worker].machine.woke(Self.queue) == .giveBack {
            _ = transact { $0.recover([job], in: Self.queue) }
        }
        pressOn(connection.worker)
    }

    // MARK: What goes wrong

    /// The worker finds its connection broken; the server still has the other end of it, and what was sent.
    mutating func disconnect(_ index: Int) {
        guard let client = workers[index].client else { return }
        deafen(client, index)
        workers[index].client = nil
        for call in workers[index].machine.calls {
            workers[index].machine.failed(call.number, .unanswered, now: Self.start)
        }
        workers[index].machine.unlinked()
        workers[index].machine.waitEnded(Self.queue)
        pressOn(index)
    }

    private mutating func deafen(_ client: Int64, _ index: Int) {
        // Under the same number there may be another's by now, of a later run of the server.
        guard connections[client]?.node == node(index) else { return }
        connections[client]?.isHeard = false
        connections[client]?.reply = nil
        connections[client]?.woken = nil
    }

    private mutating func crash(_ index: Int) {
        workers[index].isAlive = false
        workers[index].isFrozen = false
        if let client = workers[index].client { deafen(client, index) }
        workers[index].client = nil
        workers[index].formers = []
    }

    private mutating func begin(_ index: Int) throws {
        workers[index] = Worker(life: workers[index].life + 1, machine: try Self.machine())
    }

    /// Redis ends and starts with the same data; its client IDs begin again.
    private mutating func restart() {
        run += 1
        nextClient = 1
        connections = [:]
        for index in workers.indices where !workers[index].isFrozen { disconnect(index) }
    }
}
