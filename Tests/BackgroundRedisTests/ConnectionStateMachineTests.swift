import Testing

@testable import BackgroundRedis

@Suite struct ConnectionStateMachineTests {
    private func machine() -> ConnectionStateMachine { ConnectionStateMachine(maximumBackoff: .seconds(5)) }

    private func readyMachine() -> ConnectionStateMachine {
        var machine = machine()
        _ = machine.start()
        _ = machine.connected()
        _ = machine.handshakeSucceeded()
        _ = machine.prepared()
        return machine
    }

    @Test func toReadyAndBack() {
        var machine = machine()
        #expect(machine.start() == .connect)
        #expect(machine.start() == .nothing)
        #expect(machine.connected() == .shakeHands)
        #expect(machine.handshakeSucceeded() == .prepare)
        #expect(machine.prepared() == .open)
        #expect(machine.start() == .nothing)
        #expect(machine.lost(afterSteadyTime: true) == .backOff(upTo: .milliseconds(50)))
        #expect(machine.start() == .nothing)
        #expect(machine.backoffElapsed() == .connect)
        #expect(machine.connected() == .shakeHands)
        #expect(machine.handshakeSucceeded() == .prepare)
        #expect(machine.prepared() == .open)
        #expect(machine.lost(afterSteadyTime: true) == .backOff(upTo: .milliseconds(50)))
        #expect(machine.close() == .end)
        #expect(machine.backoffElapsed() == .nothing)
    }

    @Test func pausesDoubleUpToTheMaximum() {
        var machine = machine()
        #expect(machine.start() == .connect)
        for milliseconds in [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000] {
            #expect(machine.attemptFailed(.ordinary) == .backOff(upTo: .milliseconds(milliseconds)))
            #expect(machine.backoffElapsed() == .connect)
        }
        #expect(ConnectionStateMachine.ceiling(.max, .seconds(5)) == .seconds(5))
        #expect(ConnectionStateMachine.ceiling(0, .milliseconds(20)) == .milliseconds(20))
    }

    /// A server that accepts and hangs up at once is not called ever so often; but a worker whose connections keep breaking
    /// is back before a watcher looks a second time.
    @Test func aShortLivedConnectionCountsAsAFailure() {
        var machine = readyMachine()
        for milliseconds in [50, 100, 200, 200, 200] {
            #expect(machine.lost(afterSteadyTime: false) == .backOff(upTo: .milliseconds(milliseconds)))
            #expect(machine.backoffElapsed() == .connect)
            #expect(machine.connected() == .shakeHands)
            #expect(machine.handshakeSucceeded() == .prepare)
            #expect(machine.prepared() == .open)
        }
        #expect(machine.lost(afterSteadyTime: true) == .backOff(upTo: .milliseconds(50)))
    }

    @Test func configurationErrorsAreFinalUntilItHasWorked() {
        var fresh = machine()
        #expect(fresh.start() == .connect)
        #expect(fresh.connected() == .shakeHands)
        #expect(fresh.attemptFailed(.configuration) == .end)
        #expect(fresh.start() == .nothing)

        var used = readyMachine()
        #expect(used.lost(afterSteadyTime: true) == .backOff(upTo: .milliseconds(50)))
        #expect(used.backoffElapsed() == .connect)
        #expect(used.connected() == .shakeHands)
        #expect(used.attemptFailed(.configuration) == .backOff(upTo: .milliseconds(100)))
    }

    @Test func loadingKeepsTheConnection() {
        var machine = machine()
        #expect(machine.start() == .connect)
        #expect(machine.connected() == .shakeHands)
        #expect(machine.attemptFailed(.notYet) == .pause(upTo: .milliseconds(50)))
        #expect(machine.pauseElapsed() == .shakeHands)
        #expect(machine.attemptFailed(.notYet) == .pause(upTo: .milliseconds(100)))
        #expect(machine.pauseElapsed() == .shakeHands)
        #expect(machine.handshakeSucceeded() == .prepare)
        for milliseconds in [200, 400, 800, 1000, 1000] {
            #expect(machine.attemptFailed(.notYet) == .pause(upTo: .milliseconds(milliseconds)))
            #expect(machine.pauseElapsed() == .prepare)
        }
        #expect(machine.attemptFailed(.notYet) == .pause(upTo: .seconds(1)))
        #expect(machine.attemptFailed(.ordinary) == .backOff(upTo: .milliseconds(50)))
        #expect(machine.pauseElapsed() == .nothing)
    }

    /// A machine in each state.
    private func everyState() -> [ConnectionStateMachine] {
        var machines = [machine()]
        var machine = machine()
        for step in 0..<7 {
            switch step {
            case 0: _ = machine.start()
            case 1: _ = machine.connected()
            case 2: _ = machine.attemptFailed(.notYet)
            case 3: (_, _) = (machine.pauseElapsed(), machine.handshakeSucceeded())
            case 4: _ = machine.prepared()
            case 5: _ = machine.lost(afterSteadyTime: true)
            default: _ = machine.close()
            }
            machines.append(machine)
        }
        return machines
    }

    @Test func everyEventInEveryState() {
        typealias Machine = ConnectionStateMachine
        let events: [(name: String, event: (inout Machine) -> Machine.Action, heeded: Set<Int>)] = [
            ("start", { $0.start() }, [0]),
            ("connected", { $0.connected() }, [1]),
            ("handshakeSucceeded", { $0.handshakeSucceeded() }, [2]),
            ("prepared", { $0.prepared() }, [4]),
            ("attemptFailed", { $0.attemptFailed(.ordinary) }, [1, 2, 3, 4]),
            ("notYet", { $0.attemptFailed(.notYet) }, [1, 2, 3, 4]),
            ("pauseElapsed", { $0.pauseElapsed() }, [3]),
            ("lost", { $0.lost(afterSteadyTime: true) }, [5]),
            ("backoffElapsed", { $0.backoffElapsed() }, [6]),
            ("close", { $0.close() }, [0, 1, 2, 3, 4, 5, 6]),
        ]
        for (index, machine) in everyState().enumerated() {
            for (name, event, heeded) in events {
                var copy = machine
                let action = event(&copy)
                #expect((action != .nothing) == heeded.contains(index), "\(name) in \(machine.state)")
                if action == .nothing { #expect(copy.state == machine.state) }
            }
        }
    }
}
