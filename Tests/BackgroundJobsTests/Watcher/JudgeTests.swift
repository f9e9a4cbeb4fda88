import Testing

@testable import BackgroundJobs

/// Traces: what a watcher saw at its looks, and what it must conclude.
@Suite("The judge")
struct JudgeTests {
    private static let start = ContinuousClock.now
    private static let limits = Judge.Limits(
        interval: .seconds(1),
        secondLook: .milliseconds(500),
        deadAfter: .seconds(30),
        grace: .seconds(6)
    )
    private let record = Judge.Record(client: "7", node: "a-1-0", adoptions: "")

    /// A watcher whose grace is over, with one attempt of node `a-1-0` in `processing`.
    private final class Scene {
        var judge = Judge(limits: JudgeTests.limits, namespace: "bg")
        var seconds = 0.0
        var session: UInt64 = 1
        var runID = "r1"
        var isMaster = true
        var serverOffset: Int64 = 0

        var now: ContinuousClock.Instant { JudgeTests.start + .seconds(seconds) }

        func look(
            _ listed: [ConnectedWorker] = [],
            record: Judge.Record?,
            refused: Bool = false,
            pause: Double = 0
        ) -> Judge.Verdicts {
            let time = Int64(seconds * 1000) + serverOffset
            judge.beginLook(.init(session: session, runID: runID, isMaster: isMaster, time: time), now: now)
            if refused {
                judge.scriptWasRefused()
                return Judge.Verdicts()
            }
            for attempt in judge.see(["x"], in: "q") { judge.read(attempt, in: "q", record, now: now) }
            seconds += pause
            let byID = Dictionary(uniqueKeysWithValues: listed.map { ($0.client, $0) })
            for missing in judge.missing(byID) { judge.read(missing.attempt, in: "q", record, now: now) }
            let verdicts = judge.judge(byID, liveNodes: Set(listed.map(\.node)), now: now)
            judge.endLook(now: now)
            return verdicts
        }

        /// Looks once a second, at a living worker, until the grace is over.
        func settle(_ record: Judge.Record?) {
            for _ in 0..<8 {
                _ = look([JudgeTests.worker()], record: record)
                seconds += 1
            }
        }
    }

    private static func worker(client: Int64 = 7, node: String = "a-1-0", idle: Int = 0) -> ConnectedWorker {
        let listed = ListedClient(id: client, name: "bg-worker:\(node):10:q", database: 0, idle: idle)
        guard let worker = ConnectedWorker(listed, namespace: "bg") else { preconditionFailure("a worker's name") }
        return worker
    }

    private func condemned(_ record: Judge.Record) -> [Condemned] {
        let judgement = Condemned.Judgement.gone(
            client: record.client,
            node: record.node,
            adoptions: record.adoptions
        )
        return [Condemned(queue: "q", attempt: "x", judgement: judgement)]
    }

    @Test("finds a worker gone at the second look, half a second after the first")
    func gone() {
        let scene = Scene()
        scene.settle(record)
        let first = scene.look(record: record)
        #expect(first.condemned.isEmpty)
        #expect(first.lookAgain == .milliseconds(500))
        scene.seconds += 0.5
        #expect(scene.look(record: record).condemned == condemned(record))
    }

    @Test("waits for the grace before the second look where a false death can't be made good")
    func goneAtMostOnce() {
        let scene = Scene()
        let record = Judge.Record(client: "7", node: "a-1-0", adoptions: "", isAtMostOnce: true)
        scene.settle(record)
        for _ in 0..<6 {
            #expect(scene.look(record: record).condemned.isEmpty)
            scene.seconds += 1
        }
        #expect(scene.look(record: record).condemned == condemned(record))
    }

    @Test("judges nobody before its grace is over")
    func grace() {
        let scene = Scene()
        for _ in 0..<6 {
            #expect(scene.look(record: record).condemned.isEmpty)
            scene.seconds += 1
        }
        _ = scene.look(record: record)
        scene.seconds += 1
        #expect(scene.look(record: record).condemned == condemned(record))
    }

    @Test("spares a worker that named a new connection between two looks")
    func reconnected() {
        let scene = Scene()
        scene.settle(record)
        _ = scene.look(record: record)
        scene.seconds += 0.5
        #expect(scene.look([Self.worker(client: 9)], record: record).condemned.isEmpty)
        scene.seconds += 0.5
        let adopted = Judge.Record(client: "9", node: "a-1-0", adoptions: "1")
        #expect(scene.look([Self.worker(client: 9)], record: adopted).condemned.isEmpty)
    }

    @Test("begins anew when the attempt was adopted between two looks")
    func adoptedBetween() {
        let scene = Scene()
        scene.settle(record)
        _ = scene.look(record: record)
        scene.seconds += 0.6
        let adopted = Judge.Record(client: "9", node: "a-1-0", adoptions: "1")
        #expect(scene.look(record: adopted).condemned.isEmpty)
        scene.seconds += 0.6
        #expect(scene.look(record: adopted).condemned == condemned(adopted))
    }

    @Test("finds an attempt disowned when its node lives without it for longer than the grace")
    func disowned() {
        let scene = Scene()
        scene.settle(record)
        for _ in 0..<7 {
            #expect(scene.look([Self.worker(client: 9)], record: record).condemned.isEmpty)
            scene.seconds += 1
        }
        #expect(scene.look([Self.worker(client: 9)], record: record).condemned == condemned(record))
    }

    @Test("takes a client ID for another's when it bears another node's name")
    func reusedID() {
        let scene = Scene()
        scene.settle(record)
        _ = scene.look([Self.worker(client: 7, node: "b-2-0")], record: record)
        scene.seconds += 0.5
        #expect(scene.look([Self.worker(client: 7, node: "b-2-0")], record: record).condemned == condemned(record))
    }

    @Test("cuts off a connection that was silent for longer than it may, and only then")
    func cutOff() {
        let scene = Scene()
        scene.settle(record)
        #expect(scene.look([Self.worker(idle: 30)], record: record) == Judge.Verdicts())
        scene.seconds += 1
        let verdicts = scene.look([Self.worker(idle: 31)], record: record)
        #expect(verdicts.cutOff == [7])
        #expect(verdicts.condemned == condemned(record))
    }

    enum Upset: CaseIterable {
        case reconnect, otherRun, clockStep, pause, refusedScript, roleChange
    }

    @Test(
        "puts the judgement off by the grace after anything that makes the living look dead",
        arguments: Upset.allCases
    )
    func upset(_ upset: Upset) {
        let scene = Scene()
        scene.settle(record)
        switch upset {
        case .reconnect: scene.session = 2
        case .otherRun: scene.runID = "r2"
        case .clockStep: scene.serverOffset = 1500
        case .pause: scene.seconds += 3.25
        case .refusedScript: _ = scene.look(record: record, refused: true)
        case .roleChange:
            scene.isMaster = false
            _ = scene.look(record: record)
            scene.seconds += 1
            scene.isMaster = true
        }
        for _ in 0..<6 {
            #expect(scene.look(record: record).condemned.isEmpty)
            scene.seconds += 1
        }
        _ = scene.look(record: record)
        scene.seconds += 0.5
        #expect(scene.look(record: record).condemned == condemned(record))
    }

    @Test("judges nobody at a look that stood still, nor for the grace after it")
    func pauseWithinLook() {
        let scene = Scene()
        scene.settle(record)
        // While the watcher stood still, the server took the silence of a worker that stood still with it for death.
        let silent = [Self.worker(idle: 31)]
        #expect(scene.look(silent, record: record, pause: 2.5) == Judge.Verdicts())
        for _ in 0..<6 {
            scene.seconds += 0.9
            #expect(scene.look(silent, record: record) == Judge.Verdicts())
        }
        scene.seconds += 0.9
        #expect(scene.look(silent, record: record).condemned == condemned(record))
    }

    @Test("counts a pause within its first look too")
    func pauseWithinFirstLook() {
        let scene = Scene()
        let silent = [Self.worker(idle: 31)]
        #expect(scene.look(silent, record: record, pause: 6.5) == Judge.Verdicts())
    }

    @Test("keeps the attempts of one queue apart from those of another")
    func queues() {
        let scene = Scene()
        let now = scene.now
        for queue in ["q", "r"] {
            for attempt in scene.judge.see(["x", "y"], in: queue) {
                scene.judge.read(attempt, in: queue, record, now: now)
            }
        }
        #expect(scene.judge.count == 4)
        #expect(scene.judge.see(["x"], in: "q").isEmpty)
        #expect(scene.judge.see(["x", "y", "z"], in: "r") == ["z"])
        #expect(scene.judge.count == 3)
        #expect(scene.judge.missing([:]).map { $0.queue + $0.attempt }.sorted() == ["qx", "rx", "ry"])
        scene.judge.keep(queues: ["q"])
        #expect(scene.judge.count == 1)
    }

    @Test("judges nobody on a replica")
    func replica() {
        let scene = Scene()
        scene.isMaster = false
        for _ in 0..<20 {
            #expect(scene.look(record: record).condemned.isEmpty)
            scene.seconds += 1
        }
    }

    @Test("gives up an attempt without a readable hash after the grace")
    func unreadable() {
        let scene = Scene()
        var verdicts = Judge.Verdicts()
        var looks = 0
        while verdicts.condemned.isEmpty, looks < 20 {
            verdicts = scene.look([Self.worker()], record: nil)
            scene.seconds += 1
            looks += 1
        }
        #expect(looks == 8)
        #expect(verdicts.condemned == [Condemned(queue: "q", attempt: "x", judgement: .unreadable)])
    }
}
