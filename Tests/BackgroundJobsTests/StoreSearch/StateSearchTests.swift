import Foundation
import Testing

@testable import BackgroundJobs

/// Two workers, two watchers and two jobs: every state that can be reached, with so many misfortunes on the way (a broken
/// connection whose other end stays, a worker that freezes or dies, a restart of Redis that gives out its client IDs anew),
/// is sound, and from every one the jobs can still end.
///
/// States that differ in names only (which worker, which watcher, which number) count as one; of every fiftieth way to a known
/// state is looked whether what comes next is the same. The large scopes are gone through by
/// `BG_TEST_FULL=1 swift test --filter StateSearchTests`, and by `./cli/test --full`: about a quarter of an hour in a debug
/// build where nothing else runs, of which the one with two misfortunes takes two thirds.
@Suite("Every state that can be reached", .serialized, .timeLimit(.minutes(240)))
struct StateSearchTests {
    private static let isFull = ProcessInfo.processInfo.environment["BG_TEST_FULL"] == "1"

    /// How much is searched.
    struct Scope: Sendable, CustomTestStringConvertible {
        var jobs = 2
        var watchers = 2
        var misfortunes: Int
        /// Whether answers may be on their way for a while.
        var isFine = false
        var testDescription: String {
            "\(jobs) jobs, \(watchers) watchers, \(misfortunes) misfortunes\(isFine ? ", slow answers" : "")"
        }
    }

    private static let small = [
        Scope(misfortunes: 0), Scope(jobs: 1, misfortunes: 1), Scope(watchers: 1, misfortunes: 1),
    ]
    private static let large = [
        Scope(misfortunes: 1), Scope(misfortunes: 1, isFine: true), Scope(watchers: 1, misfortunes: 2),
    ]

    /// On a thread of its own: it computes for long, and other tests need those of the pool.
    private func onThread<Found: Sendable>(_ search: @escaping @Sendable () throws -> Found) async throws -> Found {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try search() }) }
        }
    }

    @Test("is sound, and the jobs can end from there", arguments: isFull ? small + large : small)
    func all(_ scope: Scope) async throws {
        let found = try await onThread {
            let world = try World(
                jobs: scope.jobs,
                misfortunes: scope.misfortunes,
                watchers: scope.watchers,
                isFine: scope.isFine
            )
            var search = StateSearch(world, comparingEvery: 50)
            let start = ContinuousClock.now
            if let counterexample = try search.run() { return [counterexample] }
            print(
                "\(scope.testDescription): \(search.states) states and \(search.transitions) transitions",
                "in \(start.duration(to: .now)); \(search.compared) compared"
            )
            return [try search.stuck(), try search.unlike()].compactMap(\.self)
        }
        for counterexample in found { Issue.record("\(counterexample)") }
    }

    /// A rule that is left out, and what comes of it.
    struct Broken: Sendable, CustomTestStringConvertible {
        var rule: World.Faults
        var misfortunes: Int
        var violation: String
        var testDescription: String
    }

    static let broken = [
        Broken(
            rule: .reapsUnconditionally,
            misfortunes: 1,
            violation: "R:",
            testDescription: "a watcher ends what it judged before the worker came back"
        ),
        Broken(
            rule: .ignoresAdoptions,
            misfortunes: 1,
            violation: "R:",
            testDescription: "a watcher takes a client ID given out anew for the former one"
        ),
        Broken(
            rule: .keepsFormerConnection,
            misfortunes: 1,
            violation: "V:",
            testDescription: "a claim arrives after the worker has asked what became of it"
        ),
        Broken(
            rule: .forgetsOffers,
            misfortunes: 1,
            violation: "O:",
            testDescription: "a claim whose reply was lost is never asked for"
        ),
    ]

    @Test("a rule that is left out is found out", arguments: broken)
    func notices(_ broken: Broken) async throws {
        let (found, states) = try await onThread {
            let world = try World(jobs: 1, misfortunes: broken.misfortunes, watchers: 1, faults: broken.rule)
            var search = StateSearch(world)
            return (try search.run(atMost: 200_000), search.states)
        }
        let counterexample = try #require(found)
        #expect(counterexample.violations.contains { $0.hasPrefix(broken.violation) })
        print("Found by \(states) states that \(broken.testDescription): \(counterexample)")
    }

    @Test("states that count as one, and have different futures, are found out")
    func noticesWhatIsUnlike() async throws {
        let (wrong, unlike) = try await onThread {
            let world = try World(jobs: 1, misfortunes: 1, watchers: 1, faults: .ignoresWatchers)
            var search = StateSearch(world, comparingEvery: 10)
            return (try search.run(), try search.unlike())
        }
        #expect(wrong == nil)
        #expect(unlike != nil)
    }
}
