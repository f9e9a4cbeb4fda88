/// What the Redis user of a program must be allowed to do, as commands that change nothing (docs/operations.md, "Redis users").
package struct Rights: Sendable {
    /// Commands that are sent as they are.
    var commands: [[String]]
    /// Commands that scripts run, tried inside one. The first deletes what the others write.
    var inScripts: [[String]]

    /// No queue, job or attempt has this name.
    private static let nobody = "!"

    static func worker(_ keys: Keys) -> Rights {
        let key = ProbedKeys(keys, nobody)
        return Rights(
            commands: common(keys) + [
                ["CLIENT", "KILL", "ID", "0"],
                ["BLMOVE", key.ready, key.handoff, "LEFT", "RIGHT", "0.001"],
                ["BLPOP", keys.cancel(nobody), "0.001"], ["RPUSH", key.wake, "0 suspect"], ["EXPIRE", key.wake, "1"],
                ["BLPOP", key.wake, "0.001"],
                // Its jobs enqueue others.
                ["MULTI"], ["EXEC"],
                ["SSCAN", key.processing, "0"], ["HGET", key.job, "cnl"], ["EXPIRE", keys.node(nobody), "1"],
                // What jobs do that enqueue others.
                ["MULTI"], ["EXEC"],
            ],
            inScripts: [key.delete] + ending(key) + [
                ["SMISMEMBER", key.processing, "-"], ["SMISMEMBER", keys.paused, "-"],
                ["HGET", key.attempt, "fin"], ["HGETALL", key.job], ["EXISTS", key.attempt], ["EXISTS", key.job],
                ["LRANGE", key.handoff, "0", "0"], ["LRANGE", key.ready, "0", "0"], ["LRANGE", key.suspects, "0", "0"],
                ["LPOP", key.handoff], ["LPOP", key.suspects], ["LREM", key.handoff, "1", "-"],
                ["SADD", key.processing, "-"], ["ZADD", key.completed, "0", "-"], ["ZADD", key.ended, "0", "-"],
                ["ZADD", key.scheduled, "0", "-"],
                ["SRANDMEMBER", keys.places, "1"], ["LLEN", key.wake], ["RPUSH", key.placed, "-"],
                ["SREM", keys.places, ""], ["HDEL", key.job, "pla"], ["PEXPIRE", key.lock, "1"],
                // declare, and a periodic job that ends itself
                ["HGETALL", key.periodic], ["HGET", key.periodic, "own"], ["HSET", key.periodic, "end", "-"],
                ["HDEL", key.periodic, "end"], ["ZSCORE", keys.periodics, nobody],
                ["ZRANGE", keys.periodics, "0", "0"],
                ["ZREM", keys.periodics, nobody], ["ZADD", keys.periodics, "XX", "0", nobody],
                // jobs that await others, or enqueue them with a lock
                ["PEXPIRE", key.ready, "1"], key.delete,
            ]
        )
    }

    static func watcher(_ keys: Keys) -> Rights {
        let key = ProbedKeys(keys, nobody)
        return Rights(
            commands: common(keys) + [
                ["CLIENT", "LIST", "ID", "1"], ["CLIENT", "KILL", "ID", "0"],
                ["SSCAN", key.processing, "0"], ["HMGET", key.attempt, "wrk"],
                ["LRANGE", key.handoff, "0", "0"], ["SRANDMEMBER", keys.places, "1"],
            ],
            inScripts: [key.delete] + ending(key) + [
                // look
                ["SMEMBERS", keys.queues], ["SCARD", keys.places], ["LLEN", key.handoff], ["SCARD", key.processing],
                ["INFO", "server"],
                ["LRANGE", key.placed, "0", "0"], ["LLEN", key.placed], ["LREM", key.placed, "1", "-"],
                ["SREM", keys.places, ""], ["HDEL", key.job, "pla"],
                ["SADD", key.processing, "-"], ["LREM", key.handoff, "1", "-"],
                ["ZRANGEBYSCORE", key.scheduled, "0", "0"], ["ZRANGE", key.scheduled, "0", "0"],
                ["ZREM", key.scheduled, "-"], ["ZREM", key.ended, "-"], ["ZCARD", key.completed],
                ["ZCOUNT", key.completed, "0", "0"], ["ZREM", key.completed, "-"], ["ZREM", key.dead, "-"],
                ["HGET", key.attempt, "job"],
                // due and fire
                ["ZRANGEBYSCORE", keys.periodics, "0", "0"], ["ZSCORE", keys.periodics, nobody],
                ["ZADD", keys.periodics, "XX", "0", nobody], ["HMGET", key.periodic, "exp"], ["HGETALL", key.periodic],
                ["HSET", key.periodic, "end", "-"], ["RPUSH", key.ready, "-"], ["SADD", key.processing, "-"],
                key.delete,
            ]
        )
    }

    private static func common(_ keys: Keys) -> [[String]] {
        [
            ["SCRIPT", "LOAD", "return 1"], ["EVALSHA", "-", "1", keys.queues], ["INFO", "server"], ["TIME"],
            // What the check of the version has just done: changes nothing any more.
            ["SET", keys.protocolVersion, "\(Preflight.protocolVersion)", "NX"],
        ]
    }

    /// What it takes to end an attempt, and to count it.
    private static func ending(_ key: ProbedKeys) -> [[String]] {
        [
            ["TYPE", key.failed], ["SREM", key.processing, ""], ["SISMEMBER", key.processing, "-"],
            ["HMGET", key.attempt, "wrk"], ["HMGET", key.job, "que"],
            ["HSET", key.attempt, "err", "-"], ["HSET", key.job, "end", "-"], ["HSET", key.statistics, "bad", "0"],
            ["EXPIRE", key.statistics, "1"], ["ZADD", key.failed, "0", "-"], ["ZADD", key.dead, "0", "-"],
            ["LPUSH", key.ready, "-"], ["RPUSH", key.suspects, "-"], ["HGET", key.job, "unq"], ["GET", key.lock],
            // What the end of a job means for others.
            ["HDEL", key.job, "blk"], ["PERSIST", key.job], ["RPUSH", key.ready, "-"], ["SADD", key.processing, "-"],
            ["ZADD", key.scheduled, "0", "-"], ["ZADD", key.ended, "0", "-"], ["EXISTS", key.attempt],
            ["HMGET", key.batch, "tot"], ["HSET", key.batch, "tot", "0"], ["SMEMBERS", key.awaited],
            ["RPUSH", key.notes, "-"],
        ]
    }
}

/// The keys of a queue, a job and an attempt of this name.
private struct ProbedKeys {
    let job, attempt, ready, handoff, suspects, scheduled, processing, completed, failed, ended, dead,
        statistics, lock, batch, awaited, notes, periodic, placed, wake: String

    init(_ keys: Keys, _ name: String) {
        job = keys.job(name)
        attempt = keys.attempt(name)
        ready = keys.ready(name)
        handoff = keys.handoff(name)
        suspects = keys.suspects(name)
        scheduled = keys.scheduled(name)
        processing = keys.processing(name)
        completed = keys.completed(name)
        failed = keys.failed(name)
        ended = keys.ended(name)
        dead = keys.dead(name)
        statistics = keys.statistics(name)
        lock = keys.lock(name)
        batch = keys.batch(name)
        awaited = keys.awaited(name)
        notes = keys.notes(name)
        periodic = keys.periodic(name)
        placed = keys.placed(Place(queue: name, kind: .on, name: name))
        wake = keys.wake(name)
    }

    var delete: [String] {
        [
            "DEL", job, attempt, ready, suspects, scheduled, processing, completed, failed, ended, dead, statistics,
            lock, batch, awaited, notes, periodic, placed, wake,
        ]
    }
}
