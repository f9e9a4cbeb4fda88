import BackgroundJobs
import BackgroundRedis

/// The leanest finish and claim that writes the same records as the system's own: it looks at nothing, so it must never be
/// used for anything but a comparison.
struct LeanExchange: Sendable {
    private let store: RedisStore
    private let queue: String
    private let voucher: Voucher
    private let digest: String

    init(_ store: RedisStore, queue: String, voucher: Voucher) async throws {
        self.store = store
        self.queue = queue
        self.voucher = voucher
        digest = try await store.send("SCRIPT", "LOAD", Self.script).text ?? ""
    }

    /// Reports what ended, and takes as many jobs as IDs are offered.
    func exchange(_ finishes: [Finish], offered: [String]) async throws -> [Finish] {
        var pipeline = Pipeline()
        pipeline.begin(argumentCount: 10 + 2 * finishes.count + offered.count)
        for word in ["EVALSHA", digest, "1", store.keys.queues, store.keys.namespace, voucher.node] {
            pipeline.append(word)
        }
        pipeline.append(voucher.client)
        pipeline.append(queue)
        pipeline.append(finishes.count)
        for finish in finishes {
            pipeline.append(finish.attempt)
            pipeline.append("\(finish.milliseconds)")
        }
        pipeline.append(offered.count)
        for id in offered { pipeline.append(id) }
        let jobs = try await store.send(pipeline)[0].orThrow().array ?? []
        return stride(from: 0, to: jobs.count, by: 7).map { at in
            Finish(
                attempt: jobs[at].text ?? "",
                queue: queue,
                job: jobs[at + 1].text ?? "",
                milliseconds: 0.1,
                ending: .completed
            )
        }
    }

    /// ARGV: namespace, node, client, queue, number of finished attempts, each with its ms, number of jobs wanted, IDs.
    /// Returns 7 a job, as the system's own does but for the suspect and the options.
    private static let script = """
        local prefix, node, client, queue = ARGV[1] .. ':', ARGV[2], ARGV[3], ARGV[4]
        local clock = redis.call('TIME')
        local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
        local stamp = string.format('%.0f', now)
        local minute = prefix .. 'stats:' .. queue .. ':' .. string.format('%.0f', math.floor(now / 60000))
        local finished, at = tonumber(ARGV[5]), 6
        if finished > 0 then
            local gone, scored, run = {}, {}, 0
            for i = 1, finished do
                local attempt, ms = ARGV[at], ARGV[at + 1]
                at = at + 2
                redis.call('HSET', prefix .. 'attempts:' .. attempt, 'fin', stamp, 'time', ms)
                gone[i], scored[2 * i - 1], scored[2 * i], run = attempt, stamp, attempt, run + ms
            end
            redis.call('SREM', prefix .. 'processing:' .. queue, unpack(gone))
            redis.call('ZADD', prefix .. 'completed:' .. queue, unpack(scored))
            redis.call('HINCRBY', prefix .. 'stats:' .. queue, 'completed', finished)
            redis.call('HINCRBY', minute, 'completed', finished)
            redis.call('HINCRBYFLOAT', minute, 'run', run)
        end
        local jobs, begun, n, waited = {}, {}, 0, 0
        local ids = redis.call('LPOP', prefix .. 'ready:' .. queue, ARGV[at])
        for i, id in ipairs(ids or {}) do
            local attempt, job = ARGV[at + i], prefix .. 'jobs:' .. id
            local fields = redis.call('HMGET', job, 'cls', 'arg', 'qat', 'att')
            local num = fields[4] and string.format('%.0f', fields[4] + 1) or '1'
            redis.call('HSET', prefix .. 'attempts:' .. attempt,
                'sta', stamp, 'job', id, 'wrk', client, 'que', queue, 'nod', node, 'num', num)
            redis.call('HSET', job, 'att', num, 'las', attempt)
            jobs[n + 1], jobs[n + 2], jobs[n + 3], jobs[n + 4] = attempt, id, queue, num
            jobs[n + 5], jobs[n + 6], jobs[n + 7] = fields[1], fields[2], fields[3]
            begun[i], n, waited = attempt, n + 7, waited + now - fields[3]
        end
        if n > 0 then
            redis.call('SADD', prefix .. 'processing:' .. queue, unpack(begun))
            redis.call('HINCRBY', minute, 'wait', waited)
        end
        redis.call('EXPIRE', minute, 90000)
        return jobs
        """
}
