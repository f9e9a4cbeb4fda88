import BackgroundRedis
import Logging

/// recover: IDs that sit in `handoff` through two looks go back to the head of `ready`. A worker was woken with them and
/// did not claim them.
struct Recoverer: Sendable {
    static let step = 500

    let watch: Watch

    func run() async {
        var seen: [String: [String]] = [:]
        await watch.atEachLook("recover") { look throws(BackgroundError) in
            let queues = look.queues.filter { $0.value.handoff > 0 }.keys.sorted()
            var now: [String: [String]] = [:]
            try await watch.forEach(queues, "recover") { queue throws(BackgroundError) in
                now[queue] = try await recover(queue, seenBefore: Set(seen[queue] ?? []))
            }
            seen = now
        }
    }

    /// Moves those that were there at the look before; returns those that are there now.
    private func recover(_ queue: String, seenBefore: Set<String>) async throws(BackgroundError) -> [String] {
        let reply = try await watch.store.send("LRANGE", watch.store.keys.handoff(queue), "0", "\(Self.step - 1)")
        let present = (reply.array ?? []).compactMap(\.text)
        let stale = present.filter(seenBefore.contains)
        guard !stale.isEmpty else { return present }
        for job in try await watch.store.recover(stale, in: queue) {
            watch.logger.info(
                "Recovered a job that nobody claimed",
                metadata: [LogKey.job: "\(job)", LogKey.queue: "\(queue)"]
            )
        }
        return present
    }
}
