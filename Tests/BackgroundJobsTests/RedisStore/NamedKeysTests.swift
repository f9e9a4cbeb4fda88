import BackgroundJobs
import BackgroundJobsTesting
import BackgroundRedis
import Testing

/// Redis itself says that some key is of a wrong type, and not which.
@Suite("A key of a wrong type", .timeLimit(.minutes(20)))
struct NamedKeysTests {
    struct Call: Sendable, CustomTestStringConvertible {
        var name: String
        var keys: [String]
        var run: @Sendable (RedisStore) async throws -> Void
        var testDescription: String { name }

        init(_ name: String, _ keys: String..., run: @escaping @Sendable (RedisStore) async throws -> Void) {
            self.name = name
            self.keys = keys
            self.run = run
        }
    }

    private static let job = NewJob(id: "a", queue: "q", className: "C", arguments: [])
    private static let locked = NewJob(
        id: "a",
        queue: "q",
        className: "C",
        arguments: [],
        lock: NewJob.Lock(digest: "d", duration: 1000)
    )
    private static let firing = Firing(name: "p", due: 1, time: 1, next: .at(2), expression: "", job: "a")
    private static let none = Retention(age: nil, count: 0)

    private static let calls: [Call] = [
        Call("due", "crons") { _ = try await $0.due(limit: 1, offset: 0) },
        Call("fire", "crons") { _ = try await $0.fire([firing]) },
        Call("declare", "crons") {
            _ = try await $0.declare(
                [Declaration(name: "p", first: 1, fields: ["exp": []])],
                by: nil,
                areAll: false,
                revives: false
            )
        },
        Call("steer", "crons", "cron:p") { _ = try await $0.steer("p", .pause) },
        Call("enqueue", "jobs:a", "unique:d", "ready:q", "scheduled:q", "queues") { try await $0.enqueue([locked]) },
        Call("together", "jobs:a", "ready:q", "scheduled:q", "queues") { try await $0.enqueueTogether([job]) },
        Call("open", "batch:b", "batch:c", "queues") { _ = try await $0.open(NewBatch(id: "b", parent: "c")) },
        Call("add", "batch:b", "queues") { _ = try await $0.add([job], to: "b") },
        Call("close", "batch:b", "queues") { _ = try await $0.close("b") },
        Call("dequeue", "jobs:a") { _ = try await $0.dequeue("a") },
        Call("cancel", "jobs:a") { _ = try await $0.cancel("a", recordedAs: "x") },
        Call("promote", "scheduled:q", "ready:q") { _ = try await $0.promote("q", limit: 1) },
        Call("recover", "handoff:q", "ready:q") { _ = try await $0.recover(["a"], in: "q") },
        Call("fall back", "placed:q:on:n", "places", "ready:q") {
            _ = try await $0.fallBack(Place(queue: "q", kind: .on, name: "n"), absence: 0, limit: 1, from: 0)
        },
        Call("trim", "failed:q") { _ = try await $0.trim(.failed, of: "q", keep: none, limit: 1, from: 0) },
        Call("delete", "dead:q") { _ = try await $0.delete(["a"], from: .dead, of: "q") },
        Call(
            "clear",
            "suspects:q",
            "handoff:q",
            "ready:q",
            "scheduled:q",
            "ended:q",
            "dead:q",
            "processing:q"
        ) { _ = try await $0.clear(.suspects, of: "q", limit: 1) },
        Call("move", "ready:q", "ready:r", "queues") { _ = try await $0.move(.ready, from: "q", to: "r", limit: 1) },
        Call("clear a place", "placed:q:on:n", "places", "ended:q", "processing:q") {
            _ = try await $0.clear(.placed, of: "q:on:n", limit: 1)
        },
        Call("move a place", "placed:q:on:n", "places", "ended:q", "ready:r") {
            _ = try await $0.move(.placed, from: "q:on:n", to: "r", limit: 1)
        },
        Call("pause", "paused") { _ = try await $0.setPaused(true, ["q"]) },
        Call("await", "awaited") { _ = try await $0.ends(of: ["a"], for: Listener(token: "l", time: .seconds(1))) },
    ]

    @Test("is named to whoever needs it, and nothing else is written", arguments: calls)
    func named(_ call: Call) async throws {
        for key in call.keys {
            try await SharedRedis.withStore(namespace: "ns") { redis in
                try await redis.send(command: ["XADD", "ns:\(key)", "*", "x", "y"])
                let error = await #expect(throws: BackgroundError.self, "\(key)") { try await call.run(redis) }
                #expect(error?.message.contains("ns:\(key) holds a stream") == true, "\(key): \(error?.message ?? "")")
                #expect(try await redis.send(command: ["DBSIZE"]).int == 1, "\(key)")
            }
        }
    }
}
