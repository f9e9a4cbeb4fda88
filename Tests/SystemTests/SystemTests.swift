import Foundation
import Testing

/// All whole-system tests. One after the other: each has several processes of its own, and the machine may be small.
@Suite("The whole system", .serialized)
struct SystemTests {}

/// Whether the drills run at full length.
let isFull = ProcessInfo.processInfo.environment["BG_TEST_FULL"] == "1"
