import Testing

@testable import BackgroundJobs

@Suite("Who is missing for a place")
struct AbsencesTests {
    private let now = ContinuousClock.now

    @Test("is known from when a watcher first saw nobody, and forgotten when somebody comes")
    func counts() {
        var absences = Absences()
        #expect(absences.note("q:on:a", isServed: true, session: 1, now: now) == nil)
        #expect(absences.note("q:on:a", isServed: false, session: 1, now: now) == .zero)
        #expect(absences.note("q:on:a", isServed: false, session: 1, now: now + .seconds(3)) == .seconds(3))
        #expect(absences.note("q:on:b", isServed: false, session: 1, now: now + .seconds(3)) == .zero)
        #expect(absences.note("q:on:a", isServed: true, session: 1, now: now + .seconds(4)) == nil)
        #expect(absences.note("q:on:a", isServed: false, session: 1, now: now + .seconds(5)) == .zero)
    }

    @Test("is counted anew on another connection, and for a place that was closed")
    func begins() {
        var absences = Absences()
        _ = absences.note("q:on:a", isServed: false, session: 1, now: now)
        #expect(absences.note("q:on:a", isServed: false, session: 2, now: now + .seconds(9)) == .zero)
        absences.keep(["q:on:b"])
        #expect(absences.note("q:on:a", isServed: false, session: 2, now: now + .seconds(20)) == .zero)
    }

    @Test("depends on the kind of the place", arguments: ["q:on:web-1", "q:avoid:web-1"])
    func places(_ text: String) throws {
        let place = try #require(Place(text))
        #expect("\(place)" == text)
        #expect(place.suits(Node.name(of: "web-1-4711-9f3a01bc")) == (place.kind == .on))
        #expect(place.suits(Node.name(of: "web-2-4711-9f3a01bc")) == (place.kind == .avoid))
        #expect(Node.name(of: "node-1") == "node-1" && Node.name(of: "a--1-0123456z") == "a--1-0123456z")
    }
}
