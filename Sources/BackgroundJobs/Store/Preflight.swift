import BackgroundRedis
package import Logging
import NIOPosix

/// Looks at a Redis before a process works with it: what can't work is refused at the start, with the reason.
package struct Preflight: Sendable {
    private let redis: RedisOptions
    private let logger: Logger

    /// The protocol's version that this system speaks.
    static let protocolVersion = 1

    package init(_ redis: RedisOptions, logger: Logger) {
        self.redis = redis
        self.logger = logger
    }

    /// Waits for Redis, then checks version, role, eviction, persistence, cluster, the protocol's version, and whether the
    /// user may do what it must.
    ///
    /// - Parameters:
    ///   - probes: commands that change nothing, each of which must be permitted.
    ///   - allowsEviction: whether a policy that evicts jobs is accepted.
    package func check(_ probes: [[String]], allowsEviction: Bool) async throws {
        let client = RedisClient(
            try redis.configuration(clientName: ClientName.manager(redis.namespace)),
            eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
            logger: logger
        )
        let store = RedisStore(client: client, namespace: redis.namespace)
        do {
            do {
                try await client.waitUntilReady()
            } catch {
                throw BackgroundError(error)
            }
            try await checkServer(store, allowsEviction: allowsEviction)
            try await checkRights(store, probes)
        } catch {
            await client.close()
            throw error
        }
        await client.close()
    }

    private func checkServer(_ store: RedisStore, allowsEviction: Bool) async throws(BackgroundError) {
        let info = ServerInfo(try await store.send("INFO").text ?? "")
        guard info.isAtLeast(6, 2) else {
            throw BackgroundError(
                .unsuitable,
                "This is Redis \(info.version.isEmpty ? "of an unknown version" : info.version); 6.2 or later is needed."
            )
        }
        if info["cluster_enabled"] == "1", !redis.namespace.hasHashTag {
            throw BackgroundError(
                .unsuitable,
                "This is a Redis Cluster: the namespace needs a hash tag, so that all its keys lie on one node. "
                    + "Use for instance -n '{\(redis.namespace)}'."
            )
        }
        try checkEviction(info.evictionPolicy, allowed: allowsEviction)
        if !info.isMaster {
            logger.warning("This Redis is a \(info["role"]), not a master: nothing can be done here before it is one")
        }
        if info["aof_enabled"] == "0" {
            logger.notice(
                "This Redis writes no append-only file: jobs of the last minutes are lost if its machine fails (appendonly yes)"
            )
        }
        try await checkVersion(store)
        logger.debug("Redis \(info.version), \(info["role"]), maxmemory-policy \(info.evictionPolicy)")
    }

    private func checkEviction(_ policy: String, allowed: Bool) throws(BackgroundError) {
        if policy.hasPrefix("allkeys-") {
            guard allowed else {
                throw BackgroundError(
                    .unsuitable,
                    "This Redis evicts keys when its memory is full (maxmemory-policy \(policy)), so jobs would be lost. "
                        + "Set maxmemory-policy noeviction, or accept the loss with --allow-eviction."
                )
            }
            logger.warning("Redis may evict jobs (maxmemory-policy \(policy)); it was allowed")
        } else if policy.hasPrefix("volatile-") {
            logger.warning(
                "Redis may evict keys that expire (maxmemory-policy \(policy)): records of ended jobs go early; prefer noeviction"
            )
        }
    }

    private func checkVersion(_ store: RedisStore) async throws(BackgroundError) {
        let key = store.keys.protocolVersion
        let found = try await store.send("GET", key)
        if found == .null {
            // A Redis that takes no writes at present is no reason not to start.
            _ = try? await store.send("SET", key, "\(Self.protocolVersion)", "NX")
        } else if (found.int ?? 0) > Int64(Self.protocolVersion) {
            throw BackgroundError(
                .unsuitable,
                "The namespace \(redis.namespace) is at version \(found.int ?? 0) of the protocol; this program speaks "
                    + "version \(Self.protocolVersion). Use a newer one."
            )
        }
    }

    private func checkRights(_ store: RedisStore, _ probes: [[String]]) async throws(BackgroundError) {
        guard !probes.isEmpty else { return }
        var pipeline = Pipeline()
        for probe in probes { pipeline.command(probe) }
        let replies = try await store.send(pipeline)
        let denied = zip(probes, replies).compactMap { probe, reply -> String? in
            guard case .error(let text) = reply, text.hasPrefix("NOPERM") else { return nil }
            return probe.prefix { $0.allSatisfy(\.isUppercase) }.joined(separator: " ")
        }
        guard denied.isEmpty else {
            throw BackgroundError(
                .notPermitted,
                "The Redis user may not use: \(denied.joined(separator: ", ")). docs/operations.md lists the rights that each "
                    + "program needs (ACL SETUSER)."
            )
        }
    }

    /// What a worker must be allowed to do, as commands that change nothing.
    static func worker(_ keys: Keys) -> [[String]] {
        scripts(keys) + [
            ["SADD", keys.queues], ["CLIENT", "KILL", "ID", "0"], ["INFO", "server"],
            ["BLMOVE", keys.ready("."), keys.handoff("."), "LEFT", "RIGHT", "0.001"],
            ["SSCAN", keys.processing("."), "0"], ["HMGET", keys.attempt("-"), "wrk"],
        ]
    }

    /// What a watcher must be allowed to do.
    static func watcher(_ keys: Keys) -> [[String]] {
        scripts(keys) + [
            ["CLIENT", "LIST", "ID", "1"], ["CLIENT", "KILL", "ID", "0"], ["INFO", "server"], ["TIME"],
            ["SMEMBERS", keys.queues], ["SSCAN", keys.processing("."), "0"], ["HMGET", keys.attempt("-"), "wrk"],
            ["LRANGE", keys.handoff("."), "0", "0"],
        ]
    }

    private static func scripts(_ keys: Keys) -> [[String]] {
        [["SCRIPT", "EXISTS", "-"], ["SCRIPT", "LOAD", "return 1"], ["EVALSHA", "-", "1", keys.queues]]
    }
}

extension String {
    /// Whether a key with this in it is placed by the part between braces (Redis Cluster specification, Hash tags).
    fileprivate var hasHashTag: Bool {
        guard let open = firstIndex(of: "{"), let close = self[open...].firstIndex(of: "}") else { return false }
        return index(after: open) < close
    }
}
