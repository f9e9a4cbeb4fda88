import BackgroundJobs
import BackgroundJobsBenchmarking
import Foundation

/// What it costs to be there.
extension Stage {
    /// A worker with two queues and a watcher, nothing to do: CPU time, and commands as they go over the wire, so that a
    /// script counts as one.
    func idle() async throws -> [Row] {
        let proxies = [try await Proxy.start(before: url), try await Proxy.start(before: url)]
        let children = [try worker(100, queues: "default,low", at: proxies[0].url), try watcher(at: proxies[1].url)]
        // Until connections are made, scripts are loaded and the watcher's grace is over.
        try await Task.sleep(for: .seconds(volume(10, quick: 3)))
        var (cpu, commands): ([[Double]], [[Double]]) = ([[], []], [[], []])
        for _ in 0..<runs {
            let before = try await standing(children, proxies)
            try await Task.sleep(for: .seconds(volume(10, quick: 5)))
            let after = try await standing(children, proxies)
            for (index, (from, to)) in zip(before, after).enumerated() {
                let seconds = from.time.duration(to: to.time).seconds
                cpu[index].append((to.cpu - from.cpu) / seconds * 100)
                commands[index].append(Double(to.commands - from.commands) / seconds)
            }
        }
        for child in children { try await child.stop() }
        for proxy in proxies { await proxy.stop() }
        return ["worker, two queues", "watcher"].enumerated().flatMap { index, name in
            [
                Row("idle", "\(name): CPU", cpu[index], "% of a core", aim: .atMost(0.5)),
                Row("idle", "\(name): commands", commands[index], "a second", aim: .atMost(3)),
            ]
        }
    }

    private func standing(
        _ children: [Child],
        _ proxies: [Proxy]
    ) async throws -> [(time: ContinuousClock.Instant, cpu: Double, commands: Int)] {
        var result: [(time: ContinuousClock.Instant, cpu: Double, commands: Int)] = []
        for (child, proxy) in zip(children, proxies) {
            let cpu = try await child.usage().cpu
            result.append((.now, cpu, proxy.commands))
        }
        return result
    }

    /// A watcher over many connections and running attempts: how long its looks take, from their first command to their last
    /// reply, and what they cost Redis.
    func crowd() async throws -> [Row] {
        let (connections, attempts) = (volume(1000, quick: 100), volume(10_000, quick: 1000))
        let crowd = try await yardstick.crowd(queue, connections: connections, attempts: attempts)
        let window = Duration.seconds(volume(20, quick: 4))
        let proxy = try await Proxy.start(before: url)
        // Without a watcher, for what the crowd itself costs.
        let alone = try await redisLoad(window)
        let watcher = try watcher(at: proxy.url)
        try await Task.sleep(for: .seconds(volume(10, quick: 2)))
        _ = proxy.takeExchanges()
        var loads: [Double] = []
        for _ in 0..<runs { loads.append(try await redisLoad(window) - alone) }
        // A heartbeat is an exchange, too, but not a look.
        let looks = proxy.takeExchanges().filter { $0.bytes > 1000 }.map { $0.duration.milliseconds }
        let left = try await yardstick.integer("SCARD", "bg:processing:\(queue)")
        try await watcher.stop()
        await proxy.stop()
        await crowd.close()
        guard left == attempts else { throw Failure("The watcher took \(attempts - left) living attempts for dead.") }
        return [
            Row("crowd", "a look", looks, "ms", aim: .atMost(50)),
            Row("crowd", "CPU of Redis for the watcher", loads, "% of a core", aim: .atMost(1.5)),
            Row("crowd", "CPU of Redis without it", [alone], "% of a core"),
        ]
    }

    /// How much of a core Redis takes, in percent.
    private func redisLoad(_ window: Duration) async throws -> Double {
        let (before, begun) = (try await yardstick.cpuSeconds(), ContinuousClock.now)
        try await Task.sleep(for: window)
        return (try await yardstick.cpuSeconds() - before) / begun.duration(to: .now).seconds * 100
    }
}
