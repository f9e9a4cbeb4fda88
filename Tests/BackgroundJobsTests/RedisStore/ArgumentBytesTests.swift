import BackgroundJobs
import BackgroundJobsTesting
import BackgroundRedis
import TestSupport
import Testing

/// Arguments are bytes from end to end: no script and no reader decodes them (failures, J4 and J6).
@Suite("Arguments", .timeLimit(.minutes(20)))
struct ArgumentBytesTests {
    private static let told: [[UInt8]] =
        [
            "[]", "{}", #"{"a":[],"b":{}}"#, "9007199254740993", "123456789012345678901234567890", "-0", "1e999", "1.0",
            "",
        ]
        .map { Array($0.utf8) } + [
            Array(0...255), Array(repeating: 0, count: 3), [0xFF, 0xFE, 0x0D, 0x0A], [0xED, 0xA0, 0x80],
        ]

    private static func random(_ count: Int) -> [[UInt8]] {
        var seed: UInt64 = 0x9E37_79B9_7F4A_7C15
        func next() -> UInt64 {
            seed ^= seed << 13
            seed ^= seed >> 7
            seed ^= seed << 17
            return seed
        }
        return (0..<count).map { _ in (0..<Int(next() % 300)).map { _ in UInt8(truncatingIfNeeded: next() >> 32) } }
    }

    @Test("come back byte for byte, from a claim and from an adoption", arguments: StoreKind.allCases)
    func roundTrip(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let blobs = Self.told + Self.random(1000)
            let jobs = blobs.enumerated().map { NewJob(id: "j\($0)", queue: "q", className: "C", arguments: $1) }
            try await store.store.enqueue(jobs)
            for start in stride(from: 0, to: blobs.count, by: 100) {
                let expected = Array(blobs[start..<min(start + 100, blobs.count)])
                let claimed = try await store.claim(expected.count)
                #expect(claimed.jobs.map(\.arguments) == expected)
                let adoption = Adoption(queues: ["q"], attempts: [], offered: claimed.jobs.map(\.attempt))
                let adopted = try await store.store.adopt(adoption, as: StoreUnderTest.voucher)
                #expect(adopted.granted == claimed.jobs)
                for job in claimed.jobs { try await store.finish(job) }
            }
            let kept = try await store.snapshot().jobs
            for (index, blob) in blobs.enumerated() { #expect(kept["j\(index)"]?.fields["arg"] == blob) }
        }
    }

    @Test("a large one comes back, alone in its claim")
    func large() async throws {
        try await StoreUnderTest.with(.redis) { store in
            let large = Array(repeating: UInt8(0), count: 5 << 20)
            try await store.store.enqueue([
                NewJob(id: "a", queue: "q", className: "C", arguments: large),
                NewJob(id: "b", queue: "q", className: "C", arguments: large),
            ])
            let claimed = try await store.claim(2)
            #expect(claimed.jobs.map(\.arguments) == [large])
            #expect(!claimed.isShort)
        }
    }
}
