import BackgroundJobs
import BackgroundJobsTesting
import Testing

@Suite("Conformance: fibers of a queue's own", .timeLimit(.minutes(20)))
struct RoomConformance {
    private func claim(
        _ store: StoreUnderTest,
        _ wanted: Int,
        shared: Int,
        _ reserved: [String: Int],
        reoffered: [String] = []
    ) async throws -> Exchange {
        let claim = Claim(
            wanted: wanted,
            queues: ["high", "low"],
            shared: shared,
            reserved: reserved,
            reoffered: reoffered,
            offered: store.offers(wanted - reoffered.count)
        )
        return try await store.store.exchange([], claim, as: StoreUnderTest.voucher)
    }

    @Test("a queue takes its own and the shared ones, never another's", arguments: StoreKind.allCases)
    func takes(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b", "c", "d", queue: "high")
            try await store.enqueue("e", "f", "g", queue: "low")
            let first = try await claim(store, 5, shared: 1, ["high": 2, "low": 2])
            #expect(first.jobs.map(\.id) == ["a", "b", "c", "e", "f"])
            #expect(!first.isShort)
            let second = try await claim(store, 3, shared: 0, ["low": 3])
            #expect(second.jobs.map(\.id) == ["g"])
            #expect(second.isShort, "high was not looked at: there is no room for it")
            #expect(try await store.list("ready:high") == ["d"])
        }
    }

    @Test(
        "a queue that has used up its room may hold more; one without room says nothing",
        arguments: StoreKind.allCases
    )
    func short(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", queue: "high")
            #expect(try await !claim(store, 4, shared: 0, ["high": 1, "low": 3]).isShort)
            #expect(try await claim(store, 3, shared: 0, ["low": 3]).isShort)
            try await store.enqueue("b", queue: "high")
            #expect(try await claim(store, 3, shared: 0, ["low": 3]).isShort)
            #expect(try await store.list("ready:high") == ["b"])
        }
    }

    @Test("an attempt that is handed out again uses the room of its queue", arguments: StoreKind.allCases)
    func regranted(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await store.enqueue("a", "b", queue: "high")
            try await store.enqueue("c", queue: "low")
            let lost = try await claim(store, 1, shared: 0, ["high": 1])
            let again = try await claim(
                store,
                2,
                shared: 0,
                ["high": 1, "low": 1],
                reoffered: lost.jobs.map(\.attempt)
            )
            #expect(again.jobs.map(\.id) == ["a", "c"])
            #expect(try await store.list("ready:high") == ["b"])
            // Also where there is no room for it.
            let other = try await claim(store, 1, shared: 0, ["low": 1], reoffered: lost.jobs.map(\.attempt))
            #expect(other.jobs.map(\.id) == ["a"] && other.spent.isEmpty)
        }
    }
}
