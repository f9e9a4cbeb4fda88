import Testing

@testable import BackgroundJobs

/// Traces of a worker's loop with fibers that are one queue's own.
@Suite("Reserved fibers")
struct ReserveTests {
    private let now = ContinuousClock.now

    private func machine(_ fibers: Int, _ reserve: [String: Int], drains: Bool = false) throws -> Trace {
        let machine = WorkerMachine(
            queues: try .strict(["high", "low"]),
            fibers: fibers,
            reserve: reserve,
            endsWhenEmpty: drains
        )
        let trace = Trace(machine)
        _ = trace.adopting()
        _ = trace.adopted(Adopted(verdicts: [:], granted: []), mayHaveRolledBack: false)
        return trace
    }

    private func call(_ machine: Trace) throws -> WorkerMachine.Call {
        let action = machine.next(now: now)
        guard case .exchange(let call) = action else {
            Issue.record("expected a call, got \(action)")
            throw BackgroundError(.invalidArgument, "no call")
        }
        return call
    }

    private func jobs(_ queue: String, _ attempts: String...) -> [ClaimedJob] {
        attempts.map {
            ClaimedJob(
                attempt: $0,
                id: "job-\($0)",
                queue: queue,
                number: 1,
                className: "C",
                arguments: [],
                queuedAt: nil
            )
        }
    }

    @Test("are left to their queue, which uses the others too")
    func claims() throws {
        let machine = try self.machine(5, ["high": 2])
        let first = try call(machine)
        #expect(first.claim.wanted == 5 && first.claim.shared == 3 && first.claim.reserved == ["high": 2])
        // low has all that it may have: high may still have two.
        _ = machine.answered(first.number, Exchange(jobs: jobs("low", "a", "b", "c"), isShort: false), now: now)
        let second = try call(machine)
        #expect(second.claim.wanted == 2 && second.claim.shared == 0 && second.claim.reserved == ["high": 2])
        #expect(second.claim.queues == ["high", "low"])
        _ = machine.answered(second.number, Exchange(), now: now)
        #expect(machine.next(now: now) == .arm(["high"]), "for low there is no room, so nobody waits for it")
        #expect(machine.next(now: now) == .sleep(until: nil))
        #expect(machine.woke("low") == .giveBack)
        #expect(machine.next(now: now) == .sleep(until: nil))

        // What ends makes room in the call that reports it.
        _ = machine.ended("b", after: 1, as: .completed)
        let third = try call(machine)
        #expect(third.claim.wanted == 3 && third.claim.shared == 1 && third.claim.reserved == ["high": 2])
        _ = machine.answered(third.number, Exchange(jobs: jobs("high", "d", "e", "f")), now: now)
        #expect(machine.next(now: now) == .sleep(until: nil), "all five are in use")

        // high runs three, one of them on a shared fiber: the next that ends leaves the shared one free.
        _ = machine.ended("d", after: 1, as: .completed)
        let fourth = try call(machine)
        #expect(fourth.claim.wanted == 1 && fourth.claim.shared == 1 && fourth.claim.reserved == [:])
    }

    @Test("are not counted twice while calls are under way")
    func underWay() throws {
        let machine = try self.machine(40, ["high": 20])
        let first = try call(machine)
        #expect(first.claim.wanted == 20)
        #expect(first.claim.shared + first.claim.reserved.values.reduce(0, +) == 20)
        #expect(machine.woke("low") == .claim)
        let second = try call(machine)
        #expect(first.claim.shared + second.claim.shared <= 20)
        #expect((first.claim.reserved["high"] ?? 0) + (second.claim.reserved["high"] ?? 0) <= 20)
        _ = machine.answered(first.number, Exchange(isShort: true), now: now)
        _ = machine.answered(second.number, Exchange(isShort: true), now: now)
        #expect(machine.next(now: now) == .arm(["high", "low"]))
    }

    @Test("that are used up by an adoption leave no room, and claim nothing")
    func overfull() throws {
        let machine = try self.machine(3, ["high": 1])
        let granted = Adopted(verdicts: [:], granted: jobs("low", "a", "b", "c", "d"))
        _ = machine.adopted(granted, mayHaveRolledBack: false)
        #expect(machine.next(now: now) == .sleep(until: nil))
        _ = machine.ended("a", after: 1, as: .completed)
        _ = machine.ended("b", after: 1, as: .completed)
        let report = try call(machine)
        #expect(report.finishes.count == 2)
        #expect(report.claim.shared == 0 && report.claim.reserved == ["high": 1])
    }

    @Test("do not let a worker end before all its queues were seen to be empty")
    func drains() throws {
        let machine = try self.machine(2, ["high": 1], drains: true)
        let first = try call(machine)
        _ = machine.answered(first.number, Exchange(jobs: jobs("low", "a"), isShort: false), now: now)
        let second = try call(machine)
        _ = machine.answered(second.number, Exchange(), now: now)
        _ = machine.ended("a", after: 1, as: .completed)
        let report = try #require(machine.report(now: now))
        _ = machine.answered(report.number, Exchange(), now: now)
        let third = try call(machine)
        #expect(third.claim.shared == 1 && third.claim.reserved == ["high": 1])
        _ = machine.answered(third.number, Exchange(), now: now)
        #expect(machine.next(now: now) == .end)
    }

    @Test("of a claim that can't ask for all leave something to everybody")
    func parts() {
        let room = FiberRoom(fibers: 100, reserve: ["a": 60, "b": 3])
        let part = room.part(of: 50)
        #expect(part.shared == 25 && part.own == ["a": 23, "b": 1])
        #expect(room.part(of: 100) == room)
        let busy = room.left(["a": 70, "c": 10])
        #expect(busy.own == ["a": 0, "b": 3] && busy.shared == 17)
        #expect(busy.room("a") == 17 && busy.room("b") == 20 && busy.room("c") == 17)
    }

    @Test(
        "that make no sense are refused, with what to do",
        arguments: [
            (["none": 1], "none of the queues"), (["high": -1], "must lie in"), (["high": 11], "at least 12"),
            (["high": 10], "leaves none for “low”"), (["high": 6, "low": 5], "at least 11"),
        ]
    )
    func refused(_ reserve: [String: Int], _ words: String) throws {
        let options = WorkerOptions(queues: try .strict(["high", "low"]), fibers: 10, reserve: reserve)
        let error = #expect(throws: BackgroundError.self) { try options.checkReserve() }
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }

    @Test("that fit are taken", arguments: [["high": 9], ["high": 5, "low": 5], ["high": 0], [:]])
    func allowed(_ reserve: [String: Int]) throws {
        try WorkerOptions(queues: try .strict(["high", "low"]), fibers: 10, reserve: reserve).checkReserve()
    }
}
