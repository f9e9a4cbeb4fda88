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
    /// user may do what it must. A Redis that does not answer for now (it loads, is busy, goes away) is asked again; only one
    /// that can't be worked with as it is ends this.
    ///
    /// - Parameters:
    ///   - rights: what the user must be allowed to do.
    ///   - allowsEviction: whether a policy that evicts jobs is accepted.
    package func check(_ rights: Rights, allowsEviction: Bool) async throws {
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
            try await untilAnswered {
                try await checkServer(store, allowsEviction: allowsEviction)
                try await checkRights(store, rights)
            }
        } catch {
            await client.close()
            throw error
        }
        await client.close()
    }

    private func untilAnswered(_ look: () async throws -> Void) async throws {
        let notices = NoticeLog()
        var pause = 0.1
        while true {
            do {
                return try await look()
            } catch let error as BackgroundError
                where [.refused, .unavailable, .unknownFate].contains(error.code) && !error.isWrongType
                && !Task.isCancelled
            {
                notices.log("", "Redis can't be looked at yet: \(error.message)") { logger.warning("\($0)") }
            }
            try await Task.sleep(for: .seconds(Double.random(in: pause / 2...pause)))
            pause = min(pause * 2, 1)
        }
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
        // Before the first line is logged, since a Redis that does not take this for now is asked all of it again.
        try await checkVersion(store)
        try checkEviction(info.evictionPolicy, allowed: allowsEviction)
        if !info.isMaster {
            logger.warning("This Redis is a \(info["role"]), not a master: nothing can be done here before it is one")
        }
        if info["aof_enabled"] == "0" {
            logger.notice(
                "This Redis writes no append-only file: jobs of the last minutes are lost if its machine fails (appendonly yes)"
            )
        }
        logger.info("Redis \(info.version), \(info["role"]), maxmemory-policy \(info.evictionPolicy)")
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
        let found: RESPValue
        do throws(BackgroundError) {
            found = try await store.send("GET", key)
        } catch {
            guard error.isWrongType else { throw error }
            throw unreadableVersion(key, "it is not a string")
        }
        if let text = found.text, Int64(text) == nil { throw unreadableVersion(key, "it holds \(Names.quoted(text))") }
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

    private func unreadableVersion(_ key: String, _ what: String) -> BackgroundError {
        BackgroundError(
            .unsuitable,
            "The key \(key) should hold the protocol's version, a number, and \(what). Is the namespace somebody else's? "
                + "If not, delete the key."
        )
    }

    private func checkRights(_ store: RedisStore, _ rights: Rights) async throws(BackgroundError) {
        var pipeline = Pipeline()
        for command in rights.commands { pipeline.command(command) }
        var denied = zip(rights.commands, try await store.send(pipeline)).compactMap { command, reply -> String? in
            // Of EXEC: "EXECABORT Transaction discarded because of: NOPERM …".
            guard case .error(let text) = reply, text.contains("NOPERM") else { return nil }
            return command.prefix { $0.allSatisfy(\.isUppercase) }.joined(separator: " ")
        }
        if denied.isEmpty { denied = try await deniedInScripts(store, rights.inScripts) }
        guard denied.isEmpty else {
            throw BackgroundError(
                .notPermitted,
                "The Redis user may not use: \(denied.joined(separator: ", ")). docs/operations.md lists the rights that each "
                    + "program needs (ACL SETUSER)."
            )
        }
    }

    /// Those of the commands that a script of this user may not run, each with its key.
    private func deniedInScripts(_ store: RedisStore, _ commands: [[String]]) async throws(BackgroundError) -> [String]
    {
        let arguments = commands.flatMap { ["\($0.count - 1)"] + $0 }
        let reply: RESPValue
        do {
            reply = try await store.run(store.scripts.rights, arguments: arguments.count) { pipeline in
                for argument in arguments { pipeline.append(argument) }
            }
        } catch  where error.code == .refused {
            // A Redis that runs no scripts at present (loading, a replica, no memory) is no reason not to start.
            return []
        }
        let denied = (reply.array ?? []).compactMap { $0.int.map { commands[Int($0)] } }
        return denied.map { $0[..<min(2, $0.count)].joined(separator: " ").replacing("!", with: "*") }
    }
}

extension String {
    /// Whether a key with this in it is placed by the part between braces (Redis Cluster specification, Hash tags).
    fileprivate var hasHashTag: Bool {
        guard let open = firstIndex(of: "{"), let close = self[open...].firstIndex(of: "}") else { return false }
        return index(after: open) < close
    }
}
