import Testing

@testable import BackgroundJobs

@Suite("The place in a set that is trimmed")
struct TrimPlaceTests {
    private static let start = ContinuousClock.now

    /// A place behind ten that had to stay.
    private static func behindTen() -> TrimPlace {
        var place = TrimPlace(now: start)
        #expect(place.begin(now: start) == 0)
        #expect(place.looked(from: 0, Trimmed(removed: 3, kept: 6, hasMore: true)) == 6)
        #expect(place.looked(from: 6, Trimmed(removed: 0, kept: 4, hasMore: false)) == 10)
        return place
    }

    @Test("is at the last one that had to stay, and goes on behind those that have to")
    func goesOn() {
        var place = Self.behindTen()
        let now = Self.start + .seconds(120)
        #expect(place.begin(now: now) == 9)
        #expect(place.looked(from: 9, Trimmed(removed: 2, kept: 3, hasMore: false)) == 12)
        #expect(place.begin(now: now) == 11)
    }

    @Test("moves back when the last one that had to stay may go")
    func movesBack() {
        var place = Self.behindTen()
        #expect(place.begin(now: Self.start) == 9)
        #expect(place.looked(from: 9, Trimmed(removed: 1, kept: 0, hasMore: false)) == 9)
        #expect(place.begin(now: Self.start) == 8)
    }

    @Test("is the beginning again after an hour")
    func anHour() {
        var place = Self.behindTen()
        #expect(place.begin(now: Self.start + .seconds(3599)) == 9)
        #expect(place.begin(now: Self.start + .seconds(3600)) == 0)
    }

    @Test("is the beginning again after a minute where something changed", arguments: [false, true])
    func changed(shrank: Bool) {
        var place = Self.behindTen()
        if shrank {
            let start = place.begin(now: Self.start)
            _ = place.looked(from: start, Trimmed(removed: 0, kept: 0, hasMore: false))
        } else {
            place.change()
        }
        #expect(place.begin(now: Self.start + .seconds(59)) == 9)
        let later = Self.start + .seconds(60)
        #expect(place.begin(now: later) == 0)
        #expect(place.looked(from: 0, Trimmed(removed: 0, kept: 5, hasMore: false)) == 5)
        #expect(place.begin(now: later + .seconds(61)) == 4, "once")
    }
}
