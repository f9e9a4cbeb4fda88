import Testing

@testable import BackgroundJobs

@Suite("The order of queues")
struct QueueOrderTests {
    @Test("of a round robin gives the queues that hold jobs equal turns, whatever others are empty")
    func roundRobin() throws {
        var order = try QueueOrder.roundRobin(["a", "b", "c"])
        var turns: [String] = []
        // c is empty: whoever comes first of the others is served.
        for _ in 0..<8 {
            let served = try #require(order.next().first { $0 != "c" })
            turns.append(served)
            order.served([served, served])
        }
        #expect(turns == ["a", "b", "a", "b", "a", "b", "a", "b"])
    }

    @Test("of a round robin goes on while claims are under way, and where one serves several queues")
    func underWay() throws {
        var order = try QueueOrder.roundRobin(["a", "b", "c"])
        #expect(order.next() == ["a", "b", "c"])
        #expect(order.next() == ["b", "c", "a"], "the first call has not been answered")
        order.served(["a"])
        order.served(["b", "c", "c"])
        #expect(order.next() == ["a", "b", "c"])
        order.served([])
        #expect(order.next() == ["b", "c", "a"])
    }

    @Test("of strict and weighted queues does not turn")
    func others() throws {
        var strict = try QueueOrder.strict(["a", "b"])
        strict.served(["a"])
        #expect(strict.next() == ["a", "b"] && strict.next() == ["a", "b"])
        var weighted = try QueueOrder.weighted([("a", 1), ("b", 1)])
        #expect(Set(weighted.next()) == ["a", "b"])
        #expect(throws: BackgroundError.self) { try QueueOrder.roundRobin(["a", "a"]) }
        #expect(throws: BackgroundError.self) { try QueueOrder.roundRobin([]) }
    }
}
