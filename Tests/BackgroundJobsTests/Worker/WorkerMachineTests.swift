import Testing

@testable import BackgroundJobs

/// Traces of the worker's loop.
@Suite("The worker's machine")
struct WorkerMachineTests {
    private let now = ContinuousClock.now

    private func machine(_ queues: [String] = ["high", "low"], fibers: Int = 10, drains: Bool = false) throws
        -> Trace
    {
        Trace(WorkerMachine(queues: try .strict(queues), fibers: fibers, endsWhenEmpty: drains))
    }

    private func linked(_ queues: [String] = ["high", "low"], fibers: Int = 10, drains: Bool = false) throws
        -> Trace
    {
        let machine = try self.machine(queues, fibers: fibers, drains: drains)
        _ = machine.adopting()
        _ = machine.adopted(Adopted(verdicts: [:], granted: []), mayHaveRolledBack: false)
        return machine
    }

    private func call(_ action: WorkerMachine.Action) throws -> WorkerMachine.Call {
        guard case .exchange(let call) = action else {
            Issue.record("expected a call, got \(action)")
            throw BackgroundError(.invalidArgument, "no call")
        }
        return call
    }

    private func job(_ attempt: String, suspect: Bool = false) -> ClaimedJob {
        ClaimedJob(
            attempt: attempt,
            id: "job-\(attempt)",
            queue: "high",
            number: 1,
            className: "Noop",
            arguments: [],
            queuedAt: nil,
            isSuspect: suspect
        )
    }

    private func answer(_ jobs: [ClaimedJob] = [], short: Bool = true) -> Exchange {
        Exchange(jobs: jobs, isShort: short)
    }

    @Test("does nothing before it is linked, then claims, then waits for jobs in every queue")
    func idle() throws {
        let machine = try self.machine()
        #expect(machine.next(now: now) == .sleep(until: nil))
        #expect(machine.adopting() == Adoption(queues: ["high", "low"], attempts: [], offered: []))
        _ = machine.adopted(Adopted(verdicts: [:], granted: []), mayHaveRolledBack: false)
        let first = try call(machine.next(now: now))
        #expect(first.claim.wanted == 10)
        #expect(first.claim.offered.count == 10)
        #expect(machine.next(now: now) == .sleep(until: nil))
        _ = machine.answered(first.number, answer(), now: now)
        #expect(machine.next(now: now) == .arm(["high", "low"]))
        #expect(machine.next(now: now) == .sleep(until: nil))
    }

    @Test("claims when it is woken and gives back when no fiber is free")
    func woken() throws {
        let machine = try linked(fibers: 1)
        let first = try call(machine.next(now: now))
        _ = machine.answered(first.number, answer(), now: now)
        _ = machine.next(now: now)
        #expect(machine.woke("high") == .claim)
        let second = try call(machine.next(now: now))
        #expect(machine.woke("low") == .giveBack)
        _ = machine.answered(second.number, answer([job("a")], short: false), now: now)
        #expect(machine.next(now: now) == .sleep(until: nil))
        #expect(machine.woke("high") == .giveBack)
    }

    @Test("never claims more than its free fibers, and frees a fiber in the call that reports it")
    func neverHoards() throws {
        let machine = try linked(fibers: 3)
        let first = try call(machine.next(now: now))
        _ = machine.answered(first.number, answer([job("a"), job("b"), job("c")], short: false), now: now)
        #expect(machine.next(now: now) == .sleep(until: nil))
        var isOurs = machine.ended("b", after: 1.5, as: .completed)
        #expect(isOurs)
        let second = try call(machine.next(now: now))
        #expect(
            second.finishes == [
                Finish(attempt: "b", queue: "high", job: "job-b", milliseconds: 1.5, ending: .completed)
            ]
        )
        #expect(second.claim.wanted == 1)
        isOurs = machine.ended("a", after: 1, as: .completed)
        #expect(isOurs)
        #expect(machine.next(now: now) == .sleep(until: nil))
    }

    @Test("keeps its results while Redis is away and settles them by adoption")
    func adoption() throws {
        let machine = try linked(fibers: 4)
        let first = try call(machine.next(now: now))
        _ = machine.answered(first.number, answer([job("a"), job("b"), job("c")], short: false), now: now)
        let idleClaim = try call(machine.next(now: now))
        _ = machine.answered(idleClaim.number, answer(), now: now)
        _ = machine.next(now: now)
        _ = machine.ended("a", after: 1, as: .completed)
        let second = try call(machine.next(now: now))
        machine.failed(second.number, .unanswered, now: now)
        _ = machine.ended("b", after: 1, as: .completed)
        #expect(machine.next(now: now) == .sleep(until: nil))

        let adoption = machine.adopting()
        #expect(Set(adoption.attempts.map(\.attempt)) == ["a", "b", "c"])
        #expect(adoption.offered == second.claim.offered)
        var verdicts: [String: Verdict] = ["a": .done, "b": .yours, "c": .lost]
        for id in adoption.offered.dropFirst() { verdicts[id] = .never }
        verdicts[adoption.offered[0]] = .yours
        let granted = job(adoption.offered[0])
        let result = machine.adopted(Adopted(verdicts: verdicts, granted: [granted]), mayHaveRolledBack: true)
        #expect(result.start == [granted])
        #expect(result.cancel == ["c"])
        #expect(machine.next(now: now) == .sweep)

        let third = try call(machine.next(now: now))
        #expect(third.finishes.map(\.attempt) == ["b"])
        #expect(third.claim.wanted == 3)
        #expect(third.claim.reoffered == Array(adoption.offered.dropFirst()))
        let isOurs = machine.ended("c", after: 1, as: .completed)
        #expect(!isOurs, "a lost attempt has no result")
    }

    @Test("takes back a call whose answer never came when the next connection adopts")
    func adoptingWithACallUnderWay() throws {
        let machine = try linked(fibers: 2)
        let first = try call(machine.next(now: now))
        #expect(machine.adopting().offered == first.claim.offered)
        machine.failed(first.number, .unanswered, now: now)
        #expect(machine.answered(first.number, answer([job("a")]), now: now).start.isEmpty)
        let never = Dictionary(uniqueKeysWithValues: first.claim.offered.map { ($0, Verdict.never) })
        _ = machine.adopted(Adopted(verdicts: never, granted: []), mayHaveRolledBack: false)
        let second = try call(machine.next(now: now))
        #expect(second.claim.reoffered == first.claim.offered)
        #expect(second.claim.offered.isEmpty)
    }

    @Test("backs off from error replies and goes on with what it has")
    func backoff() throws {
        let machine = try linked()
        let first = try call(machine.next(now: now))
        machine.failed(first.number, .refused, now: now)
        guard case .sleep(until: let later?) = machine.next(now: now) else {
            Issue.record("expected a pause")
            return
        }
        #expect(later > now)
        #expect(later <= now + .milliseconds(50))
        let second = try call(machine.next(now: later))
        #expect(Set(second.claim.reoffered) == Set(first.claim.offered))
    }

    @Test("does not wait for another adoption when its first call came before the connection was ready")
    func notSent() throws {
        let machine = try linked(fibers: 2)
        let first = try call(machine.next(now: now))
        machine.failed(first.number, .notSent, now: now)
        guard case .sleep(until: let later?) = machine.next(now: now) else {
            Issue.record("expected a pause that ends")
            return
        }
        let second = try call(machine.next(now: later))
        #expect(second.claim.reoffered == first.claim.offered)
    }

    @Test("keeps an end that can't be recorded, and its fiber with it, and holds up nothing else")
    func damaged() throws {
        let machine = try linked(fibers: 2)
        let first = try call(machine.next(now: now))
        _ = machine.answered(first.number, answer([job("a"), job("b")], short: false), now: now)
        _ = machine.ended("a", after: 1, as: .completed)
        let second = try call(machine.next(now: now))
        #expect(second.finishes.map(\.attempt) == ["a"])
        let reply = Exchange(exceptions: [0: .damaged("completed:high holds a string")], isShort: false)
        let settlement = machine.answered(second.number, reply, now: now)
        #expect(settlement.damaged == ["completed:high holds a string"])
        #expect(machine.next(now: now) == .sleep(until: now + .seconds(1)), "its fiber is not free")

        _ = machine.ended("b", after: 1, as: .completed)
        let third = try call(machine.next(now: now))
        #expect(third.finishes.map(\.attempt) == ["b"])
        #expect(third.claim.wanted == 1)
        _ = machine.answered(third.number, answer(), now: now)
        let again = try call(machine.next(now: now + .seconds(1)))
        #expect(again.finishes.map(\.attempt) == ["a"])
    }

    @Test("starts nothing that is claimed or granted while it gives back")
    func lateAnswer() throws {
        let machine = try linked()
        let first = try call(machine.next(now: now))
        machine.beginRelease()
        #expect(machine.release { _ in (5, .shutdown) }.isEmpty)
        #expect(machine.answered(first.number, answer([job("a")]), now: now).start.isEmpty)
        let second = try call(machine.next(now: now))
        #expect(second.finishes.map(\.ending) == [.unbegun])
        #expect(second.claim == .none)
        _ = machine.answered(second.number, answer(), now: now)
        #expect(machine.next(now: now) == .end)
    }

    @Test("takes at most one suspect at a time")
    func suspects() throws {
        let machine = try linked()
        let first = try call(machine.next(now: now))
        #expect(first.claim.mayTakeSuspect)
        _ = machine.answered(first.number, answer([job("a", suspect: true)], short: false), now: now)
        let second = try call(machine.next(now: now))
        #expect(!second.claim.mayTakeSuspect)
    }

    @Test("listens to notes while it has room and nothing to do, and passes on what is not for it")
    func notes() throws {
        let machine = try linked(fibers: 2)
        #expect(machine.listens == [], "it claims first")
        let first = try call(machine.next(now: now))
        #expect(machine.listens == [])
        _ = machine.answered(first.number, answer([job("a", suspect: true)]), now: now)
        #expect(machine.listens == ["high", "low"])
        #expect(machine.noted("low", isSuspect: true) == .unfit, "it runs one")
        #expect(machine.listens == ["high", "low"])
        #expect(machine.noted("low") == .claim)
        #expect(machine.listens == [])
        let second = try call(machine.next(now: now))
        #expect(machine.noted("low") == .busy)
        _ = machine.answered(second.number, answer([job("b")]), now: now)
        #expect(machine.listens == [] && machine.noted("low") == .busy)
        machine.stop()
        #expect(machine.noted("high") == .busy)
    }

    @Test("asks twice a second while a queue is paused and does not wait for it")
    func paused() throws {
        let machine = try linked()
        let first = try call(machine.next(now: now))
        _ = machine.answered(first.number, Exchange(paused: ["high"]), now: now)
        #expect(machine.next(now: now) == .arm(["low"]))
        #expect(machine.next(now: now) == .sleep(until: now + .milliseconds(500)))
        _ = try call(machine.next(now: now + .milliseconds(500)))
    }

    @Test("asks instead of waiting where there are very many queues, or where waiting is refused")
    func polling() throws {
        let machine = try linked((0..<17).map { "q\($0)" })
        let first = try call(machine.next(now: now))
        _ = machine.answered(first.number, answer(), now: now)
        #expect(machine.next(now: now) == .sleep(until: now + .milliseconds(200)))

        let refused = try linked(["q"])
        let claim = try call(refused.next(now: now))
        _ = refused.answered(claim.number, answer(), now: now)
        #expect(refused.next(now: now) == .arm(["q"]))
        refused.waitRefused("q", now: now)
        #expect(refused.next(now: now) == .sleep(until: now + .milliseconds(500)))
        let again = try call(refused.next(now: now + .milliseconds(500)))
        _ = refused.answered(again.number, answer(), now: now + .milliseconds(500))
        #expect(refused.next(now: now + .milliseconds(500)) == .arm(["q"]))
    }

    @Test("stops when all that ran is reported, and claims nothing meanwhile")
    func stop() throws {
        let machine = try linked()
        let first = try call(machine.next(now: now))
        _ = machine.answered(first.number, answer([job("a")], short: false), now: now)
        machine.stop()
        #expect(machine.next(now: now) == .sleep(until: nil))
        #expect(machine.woke("high") == .giveBack)
        _ = machine.ended("a", after: 1, as: .completed)
        let second = try call(machine.next(now: now))
        #expect(second.claim == .none)
        _ = machine.answered(second.number, answer(), now: now)
        #expect(machine.next(now: now) == .end)
    }

    @Test("gives back what still runs, once")
    func release() throws {
        let machine = try linked()
        let first = try call(machine.next(now: now))
        _ = machine.answered(first.number, answer([job("a"), job("b")], short: false), now: now)
        machine.stop()
        #expect(machine.release { $0 == "a" ? nil : (0, .unbegun) } == ["b"])
        #expect(machine.release { _ in (5, .shutdown) } == ["a"])
        let second = try call(machine.next(now: now))
        #expect(second.finishes.map(\.ending) == [.unbegun, .shutdown])
        #expect(second.finishes.map(\.milliseconds) == [0, 5])
        let isOurs = machine.ended("a", after: 9, as: .completed)
        #expect(!isOurs)
    }

    @Test("ends by itself when its queues are empty, if it was told to")
    func drains() throws {
        let machine = try linked(drains: true)
        let first = try call(machine.next(now: now))
        _ = machine.answered(first.number, answer([job("a")]), now: now)
        #expect(machine.next(now: now) == .arm(["high", "low"]))
        #expect(machine.next(now: now) == .sleep(until: nil))
        _ = machine.ended("a", after: 1, as: .completed)
        let second = try call(machine.next(now: now))
        _ = machine.answered(second.number, answer(), now: now)
        #expect(machine.next(now: now) == .end)
    }

    @Test("ends as cancelled what was told to be before it was known that it had been begun")
    func cancelledEarly() throws {
        let machine = try linked(fibers: 4)
        let first = try call(machine.next(now: now))
        let attempts = first.claim.offered
        #expect(!machine.cancelled(attempts[0]))
        #expect(!machine.cancelled("another worker's"))
        let jobs = [job(attempts[0]), job(attempts[1])]
        let settlement = machine.answered(first.number, answer(jobs, short: false), now: now)
        #expect(settlement.start.map(\.attempt) == [attempts[1]])
        #expect(machine.cancelled(attempts[1]), "it runs: its task is to be cancelled")
        let second = try call(machine.next(now: now))
        #expect(second.finishes.map(\.attempt) == [attempts[0]])
        #expect(second.finishes.map(\.ending) == [.cancelled(message: "")])
        #expect(!machine.cancelled(attempts[0]), "it has ended")
    }

    @Test("remembers who is to be cancelled while it does not know what a lost call began")
    func cancelledBeforeAdoption() throws {
        let machine = try linked(fibers: 3)
        let first = try call(machine.next(now: now))
        machine.failed(first.number, .unanswered, now: now)
        let offered = machine.adopting().offered
        for attempt in offered { #expect(!machine.cancelled(attempt)) }
        let verdicts: [String: Verdict] = [offered[0]: .yours, offered[1]: .lost, offered[2]: .never]
        let result = machine.adopted(
            Adopted(verdicts: verdicts, granted: [job(offered[0])]),
            mayHaveRolledBack: false
        )
        #expect(result.start.isEmpty)
        let second = try call(machine.next(now: now))
        #expect(second.finishes.map(\.ending) == [.cancelled(message: "")])
        // The one that was never begun is offered again, and is begun now: it is not the one that was cancelled.
        #expect(second.claim.reoffered == [offered[2]])
        let again = machine.answered(second.number, answer([job(offered[2])]), now: now)
        #expect(again.start.map(\.attempt) == [offered[2]])
    }

    @Test("reports without claiming, for when its loop does not come to it")
    func reportsAlone() throws {
        let machine = try linked(fibers: 3)
        let first = try call(machine.next(now: now))
        #expect(machine.report(now: now) == nil)
        #expect(!machine.isReporting)
        _ = machine.answered(first.number, answer([job("a"), job("b")], short: false), now: now)
        _ = machine.ended("a", after: 1, as: .completed)
        let report = try #require(machine.report(now: now))
        #expect(report.finishes.map(\.attempt) == ["a"])
        #expect(report.claim == .none)
        #expect(machine.isReporting, "the answer is still to come")
        machine.failed(report.number, .refused, now: now)
        #expect(machine.report(now: now) == nil, "not so soon after an error")
        let again = try #require(machine.report(now: now + .seconds(1)))
        #expect(again.finishes.map(\.attempt) == ["a"])
        _ = machine.answered(again.number, answer(), now: now)
        #expect(!machine.isReporting)
    }

    @Test("means a call for the connection that had adopted when it was made")
    func meantForOneConnection() throws {
        let machine = try self.machine()
        _ = machine.adopting()
        _ = machine.adopted(Adopted(verdicts: [:], granted: []), session: 7, mayHaveRolledBack: false)
        let stale = try call(machine.next(now: now))
        #expect(stale.session == 7)
        let adoption = machine.adopting()
        #expect(adoption.offered == stale.claim.offered)
        let never = Dictionary(uniqueKeysWithValues: adoption.offered.map { ($0, Verdict.never) })
        _ = machine.adopted(Adopted(verdicts: never, granted: []), session: 8, mayHaveRolledBack: false)
        // Its task gets to run only now, finds another connection and does not send.
        machine.failed(stale.number, .notSent, now: now)
        #expect(try call(machine.next(now: now)).session == 8)
    }
}

/// A machine that an expectation may drive: a macro's operands are captured, and a captured struct does not change.
final class Trace {
    private var machine: WorkerMachine

    init(_ machine: WorkerMachine) { self.machine = machine }

    func next(now: ContinuousClock.Instant) -> WorkerMachine.Action { machine.next(now: now) }
    func ended(_ attempt: String, after milliseconds: Double, as ending: Ending) -> Bool {
        machine.ended(attempt, after: milliseconds, as: ending)
    }
    func answered(_ number: Int, _ reply: Exchange, now: ContinuousClock.Instant) -> WorkerMachine.Settlement {
        machine.answered(number, reply, now: now)
    }
    func failed(_ number: Int, _ failure: WorkerMachine.CallFailure, now: ContinuousClock.Instant) {
        machine.failed(number, failure, now: now)
    }
    func woke(_ queue: String) -> WorkerMachine.Woken { machine.woke(queue) }
    func noted(_ queue: String, isSuspect: Bool = false) -> WorkerMachine.Noted {
        machine.noted(queue, isSuspect: isSuspect)
    }
    var listens: [String] { machine.listens }
    func waitRefused(_ queue: String, now: ContinuousClock.Instant) { machine.waitRefused(queue, now: now) }
    func adopting() -> Adoption { machine.adopting() }
    func adopted(
        _ adopted: Adopted,
        session: UInt64 = 0,
        mayHaveRolledBack: Bool
    ) -> WorkerMachine.AdoptionResult {
        machine.adopted(adopted, session: session, mayHaveRolledBack: mayHaveRolledBack)
    }
    func stop() { machine.stop() }
    func beginRelease() { machine.beginRelease() }
    func release(_ ending: (String) -> (milliseconds: Double, ending: Ending)?) -> [String] { machine.release(ending) }
    func report(now: ContinuousClock.Instant) -> WorkerMachine.Call? { machine.report(now: now) }
    func cancelled(_ attempt: String) -> Bool { machine.cancelled(attempt) }
    var isReporting: Bool { machine.isReporting }
}
