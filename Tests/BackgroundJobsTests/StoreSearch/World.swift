@testable import BackgroundJobs
@testable import BackgroundJobsTesting

/// A Redis with two jobs, two workers and two watchers, as one value: the store in memory, the workers' own state machines,
/// the watchers' own judges, and between them connections that may break at any moment.
///
/// Time stands still for the store; each watcher has a clock of its own that goes on by a second from look to look.
struct World {
    /// What is made wrong on purpose, to see that the search finds it.
    struct Faults: OptionSet {
        let rawValue: Int
        /// A watcher ends what it has judged, whoever vouches for it by now.
        static let reapsUnconditionally = Faults(rawValue: 1)
        /// A watcher does not look whether the attempt has been adopted since it judged.
        static let ignoresAdoptions = Faults(rawValue: 2)
        /// A worker that connects leaves its former connection as it is.
        static let keepsFormerConnection = Faults(rawValue: 4)
        /// A worker that connects does not ask what became of what it has offered.
        static let forgetsOffers = Faults(rawValue: 8)
        /// What a watcher has seen is not in the text of a state: states with different futures count as one.
        static let ignoresWatchers = Faults(rawValue: 16)
    }

    /// A worker's connection, as the server has it.
    struct Connection {
        enum Request {
            case adopt(Adoption)
            case exchange(WorkerMachine.Call)
        }
        enum Reply {
            case adopted(Adopted)
            case exchanged(Int, Exchange)
        }

        var worker: Int
        var node: String
        /// Whether the worker at its other end is still there.
        var isHeard = true
        var request: Request?
        var reply: Reply?
        /// A wait has moved this job to `handoff`.
        var woken: String?
    }

    struct Worker {
        /// How often it was started; a name belongs to one process.
        var life = 0
        var machine: WorkerMachine
        var isAlive = true
        var isFrozen = false
        var client: Int64?
        /// Its former connections, with the run of the server.
        var formers: [(client: Int64, run: Int)] = []
    }

    struct Watcher {
        var judge = Judge(limits: World.limits, namespace: "bg")
        var clock = 0
        /// What is left to be done of the last look.
        var cutOff: [Int64] = []
        var condemned: [Condemned] = []

        var now: ContinuousClock.Instant { World.start + .seconds(clock) }
        var isLooking: Bool { cutOff.isEmpty && condemned.isEmpty }
    }

    static let start = ContinuousClock.now
    /// Short, so that few looks decide: one that is gone is judged at the second look, or the third if it is to run once. The
    /// text of a state counts on that: of a time it only says whether it will have come at the next look.
    static let limits = Judge.Limits(
        interval: .seconds(1),
        secondLook: .milliseconds(500),
        deadAfter: .seconds(30),
        grace: .milliseconds(1500)
    )
    static let queue = "q"

    /// The first is forgiven one crash, the second is to run at most once.
    let jobs: [String]
    let faults: Faults
    /// Whether the answer to a call may be on its way for a while. Else it arrives as it is given, or never.
    let isFine: Bool
    /// How many more things may go wrong.
    var misfortunes: Int
    var store = MemoryState(clock: MemoryClock(standingAt: 1_700_000_000_000))
    /// Counts the server's starts.
    var run = 1
    var nextClient: Int64 = 1
    var connections: [Int64: Connection] = [:]
    var workers: [Worker]
    var watchers: [Watcher]
    /// What was seen to be wrong in the last step.
    var violations: [String] = []

    init(jobs: Int = 2, misfortunes: Int, watchers: Int = 2, isFine: Bool = false, faults: Faults = []) throws {
        self.jobs = Array(["j1", "j2"].prefix(jobs))
        self.misfortunes = misfortunes
        self.isFine = isFine
        self.faults = faults
        self.watchers = (0..<watchers).map { _ in Watcher() }
        workers = [Worker(machine: try Self.machine()), Worker(machine: try Self.machine())]
        let options: [[JobOptions.Field]] = [[(name: "crm", value: "1")], [(name: "dlv", value: "amo")]]
        let queued = zip(self.jobs, options).map { id, fields in
            NewJob(
                id: id,
                queue: Self.queue,
                className: "C",
                arguments: Array("{}".utf8),
                fields: fields,
                isIDChosen: false
            )
        }
        _ = transact { $0.enqueue(queued) }
        // The watchers have been there for so long that they may judge.
        for index in self.watchers.indices {
            for _ in 0..<3 { look(index) }
        }
    }

    static func machine() throws -> WorkerMachine {
        WorkerMachine(queues: try .strict([queue]), fibers: 1)
    }

    static func node(_ index: Int, _ life: Int) -> String { "w\(index)-\(life)" }
    func node(_ index: Int) -> String { Self.node(index, workers[index].life) }

    /// Whether both jobs have ended for good.
    var isOver: Bool { jobs.allSatisfy { store.data.hasEnded($0) } }

    /// Whether nothing that matters can happen any more: both jobs have ended, and nobody has anything to say to that.
    var isSettled: Bool {
        isOver && watchers.allSatisfy(\.isLooking)
            && workers.allSatisfy { !$0.isAlive || $0.machine.running.isEmpty && !$0.machine.isReporting }
            && connections.values.allSatisfy { connection in
                guard case .exchange(let call) = connection.request else { return true }
                return call.finishes.isEmpty
            }
    }

    /// A transition of the store, without what only tells of the past.
    mutating func transact<Result>(_ transition: (inout MemoryState) -> Result) -> Result {
        store.begin()
        let result = transition(&store)
        store.commit()
        store.data.counters = [:]
        store.data.expiring = store.data.expiring.filter { !$0.hasPrefix("stats:") && !$0.hasPrefix("wake:") }
        for key in store.data.lists.keys where key.hasPrefix("wake:") { store.data.lists[key] = nil }
        return result
    }
}
