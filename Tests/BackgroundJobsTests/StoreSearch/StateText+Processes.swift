@testable import BackgroundJobs
@testable import BackgroundJobsTesting

/// The workers, their connections and the watchers.
extension StateText {
    // MARK: Workers

    mutating func write(worker: World.Worker, node: String) {
        write("\nw")
        guard worker.isAlive else { return write("dead") }
        write(worker.isFrozen)
        write(client: worker.client)
        if world.isExact { write(worker.formers.isEmpty) }
        write(worker.formers.contains { $0.run != world.run })
        for former in worker.formers where former.run == world.run && world.connections[former.client]?.node == node {
            write(client: former.client)
        }
        let machine = worker.machine
        write(machine.isLinked)
        write(machine.needsSweep)
        // A new connection makes it hungry, and its wait has ended.
        if machine.isLinked {
            write(machine.isHungry)
            write(machine.waits[World.queue] == .armed)
        }
        write("r")
        for (attempt, _) in machine.running.sorted(by: { $0.value.job < $1.value.job }) { write(attempt: attempt) }
        write("u")
        for attempt in machine.unsure { write(attempt: attempt) }
        write("f")
        for finish in machine.unreported { write(finish) }
        for call in machine.calls { write(call) }
    }

    mutating func writeSpare(_ worker: World.Worker) {
        guard worker.isAlive else { return }
        write("\ns")
        for attempt in worker.machine.spare where isKnown(attempt) || !world.faults.isEmpty { write(attempt: attempt) }
    }

    private mutating func write(_ finish: Finish) {
        write(attempt: finish.attempt)
        write(finish.ending == .completed)
    }

    private mutating func write(_ call: WorkerMachine.Call) {
        write("(")
        for finish in call.finishes { write(finish) }
        write("/")
        for attempt in call.claim.reoffered { write(attempt: attempt) }
        // One that has been offered before and not been used is as good as a new one.
        if !world.faults.isEmpty { write("/") }
        for attempt in call.claim.offered { write(attempt: attempt) }
        write(call.claim.mayTakeSuspect)
        write(")")
    }

    // MARK: Connections

    mutating func write(_ client: Int64, _ connection: World.Connection) {
        write("\nc")
        write(client: client)
        write(node: connection.node)
        write(connection.isHeard)
        write(connection.woken ?? "")
        switch connection.request {
        case .adopt(let adoption): write(adoption)
        case .exchange(let call): write(call)
        case nil: break
        }
        switch connection.reply {
        case .adopted(let adopted):
            write("a")
            let order = adopted.verdicts.sorted { position($0.key) < position($1.key) }
            for (attempt, verdict) in order {
                write(attempt: attempt)
                write("\(verdict)")
            }
            for job in adopted.granted { write(attempt: job.attempt) }
        case .exchanged(_, let exchange):
            write("e")
            for (index, verdict) in exchange.exceptions.sorted(by: { $0.key < $1.key }) { write("\(index)\(verdict)") }
            for job in exchange.jobs { write(attempt: job.attempt) }
            write(exchange.isShort)
            for spent in exchange.spent { write(attempt: spent) }
        case nil: break
        }
    }

    private mutating func write(_ adoption: Adoption) {
        write("A")
        let attempts = adoption.attempts.map(\.attempt).sorted { position($0) < position($1) }
        for attempt in attempts { write(attempt: attempt) }
        write("/")
        for attempt in adoption.offered { write(attempt: attempt) }
    }

    // MARK: Watchers

    mutating func write(_ watcher: World.Watcher) {
        write("\nt")
        let judge = watcher.judge
        let isCurrent = judge.facts?.runID == "\(world.run)"
        let next = watcher.now + World.limits.interval
        // What it noticed is void after a look at which it may not judge.
        let judgesNext = isCurrent && judge.judgesFrom.map { $0 <= next } ?? false
        write(isCurrent)
        write(judgesNext)
        let processing = world.store.data.sets["processing:\(World.queue)"] ?? []
        let watched = (judge.watched[World.queue] ?? [:]).filter { processing.contains($0.key) }
        for (attempt, seen) in watched.sorted(by: { position($0.key) < position($1.key) }) {
            write(attempt, seen, judgesNext ? next : nil)
        }
        write("/")
        for client in watcher.cutOff.sorted(by: { place($0) < place($1) }) { write(client: client) }
        for condemned in watcher.condemned { write(condemned) }
    }

    private mutating func write(_ attempt: String, _ seen: Judge.Watched, _ next: Judge.Instant?) {
        guard let record = seen.record, let client = Int64(record.client) else { return }
        let present = world.store.data.attempts[attempt].map(World.record)
        if record != present {
            // It is read again, unless there is such a connection: then the attempt counts as vouched for.
            guard world.mayComeToBe(client) || world.connections[client]?.node == record.node else { return }
            write("stale ")
            write(attempt: attempt)
            write(client: client)
            write(node: record.node)
            return
        }
        func isDue(_ since: Judge.Instant, _ wait: Duration) -> Bool { next.map { since + wait <= $0 } ?? false }
        let grace = World.limits.grace
        var mark = ""
        if next != nil, let gone = seen.goneSince {
            mark = isDue(gone, record.isAtMostOnce ? grace : World.limits.secondLook) ? "gone for long" : "gone"
        }
        if next != nil, let disowned = seen.disownedSince {
            mark += isDue(disowned, grace + .milliseconds(1)) ? "disowned for long" : "disowned"
        }
        // What it has read of an attempt that nothing is amiss with, it would read again.
        guard world.mayComeToBe(client) || !mark.isEmpty || isAdopting(client, record.node) else { return }
        write(attempt: attempt)
        write(mark)
    }

    /// Whether an attempt may get this number anew, and a watcher would not notice that it is another connection.
    private func isAdopting(_ client: Int64, _ node: String) -> Bool {
        guard let connection = world.connections[client], connection.node == node else { return false }
        if case .adopt = connection.request { return true }
        return false
    }

    private mutating func write(_ condemned: Condemned) {
        guard case .gone(let client, let node, let adoptions) = condemned.judgement else { return }
        write(attempt: condemned.attempt)
        write(client: Int64(client))
        write(node: node)
        let present = (world.store.data.attempts[condemned.attempt]).map(World.record)
        write(present?.client == client)
        write(present?.node == node)
        write(present?.adoptions == adoptions)
    }
}
