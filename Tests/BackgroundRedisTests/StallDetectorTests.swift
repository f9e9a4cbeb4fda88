import Testing

@testable import BackgroundRedis

@Suite struct StallDetectorTests {
    @Test func onlyGapsBeyondTheLimit() {
        let start = ContinuousClock.now
        var stall = StallDetector(limit: .seconds(2), now: start)
        #expect(stall.gap(at: start + .seconds(2)) == nil)
        #expect(stall.gap(at: start + .seconds(4)) == nil)
        #expect(stall.gap(at: start + .seconds(4) + .milliseconds(2001)) == .milliseconds(2001))
        // Once noticed it is over.
        #expect(stall.gap(at: start + .seconds(7)) == nil)
    }

    @Test func withoutALimit() {
        let start = ContinuousClock.now
        var stall = StallDetector(limit: nil, now: start)
        #expect(!stall.isEnabled)
        #expect(stall.gap(at: start + .seconds(9999)) == nil)
    }
}
