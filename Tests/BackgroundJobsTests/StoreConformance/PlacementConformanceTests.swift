import BackgroundJobs
import BackgroundJobsTesting
import Testing

@Suite("Conformance: jobs for some nodes only", .timeLimit(.minutes(20)))
struct PlacementConformance {
    private static let web1 = Voucher(node: "web1-12-0123abcd", client: 1)
    private static let web2 = Voucher(node: "web2-7-89ab01cd", client: 2)

    private func enqueue(_ store: StoreUnderTest, _ id: String, _ fields: [JobOptions.Field]) async throws {
        try await store.store.enqueue([
            NewJob(id: id, queue: "q", className: "C", arguments: [], fields: fields, isIDChosen: true)
        ])
    }

    @Test(
        "one for another name is put aside, told of, and taken first by a worker of that name",
        arguments: StoreKind.allCases
    )
    func on(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store, "a", [("on", "web1")])
            try await enqueue(store, "b", [])
            try await enqueue(store, "c", [])
            let other = try await store.claim(1, as: Self.web2)
            #expect(other.jobs.isEmpty && !other.isShort, "it has looked at no more than it had room for")
            #expect(try await store.list("placed:q:on:web1") == ["a"])
            #expect(try await store.set("places") == ["q:on:web1"])
            #expect(try await store.list("wake:q:on:web1") == ["0 on"])
            let aside = try #require(try await store.job("a"))
            #expect(aside["pla"] == "on:web1" && aside.number("plt") != nil)
            #expect(try await store.claim(1, as: Self.web2).jobs.map(\.id) == ["b"])

            let own = try await store.claim(5, as: Self.web1)
            #expect(own.jobs.map(\.id) == ["a", "c"] && own.isShort)
            #expect(try await store.set("places") == [])
            let job = try #require(try await store.job("a"))
            #expect(job["pla"] == nil && job["plt"] == nil && job["on"] == "web1")
        }
    }

    @Test("one that avoids a name is put aside by its workers, and taken by any other", arguments: StoreKind.allCases)
    func avoiding(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store, "a", [("avo", "web1")])
            try await enqueue(store, "b", [("avo", "web2")])
            let first = try await store.claim(5, as: Self.web1)
            #expect(first.jobs.map(\.id) == ["b"])
            #expect(try await store.set("places") == ["q:avoid:web1"])
            #expect(try await store.list("wake:q") == ["0 avoid web1"])
            #expect(try await store.claim(5, as: Self.web1).jobs.isEmpty)
            #expect(try await store.claim(5, ["r"], as: Self.web2).jobs.isEmpty)
            #expect(try await store.claim(5, as: Self.web2).jobs.map(\.id) == ["a"])
            #expect(try await store.set("places") == [])
        }
    }

    @Test("one that may run here is not put aside; a name that is none counts as absent", arguments: StoreKind.allCases)
    func here(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store, "a", [("on", "web1"), ("avo", "web1")])
            try await enqueue(store, "b", [("on", "no name:")])
            try await enqueue(store, "c", [("on", "web9"), ("pla", "any")])
            try await enqueue(store, "d", [("avo", "")])
            let claimed = try await store.claim(5, as: Self.web1)
            #expect(claimed.jobs.map(\.id) == ["a", "b", "c", "d"])
            #expect(claimed.notices.map(\.queue) == ["q"])
            #expect(try await store.set("places") == [])
            #expect(try await store.job("c")?["pla"] == nil, "the next attempt is placed anew")
        }
    }

    @Test("a worker is woken for each of them, but not without end", arguments: StoreKind.allCases)
    func notes(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            for index in 0..<20 { try await enqueue(store, "j\(index)", [("on", "web1")]) }
            _ = try await store.claim(3, as: Self.web2)
            #expect(try await store.list("wake:q:on:web1").count == 3)
            while try await !store.claim(3, as: Self.web2).isShort {}
            #expect(try await store.list("wake:q:on:web1").count == 16)
            #expect(try await store.list("placed:q:on:web1").count == 20)
            #expect(try await store.claim(128, as: Self.web1).jobs.map(\.id) == (0..<20).map { "j\($0)" })
        }
    }

    @Test("a suspect among them is passed over by a worker that runs one", arguments: StoreKind.allCases)
    func suspects(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store, "s", [("on", "web1"), ("crs", "2")])
            try await enqueue(store, "a", [("on", "web1")])
            try await store.edit { data in
                let queued = data.jobs["s"]?["qat"]
                data.jobs["s"]?["crt"] = queued
                // And one that was a suspect before it was known where it belongs.
                data.lists["ready:q"] = ["a"]
                data.lists["suspects:q"] = ["s"]
            }
            while try await !store.claim(5, as: Self.web2).isShort {}
            #expect(Set(try await store.list("placed:q:on:web1")) == ["s", "a"])
            #expect(try await store.list("suspects:q") == [])
            let busy = try await store.claim(5, mayTakeSuspect: false, as: Self.web1)
            #expect(busy.jobs.map(\.id) == ["a"] && busy.isShort)
            #expect(try await store.list("placed:q:on:web1") == ["s"])
            #expect(try await store.claim(5, as: Self.web1).jobs.map(\.isSuspect) == [true])
        }
    }

    @Test(
        "those whose time to wait is over go back to the head of the queue, for any node",
        arguments: StoreKind.allCases
    )
    func fallback(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            let place = Place(queue: "q", kind: .on, name: "web1")
            for (id, wait) in [("a", "0"), ("b", "never"), ("c", "0"), ("d", "5000"), ("e", "garbage")] {
                try await enqueue(store, id, [("on", "web1"), ("fbk", wait)])
            }
            try await enqueue(store, "other", [])
            #expect(try await store.claim(5, as: Self.web2).jobs.isEmpty)
            let first = try await store.store.fallBack(place, absence: 20_000, limit: 3, from: 0)
            #expect(first == FellBack(moved: ["c", "a"], kept: 1, hasMore: true))
            let second = try await store.store.fallBack(place, absence: 20_000, limit: 3, from: 1)
            #expect(second == FellBack(moved: [], kept: 2, hasMore: false), "they have not waited for so long")
            #expect(try await store.list("ready:q") == ["a", "c", "other"])
            let fallen = try #require(try await store.job("a"))
            #expect(fallen["pla"] == "any" && fallen["plt"] == nil)
            try await store.edit { data in
                for id in ["b", "d", "e"] { data.jobs[id]?["plt"] = "1" }
            }
            #expect(try await store.store.fallBack(place, absence: 4999, limit: 9, from: 0).moved == [])
            #expect(try await store.store.fallBack(place, absence: 5000, limit: 9, from: 0).moved == ["d"])
            #expect(try await store.store.fallBack(place, absence: 10_000, limit: 9, from: 0).moved == ["e"])
            #expect(try await store.set("places") == ["q:on:web1"])
            let claimed = try await store.claim(9, as: Self.web2)
            #expect(claimed.jobs.map(\.id) == ["e", "d", "a", "c", "other"])
            #expect(try await store.list("placed:q:on:web1") == ["b"], "it waits for ever")
        }
    }

    @Test("those without a hash are for any claim to tell of", arguments: StoreKind.allCases)
    func hashless(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            try await enqueue(store, "a", [("on", "web1"), ("fbk", "never")])
            _ = try await store.claim(5, as: Self.web2)
            try await store.edit { $0.jobs["a"] = nil }
            let place = Place(queue: "q", kind: .on, name: "web1")
            #expect(try await store.store.fallBack(place, absence: 0, limit: 9, from: 0).moved == ["a"])
            #expect(try await store.job("a") == nil)
            #expect(try await store.claim(1, as: Self.web2).notices.count == 1)
        }
    }

    @Test("they can be dequeued, cancelled, and replaced while they wait", arguments: StoreKind.allCases)
    func takenOut(_ kind: StoreKind) async throws {
        try await StoreUnderTest.with(kind) { store in
            for id in ["a", "b", "c"] { try await enqueue(store, id, [("on", "web1")]) }
            _ = try await store.claim(5, as: Self.web2)
            #expect(try await store.store.dequeue("a") == .dequeued)
            #expect(try await store.job("a") == nil)
            #expect(try await store.store.retry(["b"], onlyDead: false) == [.waiting])
            #expect(try await store.store.cancel("b", recordedAs: "x") == .cancelled)
            let cancelled = try #require(try await store.job("b"))
            #expect(cancelled["pla"] == nil && cancelled["plt"] == nil, "it is put aside no more")
            #expect(try await store.list("placed:q:on:web1") == ["c"])
            #expect(try await store.store.retry(["b"], onlyDead: false) == [.queued])
            #expect(try await store.list("ready:q") == ["b"])
            #expect(try await store.store.dequeue("c") == .dequeued)
            #expect(try await store.set("places") == [])
        }
    }
}
